// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package credential_test

import (
	"fmt"
	"net/http/httptest"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/credential"
)

func ExampleSplit() {
	r := httptest.NewRequest("GET", "/orders", nil)
	r.Header.Set("Authorization", "basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")

	field, defect := credential.Split(r.Header, 0)
	fmt.Println(field, defect)

	r.Header.Add("Authorization", "Bearer abc")
	field, defect = credential.Split(r.Header, 0)
	fmt.Println(field, defect)
	// Output:
	// basic [redacted] no_defect
	// basic [redacted] duplicate_header
}

func ExampleField_Decode() {
	field := credential.Field{Scheme: attempt.SchemeBasic, Token: "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}
	basic, defect := field.Decode()
	fmt.Println(basic.Name, basic.Password, defect)
	// Output:
	// Aladdin [redacted] no_defect
}

func ExampleNewSecret() {
	s := credential.NewSecret("open sesame")
	fmt.Printf("%v %q %#v %d\n", s, s, s, s)
	fmt.Println(fmt.Errorf("sign in with %s failed", s))
	fmt.Println(string(s.Expose()), s.Equal(credential.NewSecret("open barley")))
	// Output:
	// [redacted] [redacted] [redacted] [redacted]
	// sign in with [redacted] failed
	// open sesame false
}

func ExampleEncode() {
	value, err := credential.Encode("Aladdin", credential.NewSecret("open sesame"))
	fmt.Println(value, err)

	_, err = credential.Encode("Aladdin", credential.NewSecret("open sesame\n"))
	fmt.Println(err)
	// Output:
	// Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ== <nil>
	// credential: the password has a control character; remove the line break at its end
}

func ExampleChallenge() {
	challenge, err := credential.Challenge(`the "orders" service`)
	fmt.Println(challenge, err)
	// Output:
	// Basic realm="the \"orders\" service", charset="UTF-8" <nil>
}

func ExampleDefect_Reason() {
	field := credential.Field{Scheme: attempt.SchemeBasic, Token: "YWxpY2U="} // "alice"
	_, defect := field.Decode()
	fmt.Println(defect.Reason())
	// Output:
	// no_colon
}
