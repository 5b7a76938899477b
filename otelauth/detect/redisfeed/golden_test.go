// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package redisfeed

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/otelauth/otelauth-go/otelauth/detect/internal/feed"
)

// TestGoldenEntry holds the format of entries and of the reported position, and the derivation of
// keys: processes of several versions share a Redis. A new format needs a new entryVersion.
func TestGoldenEntry(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{})
	t.Cleanup(func() { _ = client.Close() })
	f, err := New(Config{
		Client: client, Key: bytes.Repeat([]byte("k"), 32), Rand: bytes.NewReader([]byte("0123456789abcdef")),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.seal([]feed.Outgoing{{Number: 1, Data: []byte("data")}}); err != nil {
		t.Fatal(err)
	}
	key := f.Key()
	position := f.sealPosition(feed.Position{Major: 1772438400123, Minor: 7})
	got := fmt.Sprintf("entry %s\nposition %s\ntables %s\n",
		hex.EncodeToString(f.sealed[0].entry), hex.EncodeToString([]byte(position)), hex.EncodeToString(key[:]))
	want, err := os.ReadFile("testdata/entry.golden")
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the format in Redis has changed; increase entryVersion\n got:\n%s\nwant:\n%s", got, want)
	}
	b, _, ok := f.open(entry{feed.Position{Major: 1}, string(f.sealed[0].entry)})
	if !ok || !b.Own || b.Number != 1 || string(b.Data) != "data" {
		t.Errorf("the entry opens as %+v, %v", b, ok)
	}
}
