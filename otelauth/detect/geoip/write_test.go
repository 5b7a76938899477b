// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package geoip_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"net/netip"
)

// record is one record of a database of cities.
type record struct {
	network  string
	lat, lon float64
	country  string
	system   uint32
}

// database returns a small database in MaxMind's format, version 2.0
// (https://maxmind.github.io/MaxMind-DB/): an IPv6 tree of 24-bit records, IPv4 under ::/96.
// Without locations its records are empty.
func database(locations bool, records ...record) []byte {
	type node [2]int // above 0: node; below 0: ^index of a record; 0: no record
	nodes := []node{{}}
	var data bytes.Buffer
	var offsets []int
	for i, r := range records {
		offsets = append(offsets, data.Len())
		fields := 0
		for _, has := range []bool{locations, r.country != "", r.system != 0, r.system != 0} {
			if has {
				fields++
			}
		}
		mapHeader(&data, fields)
		if r.country != "" {
			text(&data, "country")
			mapHeader(&data, 1)
			text(&data, "iso_code")
			text(&data, r.country)
		}
		if r.system != 0 {
			text(&data, "autonomous_system_number")
			number(&data, r.system)
			text(&data, "autonomous_system_organization")
			text(&data, "Example Net")
		}
		if locations {
			text(&data, "location")
			mapHeader(&data, 2)
			text(&data, "latitude")
			double(&data, r.lat)
			text(&data, "longitude")
			double(&data, r.lon)
		}
		p := netip.MustParsePrefix(r.network)
		bits := p.Bits()
		addr := p.Addr().As16()
		if p.Addr().Is4() {
			bits += 96
			copy(addr[:12], make([]byte, 12))
		}
		at := 0
		for b := range bits {
			side := addr[b/8] >> (7 - b%8) & 1
			if b == bits-1 {
				nodes[at][side] = ^i
				break
			}
			if nodes[at][side] <= 0 {
				nodes = append(nodes, node{})
				nodes[at][side] = len(nodes) - 1
			}
			at = nodes[at][side]
		}
	}
	var out bytes.Buffer
	for _, n := range nodes {
		for _, side := range n {
			v := len(nodes) // no record
			switch {
			case side > 0:
				v = side
			case side < 0:
				v = len(nodes) + 16 + offsets[^side]
			}
			out.Write([]byte{byte(v >> 16), byte(v >> 8), byte(v)})
		}
	}
	out.Write(make([]byte, 16))
	out.Write(data.Bytes())
	out.WriteString("\xab\xcd\xefMaxMind.com")
	mapHeader(&out, 7)
	for _, f := range []struct {
		key   string
		value uint32
	}{
		{"binary_format_major_version", 2}, {"binary_format_minor_version", 0}, {"build_epoch", 1_700_000_000},
		{"ip_version", 6}, {"node_count", uint32(len(nodes))}, {"record_size", 24},
	} {
		text(&out, f.key)
		number(&out, f.value)
	}
	text(&out, "database_type")
	text(&out, "Test-City")
	return out.Bytes()
}

func mapHeader(b *bytes.Buffer, n int) { b.WriteByte(7<<5 | byte(n)) }

func text(b *bytes.Buffer, s string) {
	if len(s) < 29 {
		b.WriteByte(2<<5 | byte(len(s)))
	} else {
		b.Write([]byte{2<<5 | 29, byte(len(s) - 29)})
	}
	b.WriteString(s)
}

func double(b *bytes.Buffer, f float64) {
	b.WriteByte(3<<5 | 8)
	b.Write(binary.BigEndian.AppendUint64(nil, math.Float64bits(f)))
}

func number(b *bytes.Buffer, n uint32) {
	b.WriteByte(6<<5 | 4)
	b.Write(binary.BigEndian.AppendUint32(nil, n))
}
