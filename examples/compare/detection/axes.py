# Copyright The otelauth Authors
# SPDX-License-Identifier: Apache-2.0

"""Plays a recording to django-axes, in Django with the documented settings.

Argument: the recording. Each attempt calls django.contrib.auth.authenticate at the time of the
attempt, as BasicAuthentication of Django REST framework does for each request. Attempts without
credentials do not call it.
"""

import datetime
import json
import sys

import django
from django.conf import settings
from django.utils import timezone

clock = [datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)]
timezone.now = lambda: clock[0]

settings.configure(
    SECRET_KEY="of a replay",
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "axes"],
    MIDDLEWARE=["axes.middleware.AxesMiddleware"],
    AUTHENTICATION_BACKENDS=["axes.backends.AxesBackend", "__main__.Recorded"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    USE_TZ=True,
    LOGGING_CONFIG=None,
)


class Recorded:
    """Accepts the right credentials of the recording, instead of comparing password hashes."""

    def authenticate(self, request, username=None, password=None):
        return User(username=username) if password == "right" else None


def main(recording):
    import logging

    logging.disable(logging.CRITICAL)
    from axes.conf import settings as axes
    from axes.signals import user_locked_out
    from django.contrib.auth import authenticate
    from django.core.management import call_command
    from django.http import HttpRequest

    call_command("migrate", verbosity=0)
    print("django-axes: limit %r, cool-off %r, handler %s" % (
        axes.AXES_FAILURE_LIMIT, axes.AXES_COOLOFF_TIME, axes.AXES_HANDLER), file=sys.stderr)

    # Without a cool-off and a reset, a lock is permanent. After it, the first attempts are played, and
    # then one in a hundred.
    if axes.AXES_COOLOFF_TIME is not None or axes.AXES_RESET_ON_SUCCESS:
        raise SystemExit("django-axes has other defaults than this driver supports; update axes.py")
    locked = set()
    since = {}

    def lock(sender, ip_address, **_):
        if ip_address not in locked:
            locked.add(ip_address)
            print(json.dumps({"block": ip_address, "at": clock[0].timestamp()}))

    user_locked_out.connect(lock)
    with open(recording) as attempts:
        for line in attempts:
            a = json.loads(line)
            if not a["name"]:
                continue
            before = a["ip"] in locked
            if before:
                n = since[a["ip"]] = since.get(a["ip"], 0) + 1
                if n > 3 and n % 100:
                    print(json.dumps({"refused": a["i"]}))
                    continue
            clock[0] = datetime.datetime.fromtimestamp(a["t"], datetime.timezone.utc)
            request = HttpRequest()
            request.method, request.path = "GET", a["path"]
            request.META = {"REMOTE_ADDR": a["ip"], "HTTP_USER_AGENT": a["agent"], "HTTP_ACCEPT": "*/*", "PATH_INFO": a["path"]}
            user = authenticate(request, username=a["name"], password="right" if a["right"] else "wrong")
            if before and user is not None:
                raise SystemExit("django-axes let %s in, which it had locked" % a["ip"])
            if user is None and (before or a["right"]):
                print(json.dumps({"refused": a["i"]}))


django.setup()
from django.contrib.auth.models import User  # noqa: E402

main(*sys.argv[1:])
