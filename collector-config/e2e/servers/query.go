// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package servers

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// get returns the body of a 2xx answer.
func get(address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	return body, status(resp, body)
}

// ask requests base with query and decodes the JSON answer.
func ask(base string, query url.Values, into any) error {
	body, err := get(base + "?" + query.Encode())
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s: %w in %.300s", base, err, body)
	}
	return nil
}

// lines decodes an answer that has one JSON document a line.
func lines(base string, query url.Values) ([]map[string]string, error) {
	body, err := get(base + "?" + query.Encode())
	if err != nil {
		return nil, err
	}
	var rows []map[string]string
	scanner := bufio.NewScanner(bytes.NewReader(body))
	scanner.Buffer(nil, 16<<20)
	for scanner.Scan() {
		if len(bytes.TrimSpace(scanner.Bytes())) == 0 {
			continue
		}
		var row map[string]string
		if err := json.Unmarshal(scanner.Bytes(), &row); err != nil {
			return nil, fmt.Errorf("%s: %w in %.300s", base, err, scanner.Bytes())
		}
		rows = append(rows, row)
	}
	return rows, scanner.Err()
}
