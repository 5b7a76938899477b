// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package credential_test

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/credential"
)

const canary = "canary-Wonderland-7"

// leaked returns the form in which out contains the canary, or "".
func leaked(out string) string {
	var decimal []string
	for _, c := range []byte(canary[:6]) {
		decimal = append(decimal, fmt.Sprint(c))
	}
	out = strings.ToLower(out)
	for form, part := range map[string]string{
		"plain":    canary[:6],
		"hex":      hex.EncodeToString([]byte(canary[:6])),
		"hex, 0x":  "0x63, 0x61, 0x6e",
		"hex, sp":  "63 61 6e",
		"decimal":  strings.Join(decimal, " "),
		"decimal,": strings.Join(decimal, ", "),
		"json":     strings.Join(decimal, ","),
		"base64":   strings.ToLower(base64.StdEncoding.EncodeToString([]byte(canary))[:16]),
		"quoted":   `\x63`,
		"octal":    "143 141",
		"binary":   "1100011 1100001",
		"unicode":  "u+0063",
	} {
		if strings.Contains(out, part) {
			return form
		}
	}
	return ""
}

type exported struct{ Password credential.Secret }

type unexported struct {
	password credential.Secret
	pointer  *credential.Secret
	parsed   credential.Basic
}

// shapes returns values that contain a Secret, for printers.
func shapes() map[string]any {
	s := credential.NewSecret(canary)
	field, defect := credential.Split(header("Basic "+b64("alice:"+canary)), 0)
	if defect != credential.NoDefect {
		panic(defect)
	}
	b, _ := field.Decode()
	hidden := unexported{s, &s, b}
	return map[string]any{
		"value":              s,
		"pointer":            &s,
		"decoded":            b,
		"decoded, pointer":   &b,
		"field":              field,
		"field, pointer":     &field,
		"fields":             []credential.Field{field},
		"struct":             exported{s},
		"struct, pointer":    &exported{s},
		"unexported":         hidden,
		"unexported pointer": &hidden,
		"nested unexported":  struct{ inner *unexported }{&hidden},
		"slice":              []credential.Secret{s},
		"array":              [1]credential.Secret{s},
		"map":                map[string]credential.Secret{"k": s},
		"map of pointers":    map[string]*credential.Secret{"k": &s},
		"interface":          []any{s, &s, b},
		"error":              fmt.Errorf("verify: %v: %w", s, errors.ErrUnsupported),
		"reflect.Value":      reflect.ValueOf(s),
		"reflect of a field": reflect.ValueOf(hidden).Field(0),
	}
}

func TestSecretPrintsInNoVerb(t *testing.T) {
	t.Parallel()
	for shape, v := range shapes() {
		for _, flags := range []string{"", "+", "#", "-", " ", "0", "+#", "# ", "40", ".3"} {
			// fmt handles p before any method; w and z are not verbs.
			for _, verb := range "vsqxXdobOcUeEfFgGtpwz" {
				if strings.HasPrefix(shape, "field") && strings.ContainsRune("pwz", verb) {
					continue // documented: only the methods of Field redact it
				}
				format := "%" + flags + string(verb)
				out := fmt.Sprintf(format, v)
				if form := leaked(out); form != "" {
					t.Errorf("%s of %s leaks (%s): %s", format, shape, form, out)
				}
			}
		}
		outs := []string{fmt.Sprint(v), fmt.Sprintln(v), fmt.Errorf("x: %v", v).Error()}
		// A wrong call prints its arguments by itself.
		for _, format := range []string{"", "%!", "%", "%[2]v", "%*d", "%.*d", "%d %d"} {
			outs = append(outs, fmt.Sprintf(format, v, v))
		}
		for _, out := range outs {
			if form := leaked(out); form != "" {
				t.Errorf("%s leaks (%s): %s", shape, form, out)
			}
		}
	}
}

func TestSecretIsRedacted(t *testing.T) {
	t.Parallel()
	s := credential.NewSecret(canary)
	for _, verb := range "vsqxXdobOcUeEfFgGt" {
		for _, flags := range []string{"", "+", "#"} {
			if got := fmt.Sprintf("%"+flags+string(verb), s); got != credential.Redacted {
				t.Errorf("%%%s%c: %s", flags, verb, got)
			}
		}
	}
	if s.String() != credential.Redacted || s.GoString() != credential.Redacted {
		t.Error("String or GoString is not redacted")
	}
	if got := fmt.Sprintf("%+v", &exported{s}); got != "&{Password:[redacted]}" {
		t.Error(got)
	}
	if got := fmt.Sprintf("%v", credential.Basic{Name: "alice", Password: s}); got != "{alice [redacted]}" {
		t.Error(got)
	}
}

// Where fmt cannot call a method, it prints an address: not even the length of the secret.
func TestSecretHidesItsLength(t *testing.T) {
	t.Parallel()
	secret := reflect.TypeFor[credential.Secret]()
	for i := range secret.NumField() {
		if f := secret.Field(i); f.Type.Kind() != reflect.Func {
			t.Errorf("field %s is a %s, which a printer shows", f.Name, f.Type.Kind())
		}
	}
	if secret.Comparable() {
		t.Error("== compiles")
	}
}

func TestSecretInEncodings(t *testing.T) {
	t.Parallel()
	for shape, v := range shapes() {
		if v, ok := v.(reflect.Value); ok && !v.CanInterface() {
			continue
		}
		if out, err := json.Marshal(v); leaked(string(out)+fmt.Sprint(err)) != "" {
			t.Errorf("JSON of %s leaks: %s %v", shape, out, err)
		}
		if out, err := xml.Marshal(v); leaked(string(out)+fmt.Sprint(err)) != "" {
			t.Errorf("XML of %s leaks: %s %v", shape, out, err)
		}
		var out bytes.Buffer
		if _, isReflect := v.(reflect.Value); isReflect {
			continue
		}
		if strings.HasPrefix(shape, "field") {
			continue
		}
		if err := gob.NewEncoder(&out).Encode(v); leaked(out.String()+fmt.Sprint(err)) != "" {
			t.Errorf("gob of %s leaks: %v", shape, err)
		}
	}
	out, err := json.Marshal(exported{credential.NewSecret(canary)})
	if err != nil || string(out) != `{"Password":"[redacted]"}` {
		t.Errorf("JSON: %s %v", out, err)
	}
	out, err = xml.Marshal(exported{credential.NewSecret(canary)})
	if err != nil || string(out) != `<exported><Password>[redacted]</Password></exported>` {
		t.Errorf("XML: %s %v", out, err)
	}
}

func TestSecretInSlog(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		for shape, v := range shapes() {
			out.Reset()
			slog.New(h).With("with", v).Info("attempt", "v", v, slog.Group("g", "v", v), "bare", slog.AnyValue(v))
			if form := leaked(out.String()); form != "" {
				t.Errorf("%T of %s leaks (%s): %s", h, shape, form, out.String())
			}
		}
		out.Reset()
		slog.New(h).Info("attempt", "password", credential.NewSecret(canary))
		if !strings.Contains(out.String(), credential.Redacted) {
			t.Errorf("%T: %s", h, out.String())
		}
	}
}

func TestSecretHoldsItsBytes(t *testing.T) {
	t.Parallel()
	for _, password := range []string{"", "a", canary, "\x00\xff", strings.Repeat("long", 4096)} {
		s := credential.NewSecret(password)
		if string(s.Expose()) != password || s.Len() != len(password) {
			t.Errorf("%d bytes became %d", len(password), s.Len())
		}
		if !s.Equal(credential.NewSecret(password)) || s.Equal(credential.NewSecret(password+"x")) {
			t.Errorf("Equal is wrong for %d bytes", len(password))
		}
		if e := s.Expose(); cap(e) != len(e) {
			t.Errorf("room for %d bytes after the password", cap(e)-len(e))
		}
	}
	var zero credential.Secret
	if zero.Len() != 0 || len(zero.Expose()) != 0 || !zero.Equal(credential.NewSecret("")) || zero.String() != credential.Redacted {
		t.Error("the zero Secret is not the empty password")
	}
}

func TestFieldPrintsItsSchemeOnly(t *testing.T) {
	t.Parallel()
	f := credential.Field{Scheme: attempt.SchemeBasic, Token: b64("alice:" + canary)}
	for _, got := range []string{f.String(), fmt.Sprintf("%#v", f), fmt.Sprintf("%d", f)} {
		if got != "basic [redacted]" {
			t.Error(got)
		}
	}
}
