// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package ldap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	ldap "github.com/go-ldap/ldap/v3"

	"github.com/otelauth/otelauth-go/otelauth/credential"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// Config configures a [Verifier]. URL and BaseDN are required.
type Config struct {
	// URL is ldaps://host, ldap://host, which uses StartTLS, or ldapi:///path of a unix socket.
	URL string
	// TLS configures TLS. nil: the system's roots and the host of the URL.
	TLS *tls.Config
	// BindDN and Password are the account for searches; "" searches anonymously.
	BindDN, Password string

	// BaseDN is the subtree with the people.
	BaseDN string
	// NameAttribute is the attribute with the name. Default: "uid"; for Active Directory
	// "sAMAccountName".
	NameAttribute string
	// Filter restricts who may log in. Default: "(objectClass=person)".
	Filter string
	// GroupDN is the subtree with the groups; "" means no groups. A group has its name in "cn" and
	// the names of its members in "member".
	GroupDN string
	// DecoyDN is an account with an unknown password. A bind to it for an unknown name takes as
	// long as for an account. "" binds to a missing entry, which the directory may refuse sooner.
	DecoyDN string

	// Timeout bounds each query of the directory. Default: 2 s.
	Timeout time.Duration
	// Connections bounds the connections for searches, and separately those for binds. Default: 4.
	Connections int
}

// Verifier verifies passwords with a directory. It is safe for concurrent use. Create it with
// [New].
type Verifier struct {
	cfg Config
	// Separate, because a bind changes the identity of a connection: those for binds never search.
	search, try *pool
}

var _ verify.Verifier = (*Verifier)(nil)

// New returns a Verifier. It does not connect yet. The error joins one error for each problem of
// cfg.
func New(cfg Config) (*Verifier, error) {
	var problems []error
	problem := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("ldap: Config."+format, args...))
	}
	u, err := url.Parse(cfg.URL)
	switch {
	case err != nil:
		problem("URL is not a URL; write ldaps://host")
	case u.Scheme != "ldaps" && u.Scheme != "ldap" && u.Scheme != "ldapi":
		problem("URL has the scheme %q; use ldaps, ldap or ldapi", u.Scheme)
	}
	if _, err := ldap.ParseDN(cfg.BaseDN); err != nil || cfg.BaseDN == "" {
		problem("BaseDN is not a name of an entry; write it as ou=people,dc=example,dc=com")
	}
	if cfg.BindDN != "" && cfg.Password == "" {
		problem("Password is empty: the directory would accept the bind as anonymous; set it")
	}
	if cfg.NameAttribute == "" {
		cfg.NameAttribute = "uid"
	}
	if cfg.Filter == "" {
		cfg.Filter = "(objectClass=person)"
	}
	if _, err := ldap.CompileFilter(cfg.Filter); err != nil {
		problem("Filter: %w", err)
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 2 * time.Second
	}
	if cfg.Connections <= 0 {
		cfg.Connections = 4
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	v := &Verifier{cfg: cfg}
	v.search = newPool(cfg, func(c *ldap.Conn) error {
		if cfg.BindDN == "" {
			return nil
		}
		return c.Bind(cfg.BindDN, cfg.Password)
	})
	v.try = newPool(cfg, func(*ldap.Conn) error { return nil })
	return v, nil
}

// Close closes idle connections. Connections in use are closed after their use.
func (v *Verifier) Close() error {
	v.search.close()
	v.try.close()
	return nil
}

// Verify returns the account of the credentials, nil when they are wrong, and an error when the
// directory does not answer.
func (v *Verifier) Verify(ctx context.Context, name string, secret credential.Secret) (*verify.Account, error) {
	if secret.Len() == 0 || !isPossible(name) {
		return nil, nil
	}
	dn, found, err := v.find(ctx, name)
	if err != nil {
		return nil, err
	}
	if !found {
		dn = v.cfg.DecoyDN
		if dn == "" {
			dn = "uid=otelauth-decoy," + v.cfg.BaseDN
		}
	}
	right, err := v.bind(ctx, dn, secret)
	if err != nil || !right || !found {
		return nil, err
	}
	groups, err := v.groups(ctx, dn)
	if err != nil {
		return nil, err
	}
	return &verify.Account{Name: name, Groups: groups}, nil
}

// isPossible reports whether an account can have the name.
func isPossible(name string) bool { return verify.ValidName(name) == nil }

// find returns the entry of exactly that name. A directory ignores case and some spaces; another
// spelling than the stored one would be the same account with a separate budget.
func (v *Verifier) find(ctx context.Context, name string) (dn string, found bool, err error) {
	filter := fmt.Sprintf("(&%s(%s=%s))", v.cfg.Filter, v.cfg.NameAttribute, ldap.EscapeFilter(name))
	entries, err := v.entries(ctx, v.cfg.BaseDN, filter, v.cfg.NameAttribute)
	if err != nil {
		return "", false, err
	}
	if len(entries) > 1 {
		return "", false, fmt.Errorf("ldap: %d entries have the same %s; narrow Config.BaseDN or Config.Filter", len(entries), v.cfg.NameAttribute)
	}
	if len(entries) == 0 || !slices.Contains(entries[0].GetAttributeValues(v.cfg.NameAttribute), name) {
		return "", false, nil
	}
	return entries[0].DN, true, nil
}

func (v *Verifier) groups(ctx context.Context, dn string) ([]string, error) {
	if v.cfg.GroupDN == "" {
		return nil, nil
	}
	entries, err := v.entries(ctx, v.cfg.GroupDN, fmt.Sprintf("(member=%s)", ldap.EscapeFilter(dn)), "cn")
	if err != nil {
		return nil, err
	}
	var groups []string
	for _, e := range entries {
		if cn := e.GetAttributeValue("cn"); cn != "" {
			groups = append(groups, cn)
		}
	}
	slices.Sort(groups)
	return groups, nil
}

func (v *Verifier) entries(ctx context.Context, base, filter, attribute string) (entries []*ldap.Entry, err error) {
	const most = 1000
	err = v.search.with(ctx, func(c *ldap.Conn) error {
		res, err := c.Search(ldap.NewSearchRequest(base, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases,
			most, int(v.cfg.Timeout.Seconds())+1, false, filter, []string{attribute}, nil))
		if err == nil {
			entries = res.Entries
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ldap: the directory does not answer; check the URL and its log: %w", err)
	}
	return entries, nil
}

// bind reports whether the password is right. The password is not empty.
func (v *Verifier) bind(ctx context.Context, dn string, secret credential.Secret) (right bool, err error) {
	err = v.try.with(ctx, func(c *ldap.Conn) error {
		err := c.Bind(dn, string(secret.Expose()))
		right = err == nil
		if ldap.IsErrorAnyOf(err, ldap.LDAPResultInvalidCredentials, ldap.LDAPResultNoSuchObject, ldap.LDAPResultInappropriateAuthentication) {
			return nil
		}
		return err
	})
	if err != nil {
		return false, fmt.Errorf("ldap: the directory does not answer; check the URL and its log: %w", err)
	}
	return right, nil
}
