# Copyright The otelauth Authors
# SPDX-License-Identifier: Apache-2.0

"""The caller of a Django site behind otelauth gateway: request.user, span attributes, one JSON line for each decision.

Copy this file into your site. It needs Django 3.2 or newer. The REST framework and opentelemetry-api are optional. In settings.py:

    MIDDLEWARE = [..., "otelauth_middleware.IdentityMiddleware"]  # behind AuthenticationMiddleware, if you have it
    REST_FRAMEWORK = {
        "DEFAULT_AUTHENTICATION_CLASSES": ["otelauth_middleware.GatewayAuthentication"],
        "EXCEPTION_HANDLER": "otelauth_middleware.exception_handler",
    }
    OTELAUTH_GATEWAY = "unix"  # the default; for a gateway on TCP its addresses: ["10.0.0.5", "10.1.0.0/24"]

The lines go to the logger "otelauth". Each is one JSON object with time, level, event, method, path, status, source_ip, user_agent
and trace_id, and where known user or username_attempted, reason, route, view and permission. Each request has two lines:

    auth_success           the gateway verified the password, and the account is active
    auth_missing           no credentials: a public path, or a request that did not come through the gateway
    auth_bad_format        credentials that no client sends: bad Base64, no colon, control characters
    auth_failure           a claimed identity or a password that the gateway did not verify, or a refused account

    request_authorized     any status except 401 and 403
    request_unauthorized   401 or 403; view and permission name what denied

The gateway answers wrong passwords itself. They never reach the site, and the gateway's own events record them.
"""

import base64
import binascii
import contextvars
import datetime
import ipaddress
import json
import logging
import re

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied

try:
    from opentelemetry import trace
except ImportError:  # without OpenTelemetry the lines remain
    trace = None

log = logging.getLogger("otelauth")

# W3C Trace Context: version, trace id, parent id, flags. Anything else must not reach a log line.
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_LONGEST_NAME = 150  # of auth_user.username

_current = contextvars.ContextVar("otelauth_attempt", default=None)


class Attempt:
    """What is known about the caller of one request."""

    def __init__(self):
        self.event, self.outcome, self.reason = "auth_missing", "missing", ""
        self.scheme = "none"
        self.user = None  # a verified, active account
        self.attempted = ""  # an account that somebody claimed to be
        self.source_ip = ""
        self.trace_id = ""
        self.view = ""  # the view that ran
        self.permission = ""  # what denied in it

    def refuse(self, event, outcome, reason):
        self.event, self.outcome, self.reason = event, outcome, reason


def is_from_gateway(request):
    """Reports whether the peer is the gateway. Only the connection decides, because a client can send any header."""
    peer, allowed = request.META.get("REMOTE_ADDR", ""), getattr(settings, "OTELAUTH_GATEWAY", "unix")
    if allowed == "unix":
        return peer == ""  # WSGI and ASGI servers have no address for the peer of a unix socket
    try:
        return any(ipaddress.ip_address(peer) in ipaddress.ip_network(network) for network in allowed)
    except ValueError:
        return False


def _account(name):
    """Returns the account of a name, or None."""
    model = get_user_model()
    try:
        return model._default_manager.get_by_natural_key(name)
    except model.DoesNotExist:
        return None


def _claim(attempt, name):
    """Records whose name was claimed. Only names of accounts are kept, because people type passwords into the name field."""
    if len(name) <= _LONGEST_NAME and not _CONTROL.search(name) and _account(name) is not None:
        attempt.attempted = name


def _identify(attempt, name):
    """Judges the name that the gateway verified."""
    if not name or len(name) > _LONGEST_NAME or _CONTROL.search(name):
        attempt.refuse("auth_bad_format", "malformed", "control_character")
        return
    user = _account(name)
    if user is None:
        attempt.refuse("auth_failure", "failure", "unknown_user")
    elif not user.is_active:
        attempt.attempted = name
        attempt.refuse("auth_failure", "failure", "account_disabled")
    else:
        attempt.user = user
        attempt.event, attempt.outcome, attempt.reason = "auth_success", "success", ""


def _basic(attempt, credentials):
    """Judges a password that the gateway did not verify. It is never compared, kept or recorded."""
    try:
        text = base64.b64decode(credentials.strip(), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeError):
        attempt.refuse("auth_bad_format", "malformed", "invalid_base64")
        return
    name, colon, _ = text.partition(":")
    if not colon:
        attempt.refuse("auth_bad_format", "malformed", "no_colon")
    elif _CONTROL.search(text):
        attempt.refuse("auth_bad_format", "malformed", "control_character")
    else:
        attempt.refuse("auth_failure", "failure", "not_from_gateway")
        _claim(attempt, name)


def authenticate(request):
    """Returns the Attempt of a request."""
    attempt = Attempt()
    through = is_from_gateway(request)
    attempt.source_ip = request.META.get("HTTP_X_FORWARDED_FOR" if through else "REMOTE_ADDR", "")[:64]
    attempt.trace_id = _trace_id(request, through)
    claimed = request.META.get("HTTP_REMOTE_USER")
    if claimed is not None:
        # WSGI hands over header bytes as Latin-1.
        claimed = claimed.encode("latin-1", "replace").decode("utf-8", "replace")
    scheme, _, credentials = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    attempt.scheme = {"": "none", "basic": "basic", "bearer": "bearer"}.get(scheme.lower(), "other")
    if through and claimed is not None:
        attempt.scheme = "basic"
        _identify(attempt, claimed)
    elif attempt.scheme == "basic":
        _basic(attempt, credentials)
    elif claimed is not None:
        attempt.refuse("auth_failure", "failure", "not_from_gateway")
        _claim(attempt, claimed)
    elif scheme:
        attempt.reason = "unsupported_scheme"
    return attempt


def _trace_id(request, through):
    """Returns the trace id of the current span or, without OpenTelemetry, that of the gateway, but never a client's."""
    if trace is not None:
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            return format(context.trace_id, "032x")
    match = _TRACEPARENT.fullmatch(request.META.get("HTTP_TRACEPARENT", "")) if through else None
    return match.group(1) if match else ""


def _annotate(attempt, status):
    """Adds the attributes of otelauth's signals to the span of the request."""
    if trace is None:
        return
    span = trace.get_current_span()
    if not span.is_recording():
        return
    attributes = {"auth.scheme": attempt.scheme, "auth.outcome": attempt.outcome, "auth.reason": attempt.reason}
    if attempt.user is not None:
        attributes["user.id"], attributes["user.name"] = str(attempt.user.pk), attempt.user.get_username()
        if status in (401, 403):
            attributes["auth.response.denied_by"], attributes["auth.rule"] = "service", attempt.permission
            attributes["auth.reason"] = "not_permitted"
    elif attempt.attempted:
        attributes["user.name"] = attempt.attempted
    attributes["code.function.name"] = attempt.view
    span.set_attributes({key: value for key, value in attributes.items() if value})


def _write(request, attempt, event, status, reason, refused):
    match = request.resolver_match
    line = {
        "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds"),
        "level": "WARNING" if refused else "INFO",
        "event": event,
        "method": request.method[:16],
        "path": request.path[:1024],
        "status": status,
        "source_ip": attempt.source_ip,
        "user_agent": request.META.get("HTTP_USER_AGENT", "")[:256],
        "trace_id": attempt.trace_id,
    }
    optional = {
        "user": attempt.user.get_username() if attempt.user is not None else "",
        "username_attempted": attempt.attempted,
        "reason": reason,
        "route": match.route if match else "",
        "view": attempt.view,
        "permission": attempt.permission,
    }
    line.update({key: value for key, value in optional.items() if value})
    # json escapes control characters and everything that is not ASCII, so no client can forge a line.
    log.log(logging.WARNING if refused else logging.INFO, "%s", json.dumps(line))


class IdentityMiddleware:
    """Sets request.user from the gateway's identity, annotates the span and writes the lines.

    Django's own RemoteUserMiddleware believes the header from every peer, and creates a session, a database row, for each
    request without cookies.
    """

    def __init__(self, get_response):
        from django.contrib.auth.models import AnonymousUser  # LOGGING imports this file before Django loads its models

        self.get_response, self.anonymous = get_response, AnonymousUser

    def __call__(self, request):
        attempt = authenticate(request)
        request.otelauth, request.user = attempt, attempt.user or self.anonymous()
        token = _current.set(attempt)
        try:
            response = self.get_response(request)
            status = response.status_code
            denied = status in (401, 403)
            _annotate(attempt, status)
            _write(request, attempt, attempt.event, status, attempt.reason, attempt.outcome in ("failure", "malformed"))
            event = "request_unauthorized" if denied else "request_authorized"
            _write(request, attempt, event, status, "not_permitted" if denied and attempt.user else attempt.reason, denied)
            return response
        finally:
            _current.reset(token)

    def process_view(self, request, view, args, kwargs):
        """Remembers the view, which is the one that denies if the answer is 401 or 403."""
        cls = getattr(view, "cls", None) or getattr(view, "view_class", None)
        request.otelauth.view = f"{cls.__module__}.{cls.__name__}" if cls else f"{view.__module__}.{view.__qualname__}"

    def process_exception(self, request, exception):
        if isinstance(exception, PermissionDenied):
            request.otelauth.permission = "PermissionDenied"


class GatewayAuthentication:
    """Hands request.user to the REST framework."""

    def authenticate(self, request):
        user = request._request.user
        return (user, None) if user.is_authenticated else None

    def authenticate_header(self, request):
        """Returns None: a request without a user is answered 403, because the gateway sends the challenge."""


def exception_handler(exception, context):
    """Remembers which permission of the REST framework denied, and answers as the framework does.

    The framework raises the same exception for every permission. Only the frame of check_permissions knows which one it was.
    """
    from rest_framework.views import exception_handler as answer

    frame = exception.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_name in ("check_permissions", "check_object_permissions"):
            permission = frame.tb_frame.f_locals.get("permission")
            context["request"]._request.otelauth.permission = type(permission).__name__
        frame = frame.tb_next
    return answer(exception, context)


class TraceFilter(logging.Filter):
    """Adds trace_id and user to each log record of the site, for formats with %(trace_id)s and %(user)s."""

    def filter(self, record):
        attempt = _current.get()
        record.trace_id = (attempt and attempt.trace_id) or "-"
        record.user = attempt.user.get_username() if attempt and attempt.user is not None else "-"
        return True
