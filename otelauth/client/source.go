// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"

	"github.com/otelauth/otelauth-go/otelauth/credential"
)

// Source returns the credentials to send, for example from a secret manager. It is called for
// every request and once more after a 401, so it must answer from memory and refresh in the
// background. It must be safe for concurrent use. ctx is the context of the request.
//
// An error fails the request and is returned to the caller of the http.Client, so it must not hold
// a secret.
type Source func(ctx context.Context) (name string, password credential.Secret, err error)

// source returns the credentials of a Transport. rejected is true after a 401 for the last ones.
type source interface {
	credentials(ctx context.Context, rejected bool) (name string, password credential.Secret, err error)
}

type static struct {
	name     string
	password credential.Secret
}

func (s static) credentials(context.Context, bool) (string, credential.Secret, error) {
	return s.name, s.password, nil
}

func (s Source) credentials(ctx context.Context, _ bool) (string, credential.Secret, error) {
	return s(ctx)
}
