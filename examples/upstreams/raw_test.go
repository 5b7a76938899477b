// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package upstreams

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// input is a request, byte for byte.
type input struct {
	method, target string
	host           string // "" is the host that the front expects
	header         []string
}

// line returns the request line, and what else differs from a plain request.
func (in input) line() string {
	line := in.method + " " + in.target + " HTTP/1.1"
	if in.host != "" {
		line += " | Host: " + in.host
	}
	for _, h := range in.header {
		line += " | " + h
	}
	return line
}

// front is what clients connect to.
type front struct {
	name string
	addr string
	host string
	tls  *tls.Config // nil: plaintext
}

// answer is a response. The zero answer is none: the server closed the connection.
type answer struct {
	status int
	body   string
}

// marker returns the line of the worst content that the response holds, and its kind.
func (a answer) marker() (k kind, line string) {
	for _, k := range []kind{restricted, protected, public} {
		if i := strings.Index(a.body, "marker="+string(k)); i >= 0 {
			line, _, _ = strings.Cut(a.body[i:], "\n")
			return k, line
		}
	}
	return "", ""
}

// client sends raw requests over one connection that it keeps. It is for one goroutine.
type client struct {
	front
	conn net.Conn
	r    *bufio.Reader
	head bytes.Buffer
}

func (c *client) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// do sends a request. A kept connection that the server has closed is replaced once.
func (c *client) do(in input, who account) (answer, error) {
	c.encode(in, who)
	for {
		kept := c.conn != nil
		if !kept {
			if err := c.dial(); err != nil {
				return answer{}, err
			}
		}
		a, err := c.exchange(in.method)
		if err == nil {
			return a, nil
		}
		c.close()
		if !kept {
			return answer{}, nil // a server may refuse by closing
		}
	}
}

func (c *client) dial() error {
	conn, err := net.DialTimeout("tcp", c.addr, patience)
	if err != nil {
		return err
	}
	if c.tls != nil {
		conn = tls.Client(conn, c.tls)
	}
	c.conn, c.r = conn, bufio.NewReader(conn)
	return nil
}

func (c *client) encode(in input, who account) {
	host := in.host
	if host == "" {
		host = c.host
	}
	c.head.Reset()
	c.head.WriteString(in.method + " " + in.target + " HTTP/1.1\r\nHost: " + host + "\r\n")
	if who.name != "" {
		c.head.WriteString("Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(who.name+":"+who.password)) + "\r\n")
	}
	for _, h := range in.header {
		c.head.WriteString(h + "\r\n")
	}
	if in.method == http.MethodPost || in.method == http.MethodPut {
		c.head.WriteString("Content-Length: 0\r\n")
	}
	c.head.WriteString("\r\n")
}

func (c *client) exchange(method string) (answer, error) {
	_ = c.conn.SetDeadline(time.Now().Add(patience))
	if _, err := c.conn.Write(c.head.Bytes()); err != nil {
		return answer{}, err
	}
	res, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		return answer{}, err
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{}, err
	}
	_ = res.Body.Close()
	if res.Close || c.r.Buffered() > 0 {
		c.close()
	}
	if len(body) == 0 {
		if k := res.Header.Get("Marker"); k != "" { // HEAD
			body = []byte("marker=" + k)
		}
	}
	return answer{res.StatusCode, string(body)}, nil
}
