// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package openapi_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/otelauth/otelauth-go/otelauth/probe"
	"github.com/otelauth/otelauth-go/otelauth/probe/openapi"
)

const document = `
openapi: %s
info: {title: shop, version: "1"}
servers: [{url: "https://shop.example/{stage}", variables: {stage: {default: v1}}}]
security: [{basic: []}]
paths:
  /orders/{id}:
    parameters:
      - {name: id, in: path, required: true, schema: {type: integer, minimum: 7}}
    get:
      parameters:
        - {name: format, in: query, required: true, example: a b, schema: {type: string}}
        - {name: page, in: query, schema: {type: integer}}
      responses: {"200": {description: ok}}
    delete:
      x-otelauth-groups: [admin]
      responses: {"204": {description: ok}}
  /customers/{name}:
    get:
      parameters: [{name: name, in: path, required: true, schema: {type: string}}]
      responses: {"200": {description: ok}}
  /health:
    get:
      security: []
      responses: {"200": {description: ok}}
  /home:
    get:
      security: [{basic: []}, {}]
      responses: {"200": {description: ok}}
  /notes:
    post:
      requestBody:
        content:
          application/json:
            schema: {$ref: "#/components/schemas/Note"}
            example: {text: hello}
      responses: {"201": {description: ok}}
components:
  securitySchemes: {basic: {type: http, scheme: basic}}
  schemas:
    Note:
      type: object
      properties: {text: {type: string}, answers: {type: array, items: {$ref: "#/components/schemas/Note"}}}
`

func TestRead(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"3.0.3", "3.1.0"} {
		got, err := openapi.Read(strings.NewReader(fmt.Sprintf(document, version)), "shop.yaml")
		if err != nil {
			t.Fatalf("%s: %v", version, err)
		}
		want := []probe.Endpoint{
			{Method: "GET", Path: "/v1/customers/{name}", Route: "/v1/customers/{name}", Skip: "the path parameter {name} has no example: add one to shop.yaml"},
			{Method: "GET", Path: "/v1/health", Route: "/v1/health", Access: probe.Public},
			{Method: "GET", Path: "/v1/home", Route: "/v1/home", Access: probe.Optional},
			{Method: "POST", Path: "/v1/notes", Route: "/v1/notes", ContentType: "application/json", Body: `{"text":"hello"}`},
			{Method: "DELETE", Path: "/v1/orders/7", Route: "/v1/orders/{id}", Groups: []string{"admin"}},
			{Method: "GET", Path: "/v1/orders/7?format=a+b", Route: "/v1/orders/{id}"},
		}
		for i := range want {
			want[i].Source = "shop.yaml"
			if want[i].Access == "" {
				want[i].Access = probe.Protected
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", version, diff)
		}
	}
}

func TestBadDocuments(t *testing.T) {
	t.Parallel()
	minimal := "openapi: 3.0.3\ninfo: {title: t, version: '1'}\npaths:\n"
	for name, c := range map[string]struct{ text, want string }{
		"empty":         {"", "OpenAPI"},
		"not YAML":      {"\t{", "not an OpenAPI document"},
		"HTML":          {"<!doctype html><title>Not found</title>", "OpenAPI"},
		"Swagger 2.0":   {"swagger: '2.0'\ninfo: {title: t, version: '1'}\npaths: {}\n", "convert"},
		"no paths":      {"openapi: 3.0.3\ninfo: {title: t, version: '1'}\npaths: {}\n", "no paths"},
		"remote":        {minimal + "  /a: {$ref: 'https://shop.example/a.yaml'}\n", "not an OpenAPI document"},
		"a file":        {minimal + "  /a: {$ref: '/etc/passwd'}\n", "not an OpenAPI document"},
		"missing":       {minimal + "  /a: {get: {parameters: [{$ref: '#/components/parameters/none'}], responses: {}}}\n", "not an OpenAPI document"},
		"too large":     {minimal + strings.Repeat("#", openapi.MaxBytes), "larger"},
		"alias bombs":   {bomb(), "OpenAPI"},
		"deeply nested": {"openapi: " + strings.Repeat("[", 100_000), "OpenAPI"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list, err := openapi.Read(strings.NewReader(c.text), "shop.yaml")
			if err == nil || !strings.HasPrefix(err.Error(), "shop.yaml: ") || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %d endpoints and the error %v, want %q", len(list), err, c.want)
			}
		})
	}
}

func TestParameterThatRefersToItself(t *testing.T) {
	t.Parallel()
	list, err := openapi.Read(strings.NewReader("openapi: 3.0.3\ninfo: {title: t, version: '1'}\npaths:\n"+
		"  /a: {get: {parameters: [{$ref: '#/components/parameters/a'}], responses: {}}}\n"+
		"components: {parameters: {a: {$ref: '#/components/parameters/a'}}}\n"), "shop.yaml")
	if err != nil || len(list) != 1 || !strings.Contains(list[0].Skip, "refers to itself") {
		t.Errorf("got %v, %v", list, err)
	}
}

// bomb is a document whose aliases multiply.
func bomb() string {
	var b strings.Builder
	b.WriteString("openapi: 3.0.3\nx0: &x0 [a, a, a, a, a, a, a, a, a]\n")
	for i := range 12 {
		fmt.Fprintf(&b, "x%d: &x%d [*x%d, *x%d, *x%d, *x%d, *x%d, *x%d, *x%d, *x%d, *x%d]\n", i+1, i+1, i, i, i, i, i, i, i, i, i)
	}
	return b.String()
}

// TestNull: a null stands for an absent value.
func TestNull(t *testing.T) {
	t.Parallel()
	for _, text := range nulls {
		list, err := openapi.Read(strings.NewReader(text), "shop.yaml")
		if err != nil || len(list) != 1 {
			t.Errorf("got %v, %v for\n%s", list, err, text)
		}
	}
}

// nulls are documents with one operation and a value that is null.
var nulls = func() (texts []string) {
	for _, servers := range []string{"", "servers: ~\n", "servers: [~]\n", "servers: [{url: '/{a}', variables: {a: ~}}]\n"} {
		for _, content := range []string{"~", "{}", "{application/json: ~}", "{application/json: {schema: ~, examples: ~}}"} {
			texts = append(texts, "openapi: 3.0.3\ninfo: {title: t, version: '1'}\nsecurity: ~\n"+servers+
				"paths: {/a: {get: {responses: ~, parameters: ~, requestBody: {content: "+content+"}}}, /b: ~, /c: {get: ~}}\n")
		}
	}
	return texts
}()

func FuzzRead(f *testing.F) {
	f.Add(fmt.Sprintf(document, "3.1.0"))
	f.Add(bomb())
	for _, text := range nulls {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := openapi.Read(strings.NewReader(text), "fuzz")
		if err != nil {
			return
		}
		for _, e := range list {
			if e.Skip == "" && strings.Contains(e.Path, "{") {
				t.Errorf("%s has a parameter without a value", e)
			}
		}
	})
}

func ExampleRead() {
	list, err := openapi.Read(strings.NewReader(fmt.Sprintf(document, "3.1.0")), "shop.yaml")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range list {
		fmt.Println(e, e.Access)
	}
	// Output:
	// GET /v1/customers/{name} protected
	// GET /v1/health public
	// GET /v1/home optional
	// POST /v1/notes protected
	// DELETE /v1/orders/7 protected
	// GET /v1/orders/7?format=a+b protected
}
