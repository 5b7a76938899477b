# Copyright The otelauth Authors
# SPDX-License-Identifier: Apache-2.0

"""A small, typical shop. The lines marked "gateway" were added."""

import json
import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = os.environ.get("SHOP_SECRET_KEY", "for-this-example-only")
DEBUG = False
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
ROOT_URLCONF = "shop.urls"
WSGI_APPLICATION = "shop.wsgi.application"
USE_TZ = True

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "rest_framework",
]

MIDDLEWARE = [
    "django.middleware.common.CommonMiddleware",
    "otelauth_middleware.IdentityMiddleware",  # gateway: who calls, and the lines
]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["otelauth_middleware.GatewayAuthentication"],  # gateway: the same for the REST framework
    "EXCEPTION_HANDLER": "otelauth_middleware.exception_handler",  # gateway: which permission denied
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}
if "SHOP_GATEWAY" in os.environ:  # gateway: its networks, if it connects by TCP
    OTELAUTH_GATEWAY = json.loads(os.environ["SHOP_GATEWAY"])

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("SHOP_DATABASE", BASE_DIR / "shop.sqlite3"),
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"trace": {"()": "otelauth_middleware.TraceFilter"}},  # gateway: trace id and user in the site's own lines
    "formatters": {
        "line": {"format": "%(levelname)s trace_id=%(trace_id)s user=%(user)s %(name)s %(message)s"},
        "json": {"format": "%(message)s"},
    },
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "filters": ["trace"], "formatter": "line"},
        "json": {"class": "logging.StreamHandler", "formatter": "json"},
    },
    "loggers": {"otelauth": {"handlers": ["json"], "propagate": False}},  # gateway: JSON lines
    "root": {"handlers": ["stderr"], "level": "INFO"},
}
