// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package servers

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
)

// WitnessServer is a running omniwitness (c2sp.org/tlog-witness) with a database.
type WitnessServer struct {
	*Process
	URL string // its submission prefix
	Key string // its public key
}

// StartOmniwitness starts a witness that knows one log, by its name and public key.
func StartOmniwitness(t Owner, origin, publicKey string) *WitnessServer {
	t.Helper()
	path := found(t, Omniwitness)
	dir := t.TempDir()
	key, err := trail.GenerateKey(rand.Reader, "witness.example/w")
	if err != nil {
		t.Fatalf("servers: %v", err)
	}
	private, logs := filepath.Join(dir, "witness.key"), filepath.Join(dir, "logs.yaml")
	writeFile(t, private, []byte(key.Private()))
	text, err := json.Marshal(map[string]any{"Logs": []any{map[string]any{"Origin": origin, "PublicKey": publicKey, "URL": "https://log.example/"}}})
	if err != nil {
		t.Fatalf("servers: %v", err)
	}
	writeFile(t, logs, text)
	addr := FreeAddrs(t, 1)[0]
	w := &WitnessServer{URL: "http://" + addr + "/", Key: cosigner(t, key.Public())}
	w.Process = Start(t, Program{
		Name: Omniwitness, Path: path, Dir: dir, Ready: refuses(w.URL + "add-checkpoint"),
		Args: []string{
			"-listen", addr, "-metrics_listen", "", "-private_key_path", private, "-additional_logs", logs,
			"-db_file", filepath.Join(dir, "witness.db"), "-logtostderr",
		},
	})
	return w
}

// cosigner returns the public key of cosignatures (c2sp.org/tlog-cosignature) for that of notes: it
// has another type, and therefore another hash.
func cosigner(t Owner, public string) string {
	t.Helper()
	name, rest, _ := strings.Cut(public, "+")
	_, text, _ := strings.Cut(rest, "+")
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(data) != 33 {
		t.Fatalf("servers: the key %q of a witness: %v", public, err)
	}
	const cosignatureV1 = 4
	data[0] = cosignatureV1
	sum := sha256.Sum256(append([]byte(name+"\n"), data...))
	return fmt.Sprintf("%s+%x+%s", name, sum[:4], base64.StdEncoding.EncodeToString(data))
}

// refuses returns a function whose error is nil when a server answers an empty request.
func refuses(url string) func() error {
	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, http.NoBody)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode != http.StatusBadRequest {
			return fmt.Errorf("servers: %s answers %d", url, resp.StatusCode)
		}
		return nil
	}
}
