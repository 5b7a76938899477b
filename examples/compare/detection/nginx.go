// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detection

import (
	"fmt"
	"strings"

	"github.com/otelauth/otelauth-go/internal/simulate"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// errorLine returns the line that nginx's auth_basic writes to the error log at its default level
// "error", in UTC. It logs a request without credentials at level "info" only. A disabled account
// is not in the file.
func errorLine(a *simulate.Attempt, request int) string {
	if a.Outcome != attempt.Failure {
		return ""
	}
	reason := `: password mismatch`
	if !a.Known {
		reason = ` was not found in "/etc/nginx/htpasswd"`
	}
	return fmt.Sprintf(`%s [error] 29#29: *%d user "%s"%s, client: %s, server: api.example.com, request: "GET %s HTTP/1.1", host: "api.example.com"`,
		a.Time.UTC().Format("2006/01/02 15:04:05"), request+1, a.Name, reason, a.Client, pathOf(a.Route))
}

var wildcards = strings.NewReplacer("{id}", "7", "{page}", "status", "{path...}", "2026/report.txt")

// pathOf returns a path that the route matches.
func pathOf(route string) string { return wildcards.Replace(route) }
