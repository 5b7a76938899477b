// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package filelog tests the receiver of trail.yaml with the real collector. Package e2e tests the
// rest of that file, with the records that TestReceiver has written to testdata.
//
// It is a module of its own: no version of the file receiver that module proxies have fits the
// versions of the other components in module e2e.
package filelog

import (
	"errors"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/healthcheckextension"
	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/filelogreceiver"
	"github.com/spf13/cobra"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/confmap/provider/yamlprovider"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/otlphttpexporter"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/service/telemetry/otelconftelemetry"
)

// components returns what the receiver of trail.yaml needs.
func components() (otelcol.Factories, error) {
	extensions, errExtensions := otelcol.MakeFactoryMap[extension.Factory](filestorage.NewFactory(), healthcheckextension.NewFactory())
	receivers, errReceivers := otelcol.MakeFactoryMap[receiver.Factory](filelogreceiver.NewFactory())
	exporters, errExporters := otelcol.MakeFactoryMap[exporter.Factory](otlphttpexporter.NewFactory())
	return otelcol.Factories{
		Extensions: extensions, Receivers: receivers, Exporters: exporters, Telemetry: otelconftelemetry.NewFactory(),
	}, errors.Join(errExtensions, errReceivers, errExporters)
}

// command returns the collector's command line.
func command() *cobra.Command {
	return otelcol.NewCommand(otelcol.CollectorSettings{
		BuildInfo: component.BuildInfo{Command: "otelcol", Description: "OpenTelemetry Collector", Version: "test"},
		Factories: components,
		ConfigProviderSettings: otelcol.ConfigProviderSettings{ResolverSettings: confmap.ResolverSettings{
			ProviderFactories: []confmap.ProviderFactory{envprovider.NewFactory(), fileprovider.NewFactory(), yamlprovider.NewFactory()},
			DefaultScheme:     "env",
		}},
	})
}
