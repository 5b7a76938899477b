# Copyright The otelauth Authors
# SPDX-License-Identifier: Apache-2.0

"""Adds the gateway's trace id to each of the site's log lines."""

import contextvars
import logging
import re

log = logging.getLogger("shop.requests")

trace_id = contextvars.ContextVar("trace_id", default="-")
user = contextvars.ContextVar("user", default="-")

# W3C Trace Context: version, trace id, parent id, flags. Anything else must not reach a log line.
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


class TraceMiddleware:
    """Stores the trace id from the gateway and logs each request with it."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        match = _TRACEPARENT.fullmatch(request.META.get("HTTP_TRACEPARENT", ""))
        trace_id.set(match.group(1) if match else "-")
        user.set("-")
        response = self.get_response(request)
        log.info("%s %s %d", request.method, request.path, response.status_code)
        return response


class TraceFilter(logging.Filter):
    """Adds trace id and user to each log record."""

    def filter(self, record):
        record.trace_id = trace_id.get()
        record.user = user.get()
        return True
