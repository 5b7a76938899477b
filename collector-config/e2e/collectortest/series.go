// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package collectortest

import (
	"net/http"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// A Series is one sample of a Prometheus exposition.
type Series struct {
	Name   string
	Labels map[string]string
	Value  float64
}

// Series returns the collector's own metrics.
func (c *Collector) Series(t testing.TB) []Series {
	t.Helper()
	return ScrapeURL(t, "http://"+c.Address+":"+PortMetrics+"/metrics")
}

// ScrapeURL returns the series of a Prometheus exposition.
func ScrapeURL(t testing.TB, url string) []Series {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	var all []Series
	for _, family := range families {
		samples, err := expfmt.ExtractSamples(&expfmt.DecodeOptions{}, family)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range samples {
			labels := map[string]string{}
			for k, v := range s.Metric {
				labels[string(k)] = string(v)
			}
			name := labels[model.MetricNameLabel]
			delete(labels, model.MetricNameLabel)
			all = append(all, Series{Name: name, Labels: labels, Value: float64(s.Value)})
		}
	}
	return all
}
