// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package operator_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/operator"
)

var update = flag.Bool("update", false, "write openapi.json")

// object is a JSON object. encoding/json sorts its keys.
type object = map[string]any

// parameter is a query parameter.
type parameter struct{ name, kind, text string }

// route is one operation of the API.
type route struct {
	method, path, summary string
	parameters            []parameter
	body, answer          any
	refusals              []string
}

var (
	pLimit   = parameter{"limit", "integer", "How many elements the answer has at most: 1 to 1000. Default: 100."}
	pAccount = parameter{"account", "string", "Only those about the account with this name."}
	pNetwork = parameter{"network", "string", "Only those about this address or network."}
	pSince   = parameter{"since", "string", "A time such as 2026-01-31T12:00:00Z, or how long ago, such as 5m."}
)

// api is every operation.
var api = []route{
	{"get", "/v1/status", "The state of the process", nil, nil, operator.Status{}, nil},
	{"get", "/v1/attempts", "Recent attempts, the newest first", []parameter{
		pLimit, pSince,
		{"before", "integer", "Only attempts whose sequence is lower: the next page."},
		{"outcome", "string", "Only these outcomes, separated by commas."},
		pAccount,
		{"hash", "string", "Only those with this user.hash."},
		pNetwork,
		{"route", "string", "Only those of this endpoint."},
		{"trace_id", "string", "Only those of this trace."},
	}, nil, operator.AttemptList{}, nil},
	{"get", "/v1/traffic", "Attempts over time, by endpoint, account and network", []parameter{
		{"since", "string", pSince.text + " For accounts and networks. Default: 5m."},
		{"top", "integer", "How many accounts and networks the answer has at most: 1 to 1000. Default: 20."},
	}, nil, operator.Traffic{}, nil},
	{"get", "/v1/episodes", "Running and past episodes of detection", []parameter{
		pLimit,
		{"offset", "integer", "How many of the first elements are left out: the next page. A page may repeat episodes that have changed since."},
		{"state", "string", "running or past. Default: both."},
		{"rule", "string", "Only those of this rule."},
		{"severity", "string", "high, medium or low."},
		pAccount, pNetwork,
	}, nil, operator.EpisodeList{}, nil},
	{"get", "/v1/episodes/{id}", "One episode of detection, with all of its evidence", nil, nil, operator.EpisodeDetail{}, []string{"404"}},
	{"get", "/v1/budgets", "Who is blocked, and the rules in force", []parameter{
		pLimit,
		{"kind", "string", "pair, account, network, site or requests."},
		pAccount, pNetwork,
	}, nil, operator.BudgetList{}, nil},
	{"get", "/v1/budgets/explain", "Whether and why an account or a network is refused", []parameter{
		{"account", "string", "The name of the account. An account, a network or both are required."},
		{"network", "string", "The address or the network of the client."},
	}, nil, operator.Explanation{}, nil},
	{"get", "/v1/acts", "The acts of operators, the newest first", []parameter{pLimit}, nil, operator.ActList{}, nil},
	{
		"post", "/v1/acts", "Clear, allow, deny or forget", nil, operator.ActRequest{}, operator.ActResult{},
		[]string{"401", "404", "409"},
	},
	{
		"post", "/v1/acts/{id}/undo", "End the effect of an act", nil, operator.UndoRequest{}, operator.ActResult{},
		[]string{"401", "404", "409"},
	},
}

// events are the types of the live view.
var events = map[string]any{
	operator.EventHello: operator.Hello{}, operator.EventAttempts: operator.LiveAttempts{}, operator.EventEpisode: operator.Episode{},
	operator.EventAct: operator.Act{}, operator.EventPulse: operator.Pulse{}, operator.EventDropped: operator.Dropped{},
}

// TestOpenAPI compares openapi.json with what model.go and the table of routes say.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(document(t)); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("openapi.json", b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, b.Bytes()) {
		t.Error("openapi.json is not current: run go generate ./otelauth/operator")
	}
}

func document(t *testing.T) object {
	t.Helper()
	g := &generator{t: t, docs: fieldDocs(t), schemas: object{}}
	paths := object{}
	for _, r := range api {
		op := object{"summary": r.summary, "operationId": operationID(r), "responses": g.responses(r)}
		var parameters []object
		for _, p := range r.parameters {
			parameters = append(parameters, object{
				"name": p.name, "in": "query", "description": p.text, "schema": object{"type": p.kind},
			})
		}
		if strings.Contains(r.path, "{id}") {
			parameters = append(parameters, object{
				"name": "id", "in": "path", "required": true, "description": "The id of the " + map[bool]string{true: "episode", false: "act"}[r.body == nil] + ".", "schema": object{"type": "string"},
			})
		}
		if r.body != nil {
			op["requestBody"] = object{"required": true, "content": object{"application/json": object{"schema": g.ref(reflect.TypeOf(r.body))}}}
			parameters = append(parameters,
				object{
					"name": operator.ActHeader, "in": "header", "required": true,
					"description": "Any value. Browsers let no page of another origin send it.", "schema": object{"type": "string"},
				},
				object{
					"name": operator.InstanceHeader, "in": "header",
					"description": "The instance that the caller has seen; another one is refused with 409.", "schema": object{"type": "string"},
				})
		}
		if parameters != nil {
			op["parameters"] = parameters
		}
		item, _ := paths[r.path].(object)
		if item == nil {
			item = object{}
			paths[r.path] = item
		}
		item[r.method] = op
	}
	paths["/v1/live"] = object{"get": object{
		"summary": "The live view: server-sent events", "operationId": "getLive",
		"description": "The data of each event is JSON, and its type follows from the name of the event: " + g.eventText() +
			". The id of an event continues the stream with the header Last-Event-ID.",
		"responses": object{
			"200":     object{"description": "A stream of events.", "content": object{"text/event-stream": object{"schema": object{"type": "string"}}}},
			"default": g.refusal(),
		},
	}}
	paths["/v1/openapi.json"] = object{"get": object{
		"summary": "This document", "operationId": "getDocument",
		"responses": object{"200": object{"description": "OpenAPI 3.", "content": object{"application/json": object{"schema": object{"type": "object"}}}}},
	}}
	g.ref(reflect.TypeFor[operator.Refusal]())
	return object{
		"openapi": "3.0.3",
		"info": object{
			"title": "otelauth operator", "version": "1",
			"description": "What an operator can see and do at a running otelauth. Fields are added, never renamed: ignore those that you do not know.",
		},
		"servers":    []object{{"url": "/", "description": "Relative to where the handler is mounted."}},
		"paths":      paths,
		"components": object{"schemas": g.schemas},
	}
}

func operationID(r route) string {
	id := r.method
	for part := range strings.SplitSeq(strings.TrimPrefix(r.path, "/v1/"), "/") {
		part = strings.Trim(part, "{}")
		id += strings.ToUpper(part[:1]) + part[1:]
	}
	return id
}

type generator struct {
	t       *testing.T
	docs    map[string]string // by Type and Type.Field
	schemas object
}

func (g *generator) eventText() string {
	var parts []string
	for _, name := range []string{
		operator.EventHello, operator.EventAttempts, operator.EventEpisode, operator.EventAct, operator.EventPulse, operator.EventDropped,
	} {
		typ := reflect.TypeOf(events[name])
		g.ref(typ)
		parts = append(parts, name+" is "+typ.Name())
	}
	return strings.Join(parts, ", ")
}

func (g *generator) refusal() object {
	return object{
		"description": "The request is refused; code says why.",
		"content":     object{"application/problem+json": object{"schema": g.ref(reflect.TypeFor[operator.Refusal]())}},
	}
}

func (g *generator) responses(r route) object {
	all := object{
		"200":     object{"description": "OK", "content": object{"application/json": object{"schema": g.ref(reflect.TypeOf(r.answer))}}},
		"400":     g.refusal(),
		"403":     g.refusal(),
		"default": g.refusal(),
	}
	for _, status := range r.refusals {
		all[status] = g.refusal()
	}
	return all
}

// ref returns a reference to the schema of a struct, and creates the schema.
func (g *generator) ref(typ reflect.Type) object {
	name := typ.Name()
	if _, have := g.schemas[name]; !have {
		g.schemas[name] = nil // ends recursion
		s := object{"type": "object"}
		if text := g.docs[name]; text != "" {
			s["description"] = text
		}
		properties, required := object{}, []string{}
		g.fields(typ, properties, &required)
		s["properties"] = properties
		if len(required) > 0 {
			s["required"] = required
		}
		g.schemas[name] = s
	}
	return object{"$ref": "#/components/schemas/" + name}
}

func (g *generator) fields(typ reflect.Type, properties object, required *[]string) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		if f.Anonymous {
			g.fields(f.Type, properties, required)
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			g.t.Errorf("%s.%s has no name in JSON", typ.Name(), f.Name)
		}
		s := g.schema(f.Type)
		if text := g.docs[typ.Name()+"."+f.Name]; text != "" {
			if s["$ref"] != nil {
				s = object{"allOf": []object{s}}
			}
			s["description"] = text
		}
		properties[name] = s
		if !strings.Contains(options, "omitempty") {
			*required = append(*required, name)
		}
	}
}

func (g *generator) schema(typ reflect.Type) object {
	switch {
	case typ == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case typ.Kind() == reflect.Pointer:
		return g.schema(typ.Elem())
	}
	switch typ.Kind() {
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64, reflect.Uint64:
		s := object{"type": "integer"}
		if typ.Kind() == reflect.Uint64 {
			s["minimum"] = 0
		}
		return s
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Slice:
		return object{"type": "array", "items": g.schema(typ.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": g.schema(typ.Elem())}
	case reflect.Struct:
		return g.ref(typ)
	}
	g.t.Fatalf("no schema for %v", typ)
	return nil
}

// fieldDocs returns the comments of model.go, by Type and Type.Field.
func fieldDocs(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "model.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	docs := map[string]string{}
	for _, decl := range file.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range gen.Specs {
			typ, ok := spec.(*ast.TypeSpec)
			if !ok {
				continue
			}
			docs[typ.Name.Name] = plain(gen.Doc)
			s, ok := typ.Type.(*ast.StructType)
			if !ok {
				continue
			}
			for _, f := range s.Fields.List {
				for _, name := range f.Names {
					text := plain(f.Doc)
					if text == "" {
						text = plain(f.Comment)
					}
					docs[typ.Name.Name+"."+name.Name] = text
				}
			}
		}
	}
	return docs
}

// plain returns a comment as one line of text.
func plain(c *ast.CommentGroup) string {
	if c == nil {
		return ""
	}
	var p comment.Parser
	var printer comment.Printer
	printer.TextWidth = -1
	return strings.Join(strings.Fields(string(printer.Text(p.Parse(c.Text())))), " ")
}
