// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package geoip_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/detect/geoip"
)

func cities() []byte {
	return database(true, record{network: "192.0.2.0/24", lat: 52.5, lon: 13.4, country: "DE"},
		record{network: "198.51.100.0/25", lat: -33.9, lon: 151.2}, record{network: "2001:db8::/32", lat: 40.7, lon: -74})
}

func ExampleOpen() {
	path := filepath.Join(os.TempDir(), fmt.Sprintf("example-%d.mmdb", os.Getpid()))
	defer func() { _ = os.Remove(path) }()
	if err := os.WriteFile(path, cities(), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	db, err := geoip.Open(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(db.Locate(netip.MustParseAddr("192.0.2.7")))
	country, _, _ := db.Owner(netip.MustParseAddr("192.0.2.7"))
	fmt.Println(country)
	// Output:
	// 52.5 13.4 true
	// DE
}

func TestLocate(t *testing.T) {
	t.Parallel()
	db, err := geoip.Parse(cities())
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		addr     netip.Addr
		lat, lon float64
		ok       bool
	}{
		{netip.MustParseAddr("192.0.2.255"), 52.5, 13.4, true},
		{netip.MustParseAddr("::ffff:192.0.2.1"), 52.5, 13.4, true},
		{netip.MustParseAddr("198.51.100.127"), -33.9, 151.2, true},
		{netip.MustParseAddr("198.51.100.128"), 0, 0, false},
		{netip.MustParseAddr("2001:db8:1::1"), 40.7, -74, true},
		{netip.MustParseAddr("2001:db9::1"), 0, 0, false},
		{netip.MustParseAddr("fe80::1%eth0"), 0, 0, false},
		{netip.Addr{}, 0, 0, false},
	} {
		lat, lon, ok := db.Locate(tc.addr)
		if lat != tc.lat || lon != tc.lon || ok != tc.ok {
			t.Errorf("Locate(%v) = %v, %v, %v, want %v, %v, %v", tc.addr, lat, lon, ok, tc.lat, tc.lon, tc.ok)
		}
	}
}

// TestOwner: the country comes from the database of cities, the system from another one.
func TestOwner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	systems := write("systems.mmdb", database(false, record{network: "192.0.2.0/24", system: 64500}))
	db, err := geoip.Open(write("cities.mmdb", cities()), systems)
	if err != nil {
		t.Fatal(err)
	}
	if country, system, name := db.Owner(netip.MustParseAddr("192.0.2.7")); country != "DE" || system != 64500 || name != "Example Net" {
		t.Errorf("%s %d %q", country, system, name)
	}
	if country, system, name := db.Owner(netip.MustParseAddr("203.0.113.7")); country != "" || system != 0 || name != "" {
		t.Errorf("an unknown address: %s %d %q", country, system, name)
	}
	if _, err := geoip.Open(filepath.Join(dir, "cities.mmdb"), write("cut.mmdb", []byte("x"))); err == nil || !strings.Contains(err.Error(), "cut.mmdb") {
		t.Errorf("a damaged database of owners: %v", err)
	}
}

// TestImpossiblePlaces: coordinates that do not exist are ignored.
func TestImpossiblePlaces(t *testing.T) {
	t.Parallel()
	db, err := geoip.Parse(database(true, record{network: "192.0.2.0/24", lat: 91}, record{network: "198.51.100.0/24", lat: 1, lon: 2}))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, ok := db.Locate(netip.MustParseAddr("192.0.2.1")); ok {
		t.Error("latitude 91 is accepted")
	}
}

// TestTruncated: a database that is truncated at any byte is refused.
func TestTruncated(t *testing.T) {
	t.Parallel()
	whole := cities()
	for n := range whole {
		if _, err := geoip.Parse(whole[:n:n]); err == nil {
			t.Errorf("the first %d of %d bytes are accepted as a database", n, len(whole))
		}
	}
	path := filepath.Join(t.TempDir(), "cut.mmdb")
	if err := os.WriteFile(path, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := geoip.Open(path)
	if err == nil || !strings.HasPrefix(err.Error(), "geoip: "+path) || !strings.Contains(err.Error(), "download it again") {
		t.Errorf("Open of a truncated file returns %v", err)
	}
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	if _, err := geoip.Open(filepath.Join(t.TempDir(), "none.mmdb")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := geoip.Parse(database(false, record{network: "192.0.2.0/24"})); !errors.Is(err, geoip.ErrNoLocations) {
		t.Errorf("a database without locations: %v", err)
	}
}
