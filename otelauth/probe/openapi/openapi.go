// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package openapi reads the endpoints of an OpenAPI 3.0 or 3.1 document, for package probe.
//
// The values of parameters come from the document: example, examples, default, enum. An endpoint
// whose parameters have no value is returned with the reason in [probe.Endpoint.Skip]. References
// to other files and hosts are refused, because reading a document must not send a request.
package openapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/otelauth/otelauth-go/otelauth/probe"
)

// MaxBytes is the size of the largest document.
const MaxBytes = 16 << 20

// extensionGroups names the extension of an operation that lists the groups which may use it.
const extensionGroups = "x-otelauth-groups"

// Read returns the endpoints of a document in YAML or JSON, sorted by path and method. name
// appears in errors and as [probe.Endpoint.Source].
//
// An operation with "security: []" is public, one whose security has an empty requirement is
// optional, and each other one is protected. The extension x-otelauth-groups lists the groups that
// may use it.
func Read(r io.Reader, name string) ([]probe.Endpoint, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(text) > MaxBytes {
		return nil, fmt.Errorf("%s: the document is larger than %d bytes", name, MaxBytes)
	}
	loader := openapi3.NewLoader()
	loader.IsExternalRefsAllowed = false
	loader.ReadFromURIFunc = func(*openapi3.Loader, *url.URL) ([]byte, error) {
		return nil, errors.New("references to other documents are not followed: bundle them into one file")
	}
	doc, err := loader.LoadFromData(text)
	if err != nil {
		return nil, fmt.Errorf("%s: not an OpenAPI document: %s", name, firstLine(err))
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.") {
		return nil, fmt.Errorf("%s: not an OpenAPI 3 document: the field openapi must be 3.0 or 3.1; convert Swagger 2.0 first", name)
	}
	d := document{doc: doc, name: name, base: basePath(doc)}
	var list []probe.Endpoint
	for _, path := range slices.Sorted(maps.Keys(doc.Paths.Map())) {
		item := doc.Paths.Value(path)
		operations := item.Operations()
		for _, method := range slices.Sorted(maps.Keys(operations)) {
			list = append(list, d.endpoint(method, path, item, operations[method]))
			if len(list) > probe.MaxEndpoints {
				return nil, fmt.Errorf("%s: more than %d endpoints", name, probe.MaxEndpoints)
			}
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: the document has no paths", name)
	}
	return list, nil
}

// firstLine returns the first line of an error, at most 300 bytes.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line[:min(len(line), 300)]
}

// basePath returns the path of the first server, without a slash at its end.
func basePath(doc *openapi3.T) string {
	if len(doc.Servers) == 0 || doc.Servers[0] == nil {
		return ""
	}
	text := doc.Servers[0].URL
	for name, v := range doc.Servers[0].Variables {
		if v != nil {
			text = strings.ReplaceAll(text, "{"+name+"}", v.Default)
		}
	}
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(u.EscapedPath(), "/")
}

type document struct {
	doc        *openapi3.T
	name, base string
}

// endpoint returns the endpoint of an operation.
func (d *document) endpoint(method, path string, item *openapi3.PathItem, op *openapi3.Operation) probe.Endpoint {
	e := probe.Endpoint{
		Method: method, Path: d.base + path, Route: d.base + path, Source: d.name, Access: d.access(op), Groups: groups(op),
	}
	query := url.Values{}
	if refersToItself(item.Parameters) || refersToItself(op.Parameters) {
		e.Skip = "a parameter refers to itself: correct it in " + d.name
	}
	for _, p := range parameters(item, op) {
		value, found := parameterValue(p)
		switch {
		case p.In == openapi3.ParameterInPath && !found:
			e.Skip = fmt.Sprintf("the path parameter {%s} has no example: add one to %s", p.Name, d.name)
		case p.In == openapi3.ParameterInPath:
			e.Path = strings.ReplaceAll(e.Path, "{"+p.Name+"}", url.PathEscape(value))
		case !p.Required:
		case !found:
			e.Skip = fmt.Sprintf("the required parameter %s has no example: add one to %s", p.Name, d.name)
		case p.In == openapi3.ParameterInQuery:
			query.Set(p.Name, value)
		default:
			e.Skip = fmt.Sprintf("the required parameter %s is in the %s, which the probe does not send", p.Name, p.In)
		}
	}
	if strings.Contains(e.Path, "{") && e.Skip == "" {
		e.Skip = "the path has a parameter that is not declared: declare it in " + d.name
	}
	if len(query) > 0 {
		e.Path += "?" + query.Encode()
	}
	e.ContentType, e.Body = body(op)
	return e
}

// refersToItself reports whether a reference has no end.
func refersToItself(list openapi3.Parameters) bool {
	return slices.ContainsFunc(list, func(p *openapi3.ParameterRef) bool { return p == nil || p.Value == nil })
}

// access returns who may use an operation.
func (d *document) access(op *openapi3.Operation) probe.Access {
	security := d.doc.Security
	if op.Security != nil {
		security = *op.Security
		if len(security) == 0 {
			return probe.Public
		}
	}
	for _, requirement := range security {
		if len(requirement) == 0 {
			return probe.Optional
		}
	}
	return probe.Protected
}

func groups(op *openapi3.Operation) []string {
	list, _ := op.Extensions[extensionGroups].([]any)
	var names []string
	for _, g := range list {
		if name, ok := g.(string); ok {
			names = append(names, name)
		}
	}
	return names
}

// parameters returns those of the operation, which replace those of the path.
func parameters(item *openapi3.PathItem, op *openapi3.Operation) []*openapi3.Parameter {
	byName := make(map[string]*openapi3.Parameter)
	for _, list := range []openapi3.Parameters{item.Parameters, op.Parameters} {
		for _, ref := range list {
			if ref != nil && ref.Value != nil {
				byName[ref.Value.In+" "+ref.Value.Name] = ref.Value
			}
		}
	}
	var all []*openapi3.Parameter
	for _, key := range slices.Sorted(maps.Keys(byName)) {
		all = append(all, byName[key])
	}
	return all
}

// parameterValue returns the value of a parameter that the document gives.
func parameterValue(p *openapi3.Parameter) (string, bool) {
	if text, ok := scalar(p.Example); ok {
		return text, true
	}
	if v, ok := example(p.Examples); ok {
		if text, ok := scalar(v); ok {
			return text, true
		}
	}
	if p.Schema == nil || p.Schema.Value == nil {
		return "", false
	}
	s := p.Schema.Value
	for _, v := range slices.Concat([]any{s.Example}, s.Examples, []any{s.Default}, s.Enum) {
		if text, ok := scalar(v); ok {
			return text, true
		}
	}
	switch {
	case s.Type.Is(openapi3.TypeInteger), s.Type.Is(openapi3.TypeNumber):
		if s.Min != nil {
			return fmt.Sprintf("%.0f", *s.Min), true
		}
		return "1", true
	case s.Type.Is(openapi3.TypeBoolean):
		return "true", true
	}
	return "", false
}

// example returns the value of the first example, by name.
func example(all openapi3.Examples) (any, bool) {
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if ref := all[key]; ref != nil && ref.Value != nil && ref.Value.Value != nil {
			return ref.Value.Value, true
		}
	}
	return nil, false
}

// scalar returns a text, a number or a boolean as text.
func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, v != ""
	case bool:
		return fmt.Sprint(v), true
	case float64:
		return strings.TrimSuffix(fmt.Sprintf("%f", v), ".000000"), true
	case int, int64, uint64, json.Number:
		return fmt.Sprint(v), true
	}
	return "", false
}

// body returns the content type and the body of an operation. A body without an example in JSON
// is an empty object.
func body(op *openapi3.Operation) (contentType, text string) {
	if op.RequestBody == nil || op.RequestBody.Value == nil {
		return "", ""
	}
	content := op.RequestBody.Value.Content
	types := slices.Sorted(maps.Keys(content))
	if i := slices.Index(types, "application/json"); i > 0 {
		types[0], types[i] = types[i], types[0]
	}
	if len(types) == 0 {
		return "", ""
	}
	contentType = types[0]
	media := content[contentType]
	if media == nil {
		media = &openapi3.MediaType{}
	}
	value := media.Example
	if value == nil {
		value, _ = example(media.Examples)
	}
	if value == nil && media.Schema != nil && media.Schema.Value != nil {
		value = media.Schema.Value.Example
	}
	if text, ok := value.(string); ok {
		return contentType, text
	}
	if value == nil {
		value = struct{}{}
	}
	if !strings.HasSuffix(contentType, "json") {
		return contentType, ""
	}
	b, err := json.Marshal(value)
	if err != nil {
		return contentType, "{}"
	}
	return contentType, string(b)
}
