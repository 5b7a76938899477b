// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/otelauth/otelauth-go/otelauth/throttle"
)

// Error returns what the API answered: "operator: the password was wrong (code)".
func (f *Refusal) Error() string { return "operator: " + f.Detail }

// refuse returns a Refusal. The detail ends with what to do.
func refuse(status int, code, format string, args ...any) *Refusal {
	return &Refusal{
		Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Detail: fmt.Sprintf(format, args...),
	}
}

func invalid(format string, args ...any) *Refusal {
	return refuse(http.StatusBadRequest, CodeInvalid, format, args...)
}

// asRefusal returns the Refusal for any error.
func asRefusal(err error) *Refusal {
	var f *Refusal
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, throttle.ErrRules):
		return refuse(http.StatusConflict, CodeTooManyRules, "Too many rules are in force. Undo some of them and try again.")
	case errors.Is(err, throttle.ErrSubject), errors.Is(err, throttle.ErrAct):
		return invalid("%s", shown(err.Error()))
	}
	return refuse(http.StatusServiceUnavailable, CodeStore, "%s", shown(err.Error()))
}
