// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/detect"
)

// TestSprayOverPrefix: an attacker who has an IPv6 /40 or /32 uses each /48 once.
func TestSprayOverPrefix(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"2001:db8:%x::1", "2001:db8:ab%02x::1"} {
		w := newWatch(t)
		w.live(3, "owner", "")
		w.found = nil
		for i := range 12 {
			w.try(try{name: fmt.Sprint("user", i), password: uint64(i + 1), from: fmt.Sprintf(format, i)})
			w.pass(5*time.Minute + time.Duration(i*i)*time.Second)
		}
		if w.starts(detect.PasswordSpray) != 1 {
			t.Fatalf("%s: %d episodes", format, w.starts(""))
		}
		if d := w.found[0]; d.NetworkCount != 10 || len(d.Networks) != 8 || len(d.Accounts) != 8 {
			t.Errorf("%s: %d networks %v, accounts %v", format, d.NetworkCount, d.Networks, d.Accounts)
		}
		w.found = nil
		w.try(try{name: "user11", from: fmt.Sprintf(format, 200)})
		if w.starts(detect.SuccessAfterFailures) != 1 {
			t.Errorf("%s: the takeover from another network of the group is not found", format)
		}
	}
}

// TestProviderOfHomes: the users of one provider of IPv6 mistype, each in a network of its own.
func TestProviderOfHomes(t *testing.T) {
	t.Parallel()
	w := newWatch(t)
	w.live(2, "owner", "")
	for round := range 2 {
		for i := range 100 {
			a := try{name: fmt.Sprint("user", i), password: uint64(1000*round + i + 1), from: fmt.Sprintf("2001:db8:%x::1", 1000*round+i)}
			w.try(a)
			w.pass(time.Duration(20+i*i%50) * time.Second)
			if a.password = 0; i%10 != 3 || round == 0 { // some give up
				w.try(a)
			}
		}
		w.pass(24 * time.Hour)
	}
	w.none("a provider of homes")
}
