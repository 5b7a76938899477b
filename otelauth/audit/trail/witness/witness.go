// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package witness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
)

// Config is the configuration of [New]. URL and Key are required.
type Config struct {
	// URL is the submission prefix of the witness, such as "https://witness.example/".
	URL string
	// Key is the public key of the witness, "name+hash+key" (c2sp.org/signed-note).
	Key string
	// HTTPClient sends the requests. Default: a client that follows no redirects.
	HTTPClient *http.Client
	// Timeout bounds one request. Default: 10 s.
	Timeout time.Duration
}

// Errors of [Client.Cosign] that a caller can act on. Test for them with [errors.Is].
var (
	// ErrBehind means that the witness has cosigned a longer tree than that of the checkpoint: the
	// trail was cut or an old copy was restored.
	ErrBehind = errors.New("witness: the witness has seen a longer trail; keep the folder as evidence, and compare it with the checkpoints that were exported")
	// ErrFork means that the witness has cosigned another tree: lines that it covers were changed.
	ErrFork = errors.New("witness: the witness has seen another trail of this name; keep the folder as evidence, and compare it with the checkpoints that were exported")
	// ErrUnknown means that the witness does not know the trail, or not its key.
	ErrUnknown = errors.New("witness: the witness does not know this trail or its key; give its operator the name and the public key of the trail")
)

// The bounds of what a witness answers and of a proof.
const (
	maxAnswerBytes = 64 << 10
	maxProofLines  = 63
)

// defaultTimeout is the default of [Config.Timeout].
const defaultTimeout = 10 * time.Second

// Client is a client of one witness. Make it with [New]. It implements [trail.Witness] and is safe
// for concurrent use.
type Client struct {
	endpoint string
	verifier note.Verifier
	http     *http.Client
	timeout  time.Duration

	mu sync.Mutex
	// seen has the size of the last cosigned tree of each trail. A wrong value costs one request.
	seen map[string]int64
}

var _ trail.Witness = (*Client)(nil)

// New returns a client. The error joins all errors of cfg.
func New(cfg Config) (*Client, error) {
	c := &Client{http: cfg.HTTPClient, timeout: cfg.Timeout, seen: map[string]int64{}}
	u, errURL := url.Parse(cfg.URL)
	if errURL != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.User != nil {
		errURL = errors.New("witness: Config.URL is not a URL such as https://witness.example/, without a query and a password")
	} else {
		c.endpoint = u.JoinPath("add-checkpoint").String()
	}
	var errKey error
	c.verifier, errKey = ParseKey(cfg.Key)
	if c.http == nil {
		c.http = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	if c.timeout <= 0 {
		c.timeout = defaultTimeout
	}
	if err := errors.Join(errURL, errKey); err != nil {
		return nil, err
	}
	return c, nil
}

// Name returns the name of the witness.
func (c *Client) Name() string { return c.verifier.Name() }

// Cosign submits a checkpoint and returns the valid signature lines of the witness. prove returns
// the proof that the checkpoint continues the tree of the given size. The error is [ErrBehind],
// [ErrFork], [ErrUnknown], or means that the witness did not answer as it should.
func (c *Client) Cosign(ctx context.Context, checkpoint trail.Checkpoint, prove func(size int64) (tlog.TreeProof, error)) ([]byte, error) {
	c.mu.Lock()
	old := min(c.seen[checkpoint.Origin], checkpoint.Size)
	c.mu.Unlock()
	// The second try has the size that the witness reports. A third one is for another client of
	// the same trail in between.
	for range 3 {
		lines, seen, err := c.try(ctx, checkpoint, old, prove)
		if err != nil {
			return nil, err
		}
		if lines != nil {
			c.mu.Lock()
			c.seen[checkpoint.Origin] = checkpoint.Size
			c.mu.Unlock()
			return lines, nil
		}
		switch {
		case seen > checkpoint.Size:
			return nil, fmt.Errorf("%w (%d lines, and not %d)", ErrBehind, seen, checkpoint.Size)
		case seen == old:
			return nil, fmt.Errorf("witness: %s refuses the size %d and asks for the same size; report this to its operator", c.Name(), old)
		}
		old = seen
	}
	return nil, fmt.Errorf("witness: %s: the size of the trail changes with each request; submit the trail from one place", c.Name())
}

// try makes one request. lines is nil if the witness has cosigned a tree of another size, seen.
func (c *Client) try(ctx context.Context, checkpoint trail.Checkpoint, old int64, prove func(size int64) (tlog.TreeProof, error)) (lines []byte, seen int64, err error) {
	body, err := request(checkpoint, old, prove)
	if err != nil {
		return nil, 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint, bytes.NewReader(body))
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, 0, fmt.Errorf("witness: %s: %w; check the network and the URL", c.Name(), err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes+1))
	if err != nil || len(answer) > maxAnswerBytes {
		return nil, 0, fmt.Errorf("witness: %s: the answer is not complete or longer than %d bytes: %w; check that the URL is that of a witness", c.Name(), maxAnswerBytes, errors.Join(err))
	}
	switch resp.StatusCode {
	case http.StatusOK:
		lines, err = c.valid(checkpoint, answer)
		return lines, 0, err
	case http.StatusConflict:
		seen, err = c.conflict(resp.Header.Get("Content-Type"), answer)
		if old == checkpoint.Size && (err != nil || seen == old) {
			return nil, 0, fmt.Errorf("%w (both of %d lines)", ErrFork, old)
		}
		return nil, seen, err
	case http.StatusUnprocessableEntity:
		return nil, 0, fmt.Errorf("%w (it refuses the proof from %d to %d lines)", ErrFork, old, checkpoint.Size)
	case http.StatusNotFound, http.StatusForbidden:
		return nil, 0, fmt.Errorf("%w (it answers %d)", ErrUnknown, resp.StatusCode)
	}
	if resp.StatusCode >= http.StatusInternalServerError {
		return nil, 0, fmt.Errorf("witness: %s answers %d; ask its operator for the reason, and whether it knows the name and the public key of the trail", c.Name(), resp.StatusCode)
	}
	return nil, 0, fmt.Errorf("witness: %s answers %d; check that the URL is that of a witness", c.Name(), resp.StatusCode)
}

// request returns the body of add-checkpoint.
func request(checkpoint trail.Checkpoint, old int64, prove func(size int64) (tlog.TreeProof, error)) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "old %d\n", old)
	if old > 0 && old < checkpoint.Size {
		proof, err := prove(old)
		if err != nil {
			return nil, fmt.Errorf("witness: proof from %d to %d lines: %w", old, checkpoint.Size, err)
		}
		if len(proof) > maxProofLines {
			return nil, fmt.Errorf("witness: the proof has %d lines, more than %d", len(proof), maxProofLines)
		}
		for _, hash := range proof {
			b.WriteString(hash.String())
			b.WriteByte('\n')
		}
	}
	b.WriteByte('\n')
	b.Write(checkpoint.Note)
	return b.Bytes(), nil
}

// conflict returns the size of the last checkpoint that the witness has cosigned.
func (c *Client) conflict(contentType string, answer []byte) (seen int64, err error) {
	text := strings.TrimSuffix(string(answer), "\n")
	seen, err = strconv.ParseInt(text, 10, 64)
	if err != nil || seen < 0 || strconv.FormatInt(seen, 10) != text || !strings.HasPrefix(contentType, "text/x.tlog.size") {
		return 0, fmt.Errorf("witness: %s answers 409 without a size; check that the URL is that of a witness", c.Name())
	}
	return seen, nil
}

// valid returns the signature lines of the answer that the key of the witness verifies.
func (c *Client) valid(checkpoint trail.Checkpoint, answer []byte) ([]byte, error) {
	text, _, found := bytes.Cut(checkpoint.Note, []byte("\n\n"))
	if !found {
		return nil, errors.New("witness: the checkpoint has no signature; sign it first")
	}
	signed := bytes.Join([][]byte{text, answer}, []byte("\n\n"))
	n, err := note.Open(signed, note.VerifierList(c.verifier))
	if err != nil {
		return nil, fmt.Errorf("witness: %s: the answer has no valid cosignature: %w; check the key of the witness", c.Name(), err)
	}
	var lines []byte
	for _, s := range n.Sigs {
		lines = append(lines, "— "+s.Name+" "+s.Base64+"\n"...)
	}
	return lines, nil
}
