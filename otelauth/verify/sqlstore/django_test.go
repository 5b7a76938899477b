// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// djangoSchema has the columns that the migrations of django.contrib.auth in Django 3.2 make, in
// types of every database.
const djangoSchema = `
CREATE TABLE auth_user (id integer NOT NULL PRIMARY KEY, password varchar(128) NOT NULL, last_login timestamp NULL,
 is_superuser boolean NOT NULL, username varchar(150) NOT NULL UNIQUE, last_name varchar(150) NOT NULL, email varchar(254) NOT NULL,
 is_staff boolean NOT NULL, is_active boolean NOT NULL, date_joined timestamp NOT NULL, first_name varchar(150) NOT NULL);
CREATE TABLE auth_group (id integer NOT NULL PRIMARY KEY, name varchar(150) NOT NULL UNIQUE);
CREATE TABLE auth_user_groups (id integer NOT NULL PRIMARY KEY, user_id integer NOT NULL REFERENCES auth_user (id), group_id integer NOT NULL REFERENCES auth_group (id));
INSERT INTO auth_group VALUES (1, 'ops'), (2, 'site editors');
`

// djangoAccounts have hashes of Django 3.2's hashers at their least cost. The scrypt hash, which
// Django has since 4.0, is made with Python's hashlib. Every password is wonderland.
var djangoAccounts = []struct {
	name, password string
	active, usable bool
	groups         []string
}{
	{"pbkdf2", "pbkdf2_sha256$1000$saltsaltsalt$hqvMwDdOFrMubl9lhrs9/qyxAcrGeeU3w7OAh2Rvfv8=", true, true, []string{"ops", "site editors"}},
	{"pbkdf2sha1", "pbkdf2_sha1$1000$saltsaltsalt$29P6wz5xgRFyXi4vBHT8IT9ksUM=", true, true, nil},
	{"argon2", "argon2$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0$ceSp4MZDjSfkohD28LoAzQ", true, true, []string{"ops"}},
	{"bcrypt", "bcrypt_sha256$$2b$04$Mkz4IJlZOrfldL5GKvgd/OzfBhzcIayEoZdaYn9dRlVOIP2xr.LB.", true, true, nil},
	{"scrypt", "scrypt$1024$saltsaltsalt$8$1$7X1erU5BI9mj31n/kLR/sd+6M1uTb1/C8Cga/J9WDxZnqdYTSRdYHEWe50XeJTZxWDynKHYZYye2STMgUNYm9w==", true, true, nil},
	{"inactive", "pbkdf2_sha256$1000$saltsaltsalt$hqvMwDdOFrMubl9lhrs9/qyxAcrGeeU3w7OAh2Rvfv8=", false, true, []string{"ops"}},
	{"unusable", "!rxwBhIy0E0iz9oQsMxTujI1qxEIJzVoUEBizfGEG", true, false, nil},
	{"md5", "md5$saltsaltsalt$d41d8cd98f00b204e9800998ecf8427e", true, false, nil},
}

func django(t *testing.T, b backend) {
	t.Helper()
	db := b.fresh(t)
	exec(t, db, djangoSchema)
	insert := "INSERT INTO auth_user VALUES (?, ?, NULL, FALSE, ?, '', '', FALSE, ?, '2026-01-01', '')"
	member := "INSERT INTO auth_user_groups VALUES (?, ?, ?)"
	if b.placeholder == "$1" {
		insert = "INSERT INTO auth_user VALUES ($1, $2, NULL, FALSE, $3, '', '', FALSE, $4, '2026-01-01', '')"
		member = "INSERT INTO auth_user_groups VALUES ($1, $2, $3)"
	}
	memberships := 0
	for i, a := range djangoAccounts {
		exec(t, db, insert, i+1, a.password, a.name, a.active)
		for _, g := range a.groups {
			memberships++
			exec(t, db, member, memberships, i+1, map[string]int{"ops": 1, "site editors": 2}[g])
		}
	}
	cfg := Django(b.placeholder)
	cfg.DB = db
	cfg.TTL, cfg.Timeout = b.config(db).TTL, b.config(db).Timeout
	s := open(t, cfg)
	for _, want := range djangoAccounts {
		a := lookup(t, s, want.name)
		if a == nil {
			t.Errorf("%s is not an account", want.name)
			continue
		}
		if a.Disabled != (!want.active || !want.usable) || !cmp.Equal(a.Groups, want.groups) {
			t.Errorf("%s: disabled %t, groups %q", want.name, a.Disabled, a.Groups)
		}
		if got := a.Password.Verify([]byte("wonderland")).Match; got != want.usable {
			t.Errorf("%s: wonderland matches: %t, want %t", want.name, got, want.usable)
		}
		if a.Password.Verify([]byte("Wonderland")).Match {
			t.Errorf("%s: a wrong password matches", want.name)
		}
	}
	if s.Len() != len(djangoAccounts) {
		t.Errorf("Len() = %d, want %d", s.Len(), len(djangoAccounts))
	}
	// Only md5: Django's mark of an account without a password is not an error.
	if r := next(t, reports(t, s)); r.Err == nil || r.Source != "auth_user" {
		t.Errorf("first report: %+v", r)
	}
}
