// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// origin is a scheme, a host and a port (RFC 6454 section 4) in canonical form, comparable with
// ==: lower case, always with a port, an IP address in its canonical text.
type origin struct {
	scheme string
	host   string
	port   string
}

func (o origin) String() string { return o.scheme + "://" + net.JoinHostPort(o.host, o.port) }

// addr returns the address that net/http dials.
func (o origin) addr() string { return net.JoinHostPort(o.host, o.port) }

func (o origin) isPlaintext() bool { return o.scheme == "http" }

// parseOrigin parses one element of Config.Origins. Its errors do not quote s, which may contain a
// password.
func parseOrigin(s string) (origin, error) {
	u, err := url.Parse(s)
	if err != nil {
		return origin{}, errors.New(`is not a URL; write it as "https://host" or "https://host:port"`)
	}
	switch {
	case u.User != nil:
		return origin{}, errors.New("has user information; set Name and Password instead")
	case u.Opaque != "", u.Host == "":
		return origin{}, errors.New(`has no host; write it as "https://host" or "https://host:port"`)
	case u.Path != "" && u.Path != "/", u.RawQuery != "", u.ForceQuery, u.Fragment != "":
		return origin{}, errors.New("has a path, query or fragment; write scheme, host and port only")
	}
	o, ok := originOf(u)
	if !ok {
		return origin{}, fmt.Errorf("is invalid; use scheme http or https, an ASCII host (xn--… for "+
			"other names) and a port from 1 to 65535, not scheme %q, host %q, port %q", u.Scheme, u.Hostname(), u.Port())
	}
	return o, nil
}

// originOf returns the origin of a URL, or false for a URL that matches no configured origin.
//
// A host that is not ASCII matches none: net/http connects to its xn-- form, so two spellings
// would share a connection that was checked for one of them only. A final dot is significant, as
// in browsers.
func originOf(u *url.URL) (origin, bool) {
	var o origin
	switch {
	case strings.EqualFold(u.Scheme, "https"):
		o.scheme, o.port = "https", "443"
	case strings.EqualFold(u.Scheme, "http"):
		o.scheme, o.port = "http", "80"
	default:
		return origin{}, false
	}
	host, ok := normalHost(u.Hostname())
	if !ok {
		return origin{}, false
	}
	o.host = host
	if p := u.Port(); p != "" {
		if o.port, ok = normalPort(p); !ok {
			return origin{}, false
		}
	}
	return o, true
}

// normalPort removes leading zeros: net/http dials "0443" unchanged, which is 443.
func normalPort(port string) (string, bool) {
	n, err := strconv.ParseUint(port, 10, 16)
	return strconv.FormatUint(n, 10), err == nil && n > 0
}

func normalHost(host string) (string, bool) {
	if host == "" {
		return "", false
	}
	for i := range len(host) {
		if host[i] <= ' ' || host[i] >= 0x7f {
			return "", false
		}
	}
	// Only a possible address is parsed: the error of ParseAddr costs an allocation.
	if strings.IndexByte(host, ':') >= 0 || host[len(host)-1]-'0' <= 9 {
		if a, err := netip.ParseAddr(host); err == nil {
			return a.String(), true
		}
	}
	return strings.ToLower(host), true
}
