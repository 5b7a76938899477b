// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"

	"github.com/otelauth/otelauth-go/otelauth/credential"
)

// Source gives the credentials to send: a secret manager's client, for instance. It is asked for every request,
// so it answers from memory and refreshes by itself; it is asked once more after a 401. It must be safe for
// concurrent use. ctx is the request's.
//
// An error fails the request and is part of what the caller of the http.Client sees, so it must hold no secret.
type Source func(ctx context.Context) (name string, password credential.Secret, err error)

// source is where a Transport has its credentials from. rejected says that what it gave last was answered 401.
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
