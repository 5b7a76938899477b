// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/internal/problem"
)

// ClientConfig configures a [Client]. The zero ClientConfig calls [DefaultSocket].
type ClientConfig struct {
	// Address is unix:/path, or the URL beneath which the handler is mounted, such as
	// https://admin.example/-/operator. Default: unix: and [DefaultSocket].
	Address string
	// Username and Password are sent to a URL. Default: none.
	Username, Password string
	// Transport sends the requests to a URL. Default: http.DefaultTransport.
	Transport http.RoundTripper
	// Instance, if set, is the [Meta.Instance] that the caller has seen: an act is refused after a
	// restart of the process. Default: acts do not depend on it.
	Instance string
}

// Client calls the API. Create it with [NewClient]. It is safe for concurrent use. Its errors are
// a [*Refusal] if the API refused, or an [ErrUnreachable].
type Client struct {
	cfg  ClientConfig
	base *url.URL
	http http.Client
}

// ErrUnreachable means that no API answers at the address.
var ErrUnreachable = errors.New("operator: no API answers")

// maxAnswerBytes bounds an answer.
const maxAnswerBytes = 64 << 20

// NewClient returns a Client. It opens no connection.
func NewClient(cfg ClientConfig) (*Client, error) {
	if cfg.Address == "" {
		cfg.Address = "unix:" + DefaultSocket
	}
	c := &Client{cfg: cfg}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if path, isUnix := strings.CutPrefix(cfg.Address, "unix:"); isUnix {
		c.base = &url.URL{Scheme: "http", Host: "operator.invalid"}
		c.http.Transport = &http.Transport{
			DisableKeepAlives: true, // a socket costs nothing to open
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, "unix", path)
			},
		}
		return c, nil
	}
	u, err := url.Parse(cfg.Address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return nil, errors.New("operator: the address is not valid: use unix:/path, or a URL without a password such as https://admin.example/-/operator")
	}
	c.base, c.http.Transport = u, cfg.Transport
	return c, nil
}

// Status calls GET v1/status.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	return s, c.get(ctx, "status", nil, &s)
}

// Attempts calls GET v1/attempts. The names of the parameters of this and the other lists are in
// the OpenAPI document.
func (c *Client) Attempts(ctx context.Context, parameters url.Values) (l AttemptList, err error) {
	return l, c.get(ctx, "attempts", parameters, &l)
}

// Traffic calls GET v1/traffic.
func (c *Client) Traffic(ctx context.Context, parameters url.Values) (t Traffic, err error) {
	return t, c.get(ctx, "traffic", parameters, &t)
}

// Episodes calls GET v1/episodes.
func (c *Client) Episodes(ctx context.Context, parameters url.Values) (l EpisodeList, err error) {
	return l, c.get(ctx, "episodes", parameters, &l)
}

// Episode calls GET v1/episodes/{id}.
func (c *Client) Episode(ctx context.Context, id string) (d EpisodeDetail, err error) {
	return d, c.get(ctx, "episodes/"+url.PathEscape(id), nil, &d)
}

// Budgets calls GET v1/budgets.
func (c *Client) Budgets(ctx context.Context, parameters url.Values) (l BudgetList, err error) {
	return l, c.get(ctx, "budgets", parameters, &l)
}

// Explain calls GET v1/budgets/explain. account or network may be "".
func (c *Client) Explain(ctx context.Context, account, network string) (e Explanation, err error) {
	parameters := url.Values{}
	if account != "" {
		parameters.Set("account", account)
	}
	if network != "" {
		parameters.Set("network", network)
	}
	return e, c.get(ctx, "budgets/explain", parameters, &e)
}

// Acts calls GET v1/acts.
func (c *Client) Acts(ctx context.Context, parameters url.Values) (l ActList, err error) {
	return l, c.get(ctx, "acts", parameters, &l)
}

// Act calls POST v1/acts.
func (c *Client) Act(ctx context.Context, act ActRequest) (r ActResult, err error) {
	return r, c.post(ctx, "acts", act, &r)
}

// Undo calls POST v1/acts/{id}/undo.
func (c *Client) Undo(ctx context.Context, id, reason string) (r ActResult, err error) {
	return r, c.post(ctx, "acts/"+url.PathEscape(id)+"/undo", UndoRequest{Reason: reason}, &r)
}

func (c *Client) get(ctx context.Context, path string, parameters url.Values, into any) error {
	r, err := c.request(ctx, http.MethodGet, path, parameters, nil)
	if err != nil {
		return err
	}
	return c.do(r, into)
}

func (c *Client) post(ctx context.Context, path string, body, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("operator: %w", err)
	}
	r, err := c.request(ctx, http.MethodPost, path, nil, bytes.NewReader(text))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(ActHeader, "1")
	if c.cfg.Instance != "" {
		r.Header.Set(InstanceHeader, c.cfg.Instance)
	}
	return c.do(r, into)
}

func (c *Client) request(ctx context.Context, method, path string, parameters url.Values, body io.Reader) (*http.Request, error) {
	u := c.base.JoinPath("v1", path)
	u.RawQuery = parameters.Encode()
	r, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, fmt.Errorf("operator: %w", err)
	}
	if c.cfg.Username != "" {
		r.SetBasicAuth(c.cfg.Username, c.cfg.Password)
	}
	return r, nil
}

// do sends a request and decodes its answer.
func (c *Client) do(r *http.Request, into any) error {
	resp, err := c.send(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // only read
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswerBytes)).Decode(into); err != nil {
		return fmt.Errorf("%w at %s: the answer is not JSON of this API; check the address: %w", ErrUnreachable, c.cfg.Address, err)
	}
	return nil
}

// send sends a request. Any answer other than 200 is an error.
func (c *Client) send(r *http.Request) (*http.Response, error) {
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, c.unreachable(err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }() // only read
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxBodyBytes))
	f := &Refusal{}
	if media, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";"); media != problem.MediaType || json.Unmarshal(text, f) != nil {
		return nil, fmt.Errorf("%w at %s: the answer has the status %d; check the address", ErrUnreachable, c.cfg.Address, resp.StatusCode)
	}
	f.Status, f.Detail = resp.StatusCode, shown(f.Detail)
	if f.Code == "" && f.Status == http.StatusUnauthorized {
		f.Detail = "The user name or the password is not accepted. Check them."
	}
	return nil, f
}

// unreachable explains why no API answers.
func (c *Client) unreachable(err error) error {
	hint := "check the address, and that the process runs"
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		hint = "the process accepted the call and did not answer in time; try again"
	case !strings.HasPrefix(c.cfg.Address, "unix:"):
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		hint = "no gateway listens there: start it, with --operator-listen " + c.cfg.Address + " if its log does not name the socket"
	case errors.Is(err, fs.ErrPermission):
		hint = "this user may not open the socket: run the command as the user of the gateway, or as root"
	}
	var inner *net.OpError
	if errors.As(err, &inner) {
		err = inner.Err
	}
	return fmt.Errorf("%w at %s: %w: %s", ErrUnreachable, c.cfg.Address, err, hint)
}

// liveRetry is the wait before a live view is opened again.
const liveRetry = time.Second
