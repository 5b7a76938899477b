// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package geoip finds where an address is in a database in MaxMind's format (GeoLite2 City, DB-IP City, …), for the rule
// impossible_travel of package detect.
//
// It refuses to download a database, and to guess: an address that the database does not place is nowhere. It is apart
// from package detect so that a service without a database does not carry the reader.
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

// ErrNoLocations says that a database is good and places nothing, as one of countries or of networks' owners.
var ErrNoLocations = errors.New("no record of the database has a latitude and a longitude; use one of cities")

// Database is a [detect.Locator]. Use [Open] or [FromBytes]. It is safe for concurrent use and needs no closing.
type Database struct {
	reader *maxminddb.Reader
}

var _ detect.Locator = (*Database)(nil)

// Open reads the database at path into memory, all of it: a file mapped into memory that somebody truncates would end the
// process. The error names the path; a file that is cut off or of another kind is one, and so is [ErrNoLocations]. A file
// that is replaced later is not read again.
func Open(path string) (*Database, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("geoip: %w", err)
	}
	d, err := FromBytes(data)
	if err != nil {
		return nil, fmt.Errorf("geoip: %s: %w", path, err)
	}
	return d, nil
}

// probed is how many records are looked at for a location, before the database is believed to have none.
const probed = 10_000

// FromBytes is Open for a database that is in memory, and must stay as it is.
func FromBytes(data []byte) (*Database, error) {
	reader, err := maxminddb.OpenBytes(data)
	if err != nil {
		return nil, fmt.Errorf("not a whole database in MaxMind's format, fetch it again: %w", err)
	}
	d := &Database{reader}
	n := 0
	for result := range reader.Networks() {
		if err := result.Err(); err != nil {
			return nil, fmt.Errorf("the database is damaged, fetch it again: %w", err)
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

// Locate returns latitude and longitude in degrees.
func (d *Database) Locate(addr netip.Addr) (latitude, longitude float64, ok bool) {
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() {
		return 0, 0, false
	}
	return located(d.reader.Lookup(addr))
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
