# Copyright The otelauth Authors
# SPDX-License-Identifier: Apache-2.0

"""The shop inside of a span for each request, as OpenTelemetry's instrumentation for WSGI starts it. Each span is written as JSON."""

import json
import sys

from opentelemetry import trace

try:
    from opentelemetry.sdk.trace import TracerProvider

    trace.set_tracer_provider(TracerProvider())
except ImportError:  # testdata/tracer needs no provider
    pass

from shop.wsgi import application as shop  # noqa: E402

tracer = trace.get_tracer("shop")


def application(environ, start_response):
    with tracer.start_as_current_span("request") as span:
        response = shop(environ, start_response)
    written = {
        "span": environ.get("HTTP_USER_AGENT", ""),
        "trace_id": format(span.get_span_context().trace_id, "032x"),
        "attributes": dict(span.attributes),
    }
    print(json.dumps(written), file=sys.stderr, flush=True)
    return response
