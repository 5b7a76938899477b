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

// Config says where the directory is and how names are found in it. URL and BaseDN are required.
type Config struct {
	// URL is ldaps://host, ldap://host, which is raised to TLS, or ldapi:///path of a unix socket.
	URL string
	// TLS is what TLS is spoken with; nil is the system's roots and the URL's host.
	TLS *tls.Config
	// BindDN and Password are the account that searches; "" searches anonymously.
	BindDN, Password string

	// BaseDN is where people are. Their whole subtree is searched.
	BaseDN string
	// NameAttribute holds the name. Default: "uid"; for Active Directory "sAMAccountName".
	NameAttribute string
	// Filter restricts who may log in. Default: "(objectClass=person)".
	Filter string
	// GroupDN is where groups are; "" asks for none. Groups hold their members' names in "member" and their own in "cn".
	GroupDN string
	// DecoyDN is an account whose password nobody knows. Binding as it in place of a name that is none takes the time of a real one. ""
	// binds as an entry that does not exist, which the directory may refuse sooner.
	DecoyDN string

	// Timeout bounds each question to the directory. Default: 2 s.
	Timeout time.Duration
	// Connections bounds those that search and, again, those that try passwords. Default: 4.
	Connections int
}

// Verifier asks a directory who is right. It is safe for concurrent use; [New] makes one.
type Verifier struct {
	cfg Config
	// Apart, because a bind changes who a connection speaks for: what tries a password never searches.
	search, try *pool
}

var _ verify.Verifier = (*Verifier)(nil)

// New returns a Verifier, or every fault of cfg. It asks the directory nothing yet.
func New(cfg Config) (*Verifier, error) {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf("ldap: Config."+format, args...)) }
	u, err := url.Parse(cfg.URL)
	switch {
	case err != nil:
		fault("URL is no URL: ldaps://host")
	case u.Scheme != "ldaps" && u.Scheme != "ldap" && u.Scheme != "ldapi":
		fault("URL has the scheme %q: ldaps, ldap or ldapi", u.Scheme)
	}
	if _, err := ldap.ParseDN(cfg.BaseDN); err != nil || cfg.BaseDN == "" {
		fault("BaseDN is no name of an entry: ou=people,dc=example,dc=com")
	}
	if cfg.BindDN != "" && cfg.Password == "" {
		fault("Password is empty: the directory would take the bind for an anonymous one")
	}
	if cfg.NameAttribute == "" {
		cfg.NameAttribute = "uid"
	}
	if cfg.Filter == "" {
		cfg.Filter = "(objectClass=person)"
	}
	if _, err := ldap.CompileFilter(cfg.Filter); err != nil {
		fault("Filter: %w", err)
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 2 * time.Second
	}
	if cfg.Connections <= 0 {
		cfg.Connections = 4
	}
	if err := errors.Join(faults...); err != nil {
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

// Close ends the connections that are idle. Those in use end when they are given back.
func (v *Verifier) Close() error {
	v.search.close()
	v.try.close()
	return nil
}

// Verify returns the account that the credentials belong to, nil when they are wrong, and an error when the
// directory does not say.
func (v *Verifier) Verify(ctx context.Context, name string, secret credential.Secret) (*verify.Account, error) {
	if secret.Len() == 0 || !possible(name) {
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

// possible reports whether an account can have the name.
func possible(name string) bool { return verify.ValidName(name) == nil }

// find returns the entry of exactly that name. A directory compares names without regard to case and to some spaces; another spelling
// than the stored one would be the same account with a guess budget of its own.
func (v *Verifier) find(ctx context.Context, name string) (dn string, found bool, err error) {
	filter := fmt.Sprintf("(&%s(%s=%s))", v.cfg.Filter, v.cfg.NameAttribute, ldap.EscapeFilter(name))
	entries, err := v.entries(ctx, v.cfg.BaseDN, filter, v.cfg.NameAttribute)
	if err != nil {
		return "", false, err
	}
	if len(entries) > 1 {
		return "", false, fmt.Errorf("ldap: %d entries have the same %s: narrow Config.BaseDN or Config.Filter", len(entries), v.cfg.NameAttribute)
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
		return nil, fmt.Errorf("ldap: the directory does not answer: %w", err)
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
		return false, fmt.Errorf("ldap: the directory does not answer: %w", err)
	}
	return right, nil
}
