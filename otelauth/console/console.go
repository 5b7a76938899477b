// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"html"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
)

// Config configures the page.
type Config struct {
	// API answers the requests below v1/. It is an operator.Operator. Required.
	API http.Handler
	// TraceLink is the address of a trace in the operator's backend. {trace_id} is replaced by
	// the id. It must begin with https:// or http://. Default: no link.
	TraceLink string
}

// Errors of a [Config].
var (
	ErrAPI       = errors.New("console: Config.API is nil: set it to an operator.Operator")
	ErrTraceLink = errors.New("console: Config.TraceLink is not an address such as https://backend.example/trace/{trace_id}")
)

// policy permits nothing but the files of the page, its one style sheet by its hash, and its API.
// Trusted Types without a policy turn every use of markup in a script into an error.
const policy = "default-src 'none'; script-src 'self'; style-src 'sha256-{{hash}}'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

//go:embed page
var page embed.FS

// asset is a file of the page as it is sent.
type asset struct {
	mediaType, caching, tag, policy string
	plain, compressed               []byte
}

var mediaTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

// New returns the handler of the page, or all errors of cfg joined. Its paths begin with "/";
// mount it with http.StripPrefix.
func New(cfg Config) (http.Handler, error) {
	var errs []error
	if cfg.API == nil {
		errs = append(errs, ErrAPI)
	}
	if err := checkLink(cfg.TraceLink); err != nil {
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	assets, err := load(cfg.TraceLink)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/v1/", cfg.API)
	for address, a := range assets {
		mux.HandleFunc("GET "+address, a.serve)
	}
	return mux, nil
}

// checkLink returns an error unless link is "" or an address that a browser may follow.
func checkLink(link string) error {
	if link == "" {
		return nil
	}
	u, err := url.Parse(strings.ReplaceAll(link, "{trace_id}", strings.Repeat("0", 32)))
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || !strings.Contains(link, "{trace_id}") {
		return fmt.Errorf("%w: %q", ErrTraceLink, link)
	}
	return nil
}

// load reads and compresses the files once. It returns them by their path. All but the page itself
// are in a folder whose name changes with their content, so that a browser asks for each only once.
// The page holds its style sheet, so that a browser paints it without a further request.
func load(link string) (map[string]*asset, error) {
	entries, err := fs.ReadDir(page, "page")
	if err != nil {
		return nil, err
	}
	texts, sum := make(map[string][]byte, len(entries)), sha256.New()
	for _, e := range entries {
		if texts[e.Name()], err = fs.ReadFile(page, "page/"+e.Name()); err != nil {
			return nil, err
		}
		sum.Write(texts[e.Name()])
	}
	folder := hex.EncodeToString(sum.Sum(nil)[:6]) + "/"
	var scripts []string
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if path.Ext(name) == ".js" && name != "start.js" {
			scripts = append(scripts, name)
		}
	}
	style := strings.TrimSpace(string(texts["style.css"]))
	sum256 := sha256.Sum256([]byte(style))
	fill := strings.NewReplacer("{{trace-link}}", html.EscapeString(link), "{{scripts}}", strings.Join(scripts, " "), "{{files}}", folder,
		"{{style}}", style, "{{icon}}", strings.TrimSpace(string(texts["icon.svg"])))
	delete(texts, "style.css")
	assets := make(map[string]*asset, len(texts))
	for name, text := range texts {
		address, caching := "/"+folder+name, "private, max-age=31536000, immutable"
		if name == "index.html" {
			text, address, caching = []byte(fill.Replace(string(text))), "/{$}", "no-cache"
		}
		a, err := newAsset(text)
		if err != nil {
			return nil, err
		}
		a.policy = strings.ReplaceAll(policy, "{{hash}}", base64.StdEncoding.EncodeToString(sum256[:]))
		a.mediaType, a.caching = mediaTypes[path.Ext(name)], caching
		assets[address] = a
	}
	return assets, nil
}

func newAsset(text []byte) (*asset, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err = w.Write(text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	return &asset{tag: `"` + hex.EncodeToString(sum[:8]) + `"`, plain: text, compressed: b.Bytes()}, nil
}

func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", a.policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
	h.Set("Cache-Control", a.caching)
	h.Set("Vary", "Accept-Encoding")
	h.Set("ETag", a.tag)
	if r.Header.Get("If-None-Match") == a.tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", a.mediaType)
	body := a.plain
	if acceptsGzip(r) {
		h.Set("Content-Encoding", "gzip")
		body = a.compressed
	}
	h.Set("Content-Length", fmt.Sprint(len(body)))
	if r.Method != http.MethodHead {
		_, _ = io.Copy(w, bytes.NewReader(body)) // the client may be gone
	}
}

func acceptsGzip(r *http.Request) bool {
	fields := strings.FieldsFunc(r.Header.Get("Accept-Encoding"), func(c rune) bool { return c == ',' || c == ' ' })
	return slices.Contains(fields, "gzip")
}
