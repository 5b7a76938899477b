// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// nextOf maps each service to the URL of the next one, in a deployment where service names are
// host names.
var nextOf = map[string]string{storefrontName: "https://orders:8443", ordersName: "https://inventory:8443"}

// configure reads the flags of one service. Their defaults come from the environment.
func configure(flags *flag.FlagSet, name string, parse func(operands int) error) (config, error) {
	cfg := config{name: name}
	flags.StringVar(&cfg.listen, "listen", env("LISTEN", "127.0.0.1:8443"), "`address` to listen on (SHOP_LISTEN)")
	flags.StringVar(&cfg.secrets, "secrets", env("SECRETS", "/run/shop"), "`directory` that setup wrote for this service (SHOP_SECRETS)")
	if next, calls := nextOf[name]; calls {
		flags.StringVar(&cfg.next, "next", env("NEXT", next), "`URL` of the service that this one calls (SHOP_NEXT)")
	}
	flags.StringVar(&cfg.redis, "redis", env("REDIS", ""), "`host:port` of the Redis in which replicas share budgets and evidence (SHOP_REDIS); default: none")
	flags.StringVar(&cfg.trail, "trail", env("TRAIL", ""), "`folder` of a tamper-evident record of every attempt; its key is beside it (SHOP_TRAIL); default: no record")
	callers := flags.String("trusted-callers", env("TRUSTED_CALLERS", ""),
		"addresses or `networks`, separated by commas, whose traceparent is continued (SHOP_TRUSTED_CALLERS); default: none")
	proxies := flags.String("trusted-proxies", env("TRUSTED_PROXIES", ""),
		"addresses or `networks`, separated by commas, whose X-Forwarded-For is believed (SHOP_TRUSTED_PROXIES); default: none")
	windows := flags.String("slow-ten-minutes", env("SLOW_TEN_MINUTES", "0"),
		"ten-minute windows with guesses before low_and_slow fires (SHOP_SLOW_TEN_MINUTES), 2 to 144; 0: 24")
	if err := parse(0); err != nil {
		return cfg, err
	}
	var errCallers, errProxies, errWindows, errNext error
	cfg.trustedCallers, errCallers = networks("trusted-callers", *callers)
	cfg.trustedProxies, errProxies = networks("trusted-proxies", *proxies)
	if cfg.slowTenMinutes, errWindows = strconv.Atoi(*windows); errWindows != nil {
		errWindows = misuse(fmt.Sprintf("--slow-ten-minutes %q is not a number; give 0 or 2 to 144", *windows))
	}
	if u, err := url.Parse(cfg.next); cfg.next != "" && (err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil) {
		errNext = misuse("--next is not an https URL of a server; write it as https://orders:8443")
	}
	cfg.next = strings.TrimSuffix(cfg.next, "/")
	return cfg, errors.Join(errCallers, errProxies, errWindows, errNext)
}

func networks(name, list string) (all []netip.Prefix, err error) {
	for text := range strings.SplitSeq(list, ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		if addr, err := netip.ParseAddr(text); err == nil {
			all = append(all, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, misuse(fmt.Sprintf("--%s: %q is neither an address nor a network such as 10.89.1.0/24", name, text))
		}
		all = append(all, network)
	}
	return all, nil
}

// serveAlone serves until ctx is done.
func serveAlone(ctx context.Context, cfg config, stdout io.Writer) (err error) {
	if err := senderToken(cfg.secrets); err != nil {
		return err
	}
	to, err := toEnvironment(ctx)
	if err != nil {
		return err
	}
	signals, err := newTelemetry(ctx, cfg.name, true, to)
	if err != nil {
		return err
	}
	s, err := startService(ctx, cfg, signals)
	if err != nil {
		signals.abandon()
		return explain(err)
	}
	defer func() { err = errors.Join(err, signals.shutdown(ctx)) }()
	fmt.Fprintf(stdout, "%s serves on %s\n", cfg.name, s.URL())
	select {
	case <-ctx.Done():
	case err = <-s.served:
	}
	return errors.Join(err, s.stop(ctx))
}

// senderToken adds the token from setup to the exporters' headers, unless the environment sets
// headers itself. OpenTelemetry has no standard variable that names a file.
func senderToken(secrets string) error {
	const variable = "OTEL_EXPORTER_OTLP_HEADERS"
	token, err := os.ReadFile(filepath.Join(secrets, otlpTokenFile))
	switch {
	case os.Getenv(variable) != "" || errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return os.Setenv(variable, "Authorization=Bearer%20"+url.QueryEscape(strings.TrimSpace(string(token))))
}
