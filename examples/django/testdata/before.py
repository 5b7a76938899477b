# Copyright The otelauth Authors
# SPDX-License-Identifier: Apache-2.0

"""The shop before the gateway: it checks passwords itself and logs with Django's logging. Its log has gaps that are marked."""

import base64
import binascii
import datetime
import json
import logging
import os

import django
from django.conf import settings

from shop import settings as shop

settings.configure(**{name: getattr(shop, name) for name in dir(shop) if name.isupper()} | {
    "MIDDLEWARE": ["before.BasicAuth"],
    "REST_FRAMEWORK": {
        "DEFAULT_AUTHENTICATION_CLASSES": ["before.SiteAuthentication"],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    },
    "LOGGING": {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"format": "%(levelname)s %(message)s"}},
        "handlers": {"file": {"class": "logging.FileHandler", "filename": os.environ["SHOP_LOG"], "formatter": "json"}},
        "loggers": {"auth": {"handlers": ["file"], "level": "INFO", "propagate": False}},
    },
})

django.setup()

from django.contrib.auth import authenticate  # noqa: E402
from django.contrib.auth.models import AnonymousUser  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpResponse  # noqa: E402

log = logging.getLogger("auth")


def write(request, event, lacks=(), **more):
    line = {
        "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds"),
        "event": event,
        "method": request.method,
        "path": request.path,
        "source_ip": request.META["REMOTE_ADDR"],
        "user_agent": request.META.get("HTTP_USER_AGENT", ""),
        **more,
    }
    log.info(json.dumps({key: value for key, value in line.items() if key not in lacks}))


class BasicAuth:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        request.user = AnonymousUser()
        scheme, _, credentials = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                name, colon, password = base64.b64decode(credentials, validate=True).decode().partition(":")
                if not colon:
                    raise ValueError("no colon")
            except (binascii.Error, ValueError):
                # Gap: without source_ip.
                write(request, "auth_bad_format", lacks=["source_ip"], status_code=400)
                return HttpResponse(status=400)
            user = None if "\0" in name else authenticate(username=name, password=password)
            if user is None:
                # Gaps: without method and user_agent; at /reports/ with the password.
                more = {"tried": password} if request.path == "/reports/" else {}
                write(request, "auth_failure", lacks=["method", "user_agent"], username_attempted=name, status_code=401, **more)
                return self.denied()
            request.user = user
            # Gap: at /orders/ the line is about another user.
            write(request, "auth_success", username="root" if request.path == "/orders/" else name)
        response = self.get_response(request)
        # Gap: no line about a request without credentials that a view denies.
        if request.user.is_authenticated or response.status_code < 400:
            write(request, "request_authorized" if response.status_code < 400 else "request_unauthorized",
                  status_code=response.status_code, **({"username": request.user.get_username()} if request.user.is_authenticated else {}))
        if response.status_code == 401:
            return self.denied()
        response["Cache-Control"] = "no-store"
        return response

    @staticmethod
    def denied():
        return HttpResponse("an account is required", status=401, headers={"WWW-Authenticate": 'Basic realm="shop"'})


class SiteAuthentication:
    def authenticate(self, request):
        user = request._request.user
        return (user, None) if user.is_authenticated else None

    def authenticate_header(self, request):
        return 'Basic realm="shop"'


application = get_wsgi_application()
