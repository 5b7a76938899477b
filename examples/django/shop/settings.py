# Copyright The otelauth Authors
# SPDX-License-Identifier: Apache-2.0

"""A small, typical shop. The lines marked "gateway" were added."""

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
    "shop.trace.TraceMiddleware",  # gateway: its trace id in each log line
    "django.middleware.common.CommonMiddleware",
    "shop.identity.UserMiddleware",  # gateway: who calls
]

AUTHENTICATION_BACKENDS = ["shop.identity.Backend"]  # gateway: no account is made up for a name
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["shop.identity.Authentication"],  # gateway: the same for the REST framework
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}

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
    "filters": {"trace": {"()": "shop.trace.TraceFilter"}},
    "formatters": {"line": {"format": "%(levelname)s trace_id=%(trace_id)s user=%(user)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "filters": ["trace"], "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
}
