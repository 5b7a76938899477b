// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
)

// MaxEndpoints is the number of endpoints that [ReadList] and [ReadEvents] read at most.
const MaxEndpoints = 100_000

// maxLine is the length of the longest line that is read.
const maxLine = 1 << 20

// ReadList reads a list of endpoints. name appears in errors and as [Endpoint.Source]. Each line
// is a method and a path, followed by expectations:
//
//	# comments and empty lines are skipped
//	GET  /orders/
//	GET  /static/site.css  public
//	GET  /                 optional
//	GET  /admin/users      groups=admin,ops
//	GET  /orders/4711      route=/orders/{id}
//	POST /orders/          content-type=application/json body={"item": "tea"}
//
// The value of body is the rest of the line.
func ReadList(r io.Reader, name string) ([]Endpoint, error) {
	var list []Endpoint
	var problems []error
	err := eachLine(r, name, func(n int, line string) bool {
		if line == "" || strings.HasPrefix(line, "#") {
			return true
		}
		e, err := parseLine(line)
		e.Source = fmt.Sprintf("%s:%d", name, n)
		if err == nil {
			err = e.validate()
			if err != nil {
				err = errors.New(strings.TrimPrefix(strings.TrimPrefix(err.Error(), "probe: "), e.Source+": "))
			}
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s:%d: %w", name, n, err))
			return len(problems) < 20
		}
		list = append(list, e)
		return len(list) < MaxEndpoints
	})
	if len(list) >= MaxEndpoints {
		err = fmt.Errorf("%s: more than %d endpoints", name, MaxEndpoints)
	}
	return list, errors.Join(errors.Join(problems...), err)
}

// eachLine calls f for each line, without spaces at its ends, until f returns false.
func eachLine(r io.Reader, name string, f func(n int, line string) bool) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	for n := 1; lines.Scan(); n++ {
		if !f(n, strings.TrimSpace(lines.Text())) {
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func parseLine(line string) (Endpoint, error) {
	method, rest, _ := strings.Cut(line, " ")
	e := Endpoint{Method: method}
	e.Path, rest, _ = strings.Cut(strings.TrimSpace(rest), " ")
	if e.Path == "" {
		return e, errors.New("a line is a method and a path: GET /orders/")
	}
	for rest = strings.TrimSpace(rest); rest != ""; rest = strings.TrimSpace(rest) {
		if body, found := strings.CutPrefix(rest, "body="); found {
			e.Body = body
			return e, nil
		}
		var word string
		word, rest, _ = strings.Cut(rest, " ")
		key, value, _ := strings.Cut(word, "=")
		switch {
		case word == string(Public), word == string(Optional), word == string(Protected):
			e.Access = Access(word)
		case key == "groups" && value != "":
			e.Groups = strings.Split(value, ",")
		case key == "route" && value != "":
			e.Route = value
		case key == "content-type" && value != "":
			e.ContentType = value
		default:
			return e, fmt.Errorf("%q is not an expectation: use public, optional, protected, groups=, route=, content-type= or body=", word)
		}
	}
	return e, nil
}

// accessEvent is the part of an access event that names its endpoint, in the words of
// OpenTelemetry, ECS and common access logs.
type accessEvent struct {
	Method     string          `json:"http.request.method"`
	Path       string          `json:"url.path"`
	Query      string          `json:"url.query"`
	Route      string          `json:"http.route"`
	Status     int             `json:"http.response.status_code"`
	PlainVerb  string          `json:"method"`
	PlainPath  string          `json:"path"`
	URI        string          `json:"uri"`
	RequestURI string          `json:"request_uri"`
	Request    json.RawMessage `json:"request"`
}

// endpoint returns the endpoint of an event. Its path is "" if the event has none.
func (a *accessEvent) endpoint() Endpoint {
	e := Endpoint{Method: a.Method, Path: a.Path, Route: a.Route}
	if e.Path != "" && !isEscaped(e.Path) {
		e.Path = (&url.URL{Path: e.Path}).EscapedPath()
	}
	if e.Path != "" && a.Query != "" {
		e.Path += "?" + a.Query
	}
	var nested struct{ Method, URI string } // Caddy
	if len(a.Request) > 0 && a.Request[0] == '{' {
		_ = json.Unmarshal(a.Request, &nested)
	}
	var line string // nginx: "GET /orders/ HTTP/1.1"
	if len(a.Request) > 0 && a.Request[0] == '"' {
		_ = json.Unmarshal(a.Request, &line)
		if fields := strings.Fields(line); len(fields) == 3 {
			nested.Method, nested.URI = fields[0], fields[1]
		}
	}
	for _, s := range []string{a.PlainVerb, nested.Method} {
		if e.Method == "" {
			e.Method = s
		}
	}
	for _, s := range []string{a.PlainPath, a.URI, a.RequestURI, nested.URI} {
		if e.Path == "" {
			e.Path = s
		}
	}
	return e
}

// isEscaped reports whether a path can be sent as it is.
func isEscaped(p string) bool {
	_, err := url.PathUnescape(p)
	return err == nil && !strings.ContainsFunc(p, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

// ReadEvents reads the endpoints of access events, one JSON object a line: events of this project,
// OpenTelemetry's names, and the access logs of nginx and Caddy in JSON. The first event of each
// method and route counts; a 2xx is preferred. Lines that are not
// such an event, and requests of an earlier probe, are skipped.
func ReadEvents(r io.Reader, name string) ([]Endpoint, error) {
	var list []Endpoint
	index := make(map[string]int)
	successes := make(map[string]bool)
	err := eachLine(r, name, func(n int, line string) bool {
		var a accessEvent
		if !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &a) != nil {
			return true
		}
		e := a.endpoint()
		e.Source = fmt.Sprintf("%s:%d", name, n)
		if strings.Contains(line, "otelauth-probe (") || e.Path == "" || e.validate() != nil {
			return true
		}
		path, _, _ := strings.Cut(e.Path, "?")
		key := e.Method + " " + cmp.Or(e.Route, path)
		success := a.Status >= 200 && a.Status < 300
		i, known := index[key]
		switch {
		case !known:
			index[key], successes[key] = len(list), success
			list = append(list, e)
		case success && !successes[key]:
			list[i], successes[key] = e, true
		}
		return len(list) < MaxEndpoints
	})
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("%s: no line is an access event in JSON with a method and a path", name)
	}
	return list, err
}
