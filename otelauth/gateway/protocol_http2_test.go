// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/internal/testkit"
)

// Frame types and flags of RFC 9113, section 6.
const (
	frameData, frameHeaders, framePriority, frameReset, frameSettings      = 0, 1, 2, 3, 4
	framePush, framePing, frameGoAway, frameWindow, frameContinuation      = 5, 6, 7, 8, 9
	flagEndStream, flagEndHeaders, flagPadded, flagAck                byte = 1, 4, 8, 1
)

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// frame returns one frame as bytes. It checks nothing, because the corpus consists of invalid
// ones.
func frame(kind, flags byte, stream uint32, payload string) string {
	head := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	return string(binary.BigEndian.AppendUint32(append(head, flags), stream)) + payload
}

// block encodes fields, "name: value" each, as HPACK literals without indexing and without
// Huffman codes.
func block(fields ...string) string {
	var b strings.Builder
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		b.WriteByte(0)
		for _, s := range []string{name, value} {
			b.WriteString(hpackLength(len(s)) + s)
		}
	}
	return b.String()
}

// hpackLength is the length of a string in HPACK's prefix code of 7 bits.
func hpackLength(n int) string {
	if n < 127 {
		return string([]byte{byte(n)})
	}
	b := []byte{127}
	for n -= 127; n >= 128; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return string(append(b, byte(n)))
}

var h2Auth = "authorization: " + strings.TrimSpace(strings.TrimPrefix(wireAuth, "Authorization: "))

// h2Request returns the fields of a valid request with changes: a field replaces the one of the
// same name, "-name" removes it, and others are added.
func h2Request(change ...string) []string {
	fields := []string{":method: GET", ":scheme: http", ":path: /seen", ":authority: h", h2Auth}
	for _, c := range change {
		if name, remove := strings.CutPrefix(c, "-"); remove {
			fields = slices.DeleteFunc(fields, func(f string) bool { return strings.HasPrefix(f, name+": ") })
			continue
		}
		name, _, _ := strings.Cut(c, ": ")
		if i := slices.IndexFunc(fields, func(f string) bool { return strings.HasPrefix(f, name+": ") }); i >= 0 {
			fields[i] = c
		} else {
			fields = append(fields, c)
		}
	}
	return fields
}

// atMostOne is the verdict where the gateway may begin the request before it detects the error.
const atMostOne = -1

// h2Get is one whole request on a stream.
func h2Get(stream uint32, fields ...string) string {
	return frame(frameHeaders, flagEndStream|flagEndHeaders, stream, block(fields...))
}

// http2Cases is the HTTP/2 part of the corpus: frames after the preface, and how many requests
// of them reach the service.
func http2Cases() []wireCase {
	one := func(name string, change ...string) wireCase {
		return wireCase{name, h2Get(1, h2Request(change...)...), 0}
	}
	right := h2Get(1, h2Request()...)
	open := frame(frameHeaders, flagEndHeaders, 1, block(h2Request(":method: POST", "content-length: 3")...))
	long := block(h2Request("x: " + strings.Repeat("x", 9000))...)
	return []wireCase{
		{"a right request", right, 1},
		{"a right request in CONTINUATION", frame(frameHeaders, flagEndStream, 1, long[:5000]) + frame(frameContinuation, flagEndHeaders, 1, long[5000:]), 1},
		{"te: trailers", h2Get(1, h2Request("te: trailers")...), 1},
		// Fields, RFC 9113, section 8.2.
		one("a name in capitals", "X-Upper: x"),
		one("Authorization in capitals", "-authorization", strings.Replace(h2Auth, "a", "A", 1)),
		one("connection", "connection: remote-user"),
		one("keep-alive", "keep-alive: timeout=5"),
		one("proxy-connection", "proxy-connection: close"),
		one("transfer-encoding", "transfer-encoding: chunked"),
		one("upgrade", "upgrade: h2c"),
		one("te: gzip", "te: gzip"),
		one("a name with a space", "x y: 1"),
		one("a name with a colon", "x:y: 1"),
		one("a name with CR LF", "x\r\nremote-user: root"),
		one("a value with CR LF", "x: a\r\nremote-user: root"),
		one("a value with LF", "x: a\nremote-user: root"),
		one("a value with NUL", "x: a\x00b"),
		one("two lengths", "content-length: 0", "Content-Length: 3"),
		{"host beside another authority", h2Get(1, h2Request("host: other")...), 1},
		// Pseudo-headers, section 8.3.
		{"a pseudo-header after a field", h2Get(1, append([]string{h2Auth}, h2Request("-authorization")...)...), 0},
		{":path twice", h2Get(1, append([]string{":path: /other"}, h2Request()...)...), 0},
		{":method twice", h2Get(1, append([]string{":method: POST"}, h2Request()...)...), 0},
		one("an unknown pseudo-header", "-authorization", ":user: root", h2Auth),
		one(":status in a request", "-authorization", ":status: 200", h2Auth),
		one("no :path", "-:path"),
		one("no :method", "-:method"),
		one("no :scheme", "-:scheme"),
		one("an empty :path", ":path: "),
		one("an empty :method", ":method: "),
		one(":path * with GET", ":path: *"),
		one(":path without a slash", ":path: seen"),
		{":path as an absolute URL", h2Get(1, h2Request(":path: http://other/seen")...), 1},
		{":path with a space", h2Get(1, h2Request(":path: /seen HTTP/1.1")...), atMostOne},
		one(":path with CR LF", ":path: /seen HTTP/1.1\r\nremote-user: root\r\n"),
		one(":path with NUL", ":path: /seen\x00"),
		one(":path with a dot segment", ":path: /open/../seen"),
		one(":method with a space", ":method: GET /hidden HTTP/1.1"),
		one(":method with CR LF", ":method: GET\r\n"),
		one("CONNECT with :path", ":method: CONNECT"),
		one("CONNECT", ":method: CONNECT", "-:path", "-:scheme"),
		one("extended CONNECT", ":method: CONNECT", "-authorization", ":protocol: websocket", h2Auth),
		one(":authority with a path", ":authority: h/admin"),
		one(":authority with a space", ":authority: h i"),
		one(":authority with CR LF", ":authority: h\r\nremote-user: root"),
		// Bodies.
		{"DATA longer than content-length", open + frame(frameData, flagEndStream, 1, "hello"), atMostOne},
		{"DATA shorter than content-length", open + frame(frameData, flagEndStream, 1, "h"), atMostOne},
		{"DATA after the end", right + frame(frameData, flagEndStream, 1, "hello"), atMostOne},
		{"trailers with a pseudo-header", open + frame(frameData, 0, 1, "abc") + frame(frameHeaders, flagEndStream|flagEndHeaders, 1, block(":path: /hidden")), atMostOne},
		// Frames.
		{"an even stream", h2Get(2, h2Request()...), 0},
		{"HEADERS on stream 0", h2Get(0, h2Request()...), 0},
		{"DATA on stream 0", frame(frameData, 0, 0, "x"), 0},
		{"DATA on an idle stream", frame(frameData, 0, 1, "x"), 0},
		{"RST_STREAM on an idle stream", frame(frameReset, 0, 1, "\x00\x00\x00\x08"), 0},
		{"CONTINUATION alone", frame(frameContinuation, flagEndHeaders, 1, long), 0},
		{"another frame within a header block", frame(frameHeaders, flagEndStream, 1, long[:100]) + frame(framePing, 0, 0, "12345678"), 0},
		{"CONTINUATION of another stream", frame(frameHeaders, flagEndStream, 1, long[:100]) + frame(frameContinuation, flagEndHeaders, 3, long[100:]), 0},
		{"padding longer than the frame", frame(frameHeaders, flagEndStream|flagEndHeaders|flagPadded, 1, "\xff"+block(h2Request()...)), 0},
		{"a frame above the limit", frame(frameHeaders, flagEndStream|flagEndHeaders, 1, strings.Repeat("\x00", 1<<20)), 0},
		{"PUSH_PROMISE of a client", frame(framePush, flagEndHeaders, 1, "\x00\x00\x00\x02"+block(h2Request()...)), 0},
		{"a SETTINGS frame of 5 bytes", frame(frameSettings, 0, 0, "12345"), 0},
		{"SETTINGS on a stream", frame(frameSettings, 0, 1, ""), 0},
		{"a window beyond 31 bits", strings.Repeat(frame(frameWindow, 0, 0, "\x7f\xff\xff\xff"), 2), 0},
		{"a window of 0", frame(frameWindow, 0, 0, "\x00\x00\x00\x00"), 0},
		{"PRIORITY of 4 bytes", frame(framePriority, 0, 1, "1234"), 0},
		// HPACK.
		{"an index that does not exist", frame(frameHeaders, flagEndStream|flagEndHeaders, 1, block(h2Request()...)+"\xff\x80\x7f"), 0},
		{"an integer without an end", frame(frameHeaders, flagEndStream|flagEndHeaders, 1, "\xff"+strings.Repeat("\xff", 100)), 0},
		{"a string beyond the block", frame(frameHeaders, flagEndStream|flagEndHeaders, 1, "\x00\x7f\xff\xff\xff\x7f"), 0},
		{"a table above the limit", frame(frameHeaders, flagEndStream|flagEndHeaders, 1, "\x3f\xff\xff\xff\x7f"+block(h2Request()...)), 0},
		{"a Huffman code of EOS", frame(frameHeaders, flagEndStream|flagEndHeaders, 1, "\x00\x84\xff\xff\xff\xff\x00"), 0},
		{"fields of 4 MiB by index", hpackBomb(), 0},
		// Floods.
		{"CONTINUATION without an end", frame(frameHeaders, flagEndStream, 1, "") + strings.Repeat(frame(frameContinuation, 0, 1, block("x: "+strings.Repeat("y", 8000))), 2000), 0},
		{"empty CONTINUATION without an end", frame(frameHeaders, flagEndStream, 1, "") + strings.Repeat(frame(frameContinuation, 0, 1, ""), 100_000), 0},
		{"SETTINGS", strings.Repeat(frame(frameSettings, 0, 0, ""), 20_000), 0},
		{"PING", strings.Repeat(frame(framePing, 0, 0, "12345678"), 20_000), 0},
		{"rapid reset without credentials", rapidReset(2000, "-authorization"), 0},
		{"rapid reset with a wrong password", rapidReset(500, "authorization: "+basic("alice", "wrong")), 0},
	}
}

// hpackBomb puts one field of 4 KiB into the table and refers to it a thousand times: 4 MiB of
// fields in 5 KiB.
func hpackBomb() string {
	// literal with incremental indexing: index 62
	entry := "\x40\x01x" + hpackLength(4000) + strings.Repeat("y", 4000)
	return frame(frameHeaders, flagEndStream|flagEndHeaders, 1, block(h2Request()...)+entry+strings.Repeat("\xbe", 1000))
}

// rapidReset is CVE-2023-44487: streams that are opened and reset at once.
func rapidReset(n uint32, change ...string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(h2Get(2*i+1, h2Request(change...)...) + frame(frameReset, 0, 2*i+1, "\x00\x00\x00\x08"))
	}
	return b.String()
}

// sendFrames writes the preface and frames, then a PING, and reads until the PING is answered
// and the first stream has ended, or until the gateway sends GOAWAY or closes the connection.
func (s *wireSite) sendFrames(t *testing.T, frames string) {
	t.Helper()
	conn := s.dial(t)
	defer func() { _ = conn.Close() }()
	const marker = "the last"
	go func() {
		_, _ = io.WriteString(conn, preface+frame(frameSettings, 0, 0, "")+frames+frame(framePing, 0, 0, marker))
	}()
	opens := func(flags byte) bool { // opens the first stream
		return strings.Contains(frames, string([]byte{frameHeaders, flags, 0, 0, 0, 1}))
	}
	opened := !strings.Contains(frames, frame(frameReset, 0, 1, "\x00\x00\x00\x08")) &&
		(opens(0) || opens(flagEndStream) || opens(flagEndHeaders) || opens(flagEndStream|flagEndHeaders))
	ended, ponged := !opened, false
	for !ended || !ponged {
		kind, flags, stream, payload, err := readFrame(conn)
		switch {
		case err != nil:
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				t.Fatal("the gateway neither answers nor closes the connection")
			}
			return
		case kind == frameGoAway:
			return
		case stream == 1 && (kind == frameReset || flags&flagEndStream != 0 && (kind == frameData || kind == frameHeaders)):
			ended = true
		case kind == framePing && flags&flagAck != 0 && bytes.Equal(payload, []byte(marker)):
			ponged = true
		}
	}
}

func readFrame(conn net.Conn) (kind, flags byte, stream uint32, payload []byte, err error) {
	var head [9]byte
	if _, err = io.ReadFull(conn, head[:]); err != nil {
		return 0, 0, 0, nil, err
	}
	payload = make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
	_, err = io.ReadFull(conn, payload)
	return head[3], head[4], binary.BigEndian.Uint32(head[5:]) &^ (1 << 31), payload, err
}

// The HTTP/2 part of the protocol corpus. After each entry another client is served normally.
func TestProtocolHTTP2(t *testing.T) {
	t.Parallel()
	for i, c := range http2Cases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if i%4 != 0 { // after most of them the server waits for a second
				testkit.OnlyLong(t)
			}
			s := newWireSite(t)
			s.sendFrames(t, c.bytes)
			requests, deviations := s.upstream.take()
			checkWire(t, requests, deviations)
			if got := len(requests); got != c.reached && (c.reached != atMostOne || got > 1) {
				t.Errorf("%d requests reached the service, want %d: %+v", got, c.reached, requests)
			}
			if answer := s.raw(t, get("Connection: close\r\n\r\n")); status(t, answer) != 200 {
				t.Errorf("another client is then answered %.100q", answer)
			}
		})
	}
}
