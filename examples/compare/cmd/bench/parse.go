// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strconv"
	"strings"
)

// sample is the value of each unit of one run.
type sample map[string]float64

// parse finds the result of the benchmark in go test's output.
func parse(name, out string) (sample, error) {
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) < 4 || stripProcs(fields[0]) != name {
			continue
		}
		s := make(sample)
		for i := 2; i+1 < len(fields); i += 2 {
			v, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return nil, fmt.Errorf("bench: %s: %w", name, err)
			}
			s[fields[i+1]] = v
		}
		return s, nil
	}
	return nil, fmt.Errorf("bench: %s printed no result", name)
}

// stripProcs removes the "-8" that go test adds when GOMAXPROCS is not 1.
func stripProcs(name string) string {
	i := strings.LastIndexByte(name, '-')
	if i < 0 {
		return name
	}
	if _, err := strconv.Atoi(name[i+1:]); err != nil {
		return name
	}
	return name[:i]
}
