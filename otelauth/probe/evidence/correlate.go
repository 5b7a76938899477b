// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// traceID is the zero value if there is none.
type traceID [16]byte

type spanID [8]byte

func parseTrace(text string) (id traceID) {
	if raw, err := hex.DecodeString(text); err == nil && len(raw) == len(id) {
		copy(id[:], raw)
	}
	return id
}

func parseSpan(text string) (id spanID) {
	if raw, err := hex.DecodeString(text); err == nil && len(raw) == len(id) {
		copy(id[:], raw)
	}
	return id
}

func (id traceID) String() string {
	if id == (traceID{}) {
		return ""
	}
	return hex.EncodeToString(id[:])
}

// correlation finds the entry of a record by each token that was sent.
type correlation struct {
	id      map[string]*entry
	request map[string]*entry
	agent   map[string]*entry
	sent    map[traceID]*entry // the trace id of traceparent
	linked  map[traceID]*entry // traces with a span that links to the sent trace
	event   map[traceID]*entry // traces of correlated events
}

func (c *correlation) init() {
	c.id, c.request, c.agent = map[string]*entry{}, map[string]*entry{}, map[string]*entry{}
	c.sent, c.linked, c.event = map[traceID]*entry{}, map[traceID]*entry{}, map[traceID]*entry{}
}

// add adds an entry. Nothing is added after an error.
func (c *correlation) add(e *entry) error {
	if e.ID == "" {
		return errNoID
	}
	e.trace = parseTrace(e.TraceID)
	switch {
	case c.id[e.ID] != nil:
		return fmt.Errorf("evidence: the ID %q is used twice", e.ID)
	case e.TraceID != "" && e.trace == traceID{}:
		return fmt.Errorf("evidence: the trace id %q is not 32 hexadecimal digits, or zero", e.TraceID)
	case e.TraceID != "" && c.sent[e.trace] != nil:
		return fmt.Errorf("evidence: the trace id %s is used twice; choose a random one for each request", e.TraceID)
	case e.RequestID != "" && c.request[e.RequestID] != nil:
		return fmt.Errorf("evidence: the request id %q is used twice", e.RequestID)
	case e.AgentToken != "" && c.agent[e.AgentToken] != nil:
		return fmt.Errorf("evidence: the User-Agent token %q is used twice", e.AgentToken)
	case strings.IndexFunc(e.AgentToken, isNotToken) >= 0:
		return fmt.Errorf("evidence: the User-Agent token %q has other characters than letters, digits and hyphens", e.AgentToken)
	}
	c.id[e.ID] = e
	if e.TraceID != "" {
		c.sent[e.trace] = e
	}
	if e.RequestID != "" {
		c.request[e.RequestID] = e
	}
	if e.AgentToken != "" {
		c.agent[e.AgentToken] = e
	}
	return nil
}

func isNotToken(r rune) bool {
	return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
}

// find returns the entry of an event, or nil. The tokens that only this request has come first: a
// service may mix traces up.
func (c *correlation) find(e *event) *entry {
	if x := c.inText(e.get(semconv.KeyUserAgentOriginal)); x != nil {
		return x
	}
	if x := c.request[e.get(keyRequestID)]; x != nil {
		return x
	}
	if x := c.sent[e.trace]; x != nil {
		return x
	}
	return c.linked[e.trace]
}

// inText returns the entry whose User-Agent token is a word of text, or nil.
func (c *correlation) inText(text string) *entry {
	for word := range strings.FieldsFuncSeq(text, isNotToken) {
		if x := c.agent[word]; x != nil {
			return x
		}
	}
	return nil
}

// inLine returns the entry of which a token is a word of the line, or nil.
func (c *correlation) inLine(line string) *entry {
	for word := range strings.FieldsFuncSeq(line, isNotToken) {
		if x := c.agent[word]; x != nil {
			return x
		}
		if x := c.request[word]; x != nil {
			return x
		}
		if len(word) == 2*len(traceID{}) {
			if id := parseTrace(word); id != (traceID{}) && c.sent[id] != nil {
				return c.sent[id]
			}
		}
	}
	return nil
}

// wants reports whether a span of the trace may be needed.
func (c *correlation) wants(id traceID) bool {
	return c.sent[id] != nil || c.event[id] != nil || c.linked[id] != nil
}

// keyRequestID is the attribute of the request id that the service keeps.
const keyRequestID = semconv.KeyHTTPRequestHeader + ".x-request-id"

// digests remembers the latest exports, to recognise those that arrive again.
type digests struct {
	known map[[sha256.Size]byte]struct{}
	order [][sha256.Size]byte
	next  int
}

// maxDigests bounds the remembered exports. An exporter sends an export again within a minute.
const maxDigests = 4096

func (d *digests) init() { d.known = map[[sha256.Size]byte]struct{}{} }

// again reports whether the body was seen before, and remembers it.
func (d *digests) again(body []byte) bool {
	sum := sha256.Sum256(body)
	if _, ok := d.known[sum]; ok {
		return true
	}
	d.known[sum] = struct{}{}
	if len(d.order) < maxDigests {
		d.order = append(d.order, sum)
		return false
	}
	delete(d.known, d.order[d.next])
	d.order[d.next] = sum
	d.next = (d.next + 1) % maxDigests
	return false
}
