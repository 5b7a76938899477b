// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// maxCheckpointLineBytes bounds a line of JSON: a batch of events, or the answer of a backend on
// one line.
const maxCheckpointLineBytes = 256 << 20

// checkpoints returns the signed checkpoints of all files that are of the trail of one of keys.
// Without any, although files were named, it returns an error.
func (c *trailVerify) checkpoints(t *terminal, keys []string) ([][]byte, error) {
	if len(c.Checkpoints) == 0 {
		return nil, nil
	}
	found := checkpointSet{origins: map[string]bool{}, seen: map[string]bool{}, others: map[string]bool{}}
	for _, key := range keys {
		origin, _, _ := strings.Cut(key, "+")
		found.origins[origin] = true
	}
	for _, file := range c.Checkpoints {
		if err := found.readFile(t, file); err != nil {
			return nil, err
		}
	}
	if len(found.all) > 0 {
		return found.all, nil
	}
	names := ""
	if len(found.others) > 0 {
		names = ": they have checkpoints of other trails only (" + strings.Join(found.otherNames(), ", ") + ")"
	}
	return nil, fmt.Errorf("no checkpoint of this trail is in %s%s; check the file or the query, and the public key", strings.Join(c.Checkpoints, ", "), names)
}

// checkpointSet collects signed checkpoints, each once.
type checkpointSet struct {
	origins map[string]bool // of the trail that is verified
	others  map[string]bool // found and left out, at most maxOtherOrigins
	seen    map[string]bool
	all     [][]byte
}

const maxOtherOrigins = 5

func (s *checkpointSet) otherNames() []string {
	var names []string
	for name := range s.others {
		names = append(names, quoted(shown(name)))
	}
	slices.Sort(names)
	return names
}

func (s *checkpointSet) readFile(t *terminal, file string) error {
	r := io.Reader(t.in)
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }() // only read
		r = f
	}
	if err := s.read(r); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// read adds the checkpoints of signed notes, one after the other, or of JSON documents.
func (s *checkpointSet) read(r io.Reader) error {
	in := bufio.NewReaderSize(r, 64<<10)
	start, err := in.Peek(1)
	for err == nil && bytes.ContainsAny(start, " \t\r\n") {
		_, _ = in.Discard(1)
		start, err = in.Peek(1)
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	if start[0] == '{' || start[0] == '[' {
		return s.readJSON(in)
	}
	return s.readText(in)
}

// readText adds signed notes and skips lines that are not part of one. A line that is JSON, as in
// the output of a gateway, is read as such.
func (s *checkpointSet) readText(r io.Reader) error {
	var text []string // since the end of the last note
	signatures := 0
	end := func() {
		if signatures > 0 {
			s.add(strings.Join(text, "\n") + "\n")
		}
		text, signatures = nil, 0
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxCheckpointLineBytes)
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "{"):
			end()
			if err := s.readJSON(strings.NewReader(line)); err != nil {
				return err
			}
			continue
		case strings.HasPrefix(line, "— "):
			signatures++
		case signatures > 0:
			end()
		}
		if line == "" && len(text) == 0 {
			continue // between notes
		}
		if text = append(text, line); len(text) > maxNoteLines {
			text = text[1:]
		}
	}
	end()
	return lines.Err()
}

// maxNoteLines bounds the lines of a signed note.
const maxNoteLines = 64

func (s *checkpointSet) readJSON(r io.Reader) error {
	decoder := json.NewDecoder(r)
	for {
		var document any
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("not valid JSON: %w; write signed checkpoints, or JSON with events", err)
		}
		s.walk(document, 0)
	}
}

// isNoteKey reports whether a backend stores the note under this name. Loki and others replace
// the dots.
func isNoteKey(key string) bool {
	return key == semconv.KeyTrailNote || key == strings.ReplaceAll(semconv.KeyTrailNote, ".", "_")
}

// maxDepth bounds nested documents, also those inside of strings.
const maxDepth = 32

// walk adds the notes in a document: members named like the attribute, attributes of OTLP, and
// JSON inside of strings, as Loki has lines.
func (s *checkpointSet) walk(value any, depth int) {
	if depth > maxDepth {
		return
	}
	switch value := value.(type) {
	case map[string]any:
		if key, ok := value["key"].(string); ok && isNoteKey(key) {
			if otlp, ok := value["value"].(map[string]any); ok {
				s.addValue(otlp["stringValue"])
			}
		}
		for key, member := range value {
			if isNoteKey(key) {
				s.addValue(member)
				continue
			}
			s.walk(member, depth+1)
		}
	case []any:
		for _, element := range value {
			s.walk(element, depth+1)
		}
	case string:
		if strings.HasPrefix(value, "{") && strings.Contains(value, "trail") {
			var nested any
			if json.Unmarshal([]byte(value), &nested) == nil {
				s.walk(nested, depth+1)
			}
		}
	}
}

func (s *checkpointSet) addValue(value any) {
	if text, ok := value.(string); ok {
		s.add(withLines(text))
	}
}

// withLines returns a note with its line breaks. Pipelines replace them with spaces against forged
// lines, as base.yaml of the collector does. Origin, size, root, names and signatures have none.
func withLines(signed string) string {
	const textFields, signatureFields = 3, 3
	fields := strings.Fields(signed)
	if strings.Contains(signed, "\n") || len(fields) <= textFields || (len(fields)-textFields)%signatureFields != 0 {
		return signed
	}
	text := strings.Join(fields[:textFields], "\n") + "\n\n"
	for signature := range slices.Chunk(fields[textFields:], signatureFields) {
		text += strings.Join(signature, " ") + "\n"
	}
	return text
}

// add adds a note if it is of this trail.
func (s *checkpointSet) add(signed string) {
	origin, _, _ := strings.Cut(signed, "\n")
	switch {
	case !s.origins[origin]:
		if len(s.others) < maxOtherOrigins {
			s.others[origin] = true
		}
	case !s.seen[signed]:
		s.seen[signed] = true
		s.all = append(s.all, []byte(signed))
	}
}
