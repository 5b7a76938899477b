// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package geoip returns the place of an address from a database in MaxMind's format (GeoLite2
// City, DB-IP City, …), for the rule impossible_travel of package detect.
//
// It does not download a database and does not guess: an address without a record has no place.
// It is a separate package, so that a service without a database does not depend on the reader.
//
//	cities, err := geoip.Open("/usr/share/GeoIP/GeoLite2-City.mmdb")
//	d, err := detect.New(detect.Config{Locator: cities})
package geoip

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/otelauth/otelauth-go/otelauth/detect"
)

// ErrNoLocations is the error for a database without coordinates, such as one of countries or of
// owners of networks.
var ErrNoLocations = errors.New("no record of the database has a latitude and a longitude; use one of cities")

// Database is a [detect.Locator] and a [detect.Owner]. Create it with [Open]. It is safe for
// concurrent use and need not be closed.
type Database struct {
	reader *maxminddb.Reader
	owners []*maxminddb.Reader // asked for owners after reader
}

var (
	_ detect.Locator = (*Database)(nil)
	_ detect.Owner   = (*Database)(nil)
)

// Open reads the whole database at path into memory, because truncating a mapped file would kill
// the process. It does not read a replaced file again. The error has the path; it is
// [ErrNoLocations] if the database has no coordinates, and another one if the file is truncated
// or has another format. owners are further databases with countries or autonomous systems, which
// need no coordinates.
func Open(path string, owners ...string) (*Database, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("geoip: %w", err)
	}
	d, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("geoip: %s: %w", path, err)
	}
	for _, path := range owners {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("geoip: %w", err)
		}
		reader, err := open(data)
		if err != nil {
			return nil, fmt.Errorf("geoip: %s: %w", path, err)
		}
		d.owners = append(d.owners, reader)
	}
	return d, nil
}

func open(data []byte) (*maxminddb.Reader, error) {
	reader, err := maxminddb.OpenBytes(data)
	if err != nil {
		return nil, fmt.Errorf("the file is truncated or not in MaxMind's format; download it again: %w", err)
	}
	return reader, nil
}

// probed is the number of records that are searched for coordinates.
const probed = 10_000

// parse returns the database in data, which must not change afterwards.
func parse(data []byte) (*Database, error) {
	reader, err := open(data)
	if err != nil {
		return nil, err
	}
	d := &Database{reader: reader}
	n := 0
	for result := range reader.Networks() {
		if err := result.Err(); err != nil {
			return nil, fmt.Errorf("the database is damaged; download it again: %w", err)
		}
		if _, _, ok := located(result); ok {
			return d, nil
		}
		if n++; n >= probed {
			break
		}
	}
	return nil, ErrNoLocations
}

// Locate returns latitude and longitude in degrees, and false if the database has no place for
// addr.
func (d *Database) Locate(addr netip.Addr) (latitude, longitude float64, ok bool) {
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() {
		return 0, 0, false
	}
	return located(d.reader.Lookup(addr))
}

// Owner returns the country of addr, and the number and the organization of its autonomous system:
// of each the first that a database has.
func (d *Database) Owner(addr netip.Addr) (country string, system uint32, organization string) {
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() {
		return "", 0, ""
	}
	for _, reader := range append([]*maxminddb.Reader{d.reader}, d.owners...) {
		var record struct {
			Country struct {
				Code string `maxminddb:"iso_code"`
			} `maxminddb:"country"`
			System       uint32 `maxminddb:"autonomous_system_number"`
			Organization string `maxminddb:"autonomous_system_organization"`
		}
		if err := reader.Lookup(addr).Decode(&record); err != nil {
			continue
		}
		if country == "" {
			country = record.Country.Code
		}
		if system == 0 {
			system, organization = record.System, record.Organization
		}
	}
	return country, system, organization
}

func located(result maxminddb.Result) (latitude, longitude float64, ok bool) {
	var record struct {
		Location struct {
			Latitude  *float64 `maxminddb:"latitude"`
			Longitude *float64 `maxminddb:"longitude"`
		} `maxminddb:"location"`
	}
	if err := result.Decode(&record); err != nil {
		return 0, 0, false
	}
	at := record.Location
	if at.Latitude == nil || at.Longitude == nil || !(math.Abs(*at.Latitude) <= 90) || !(math.Abs(*at.Longitude) <= 180) {
		return 0, 0, false
	}
	return *at.Latitude, *at.Longitude, true
}
