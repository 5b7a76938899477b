// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package operator_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/operator"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// A service that lets the group ops see and act, beneath /operator/.
func ExampleNew() {
	op, err := operator.New(operator.Config{Acts: true})
	if err != nil {
		log.Fatal(err)
	}
	mw, err := otelauth.New(otelauth.Config{
		Accounts:   &verify.Static{Hashes: map[string]string{"root": "$2a$04$bbxDPdNXVRQemIgGJIUZZuvB4CtLsA8B9LA.6r.PjsMOlSiQQLIo2"}},
		Additional: []attempt.Observer{op},
		Detect:     detect.Config{OnEpisode: op.Detection},
		Observers:  []attempt.Observer{}, // an example records nothing else
	})
	if err != nil {
		log.Fatal(err)
	}
	defer mw.Close()
	op.Attach(mw)
	defer op.Close()
	mux := http.NewServeMux()
	mux.Handle("/operator/", mw.Wrap(mw.RequireGroup("ops")(http.StripPrefix("/operator", op))))

	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "https://shop.example/operator/v1/status", nil)
	mux.ServeHTTP(w, r)
	fmt.Println(w.Code)
	// Output: 401
}

// A service that authenticates operators in a way of its own.
func ExampleWithActor() {
	op, err := operator.New(operator.Config{})
	if err != nil {
		log.Fatal(err)
	}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.Header.Get("X-Verified-Operator") // set by a proxy that has verified it
		op.ServeHTTP(w, r.WithContext(operator.WithActor(r.Context(), name)))
	})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/acts", nil))
	fmt.Println(w.Code)
	// Output: 403
}
