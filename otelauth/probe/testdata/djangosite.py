# Copyright The otelauth Authors
# SPDX-License-Identifier: Apache-2.0
#
# A site with Django's REST framework, in one file, for gunicorn: djangosite:application.

import base64
import os

import django
from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="of a test", LOGGING_CONFIG=None,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "rest_framework"],
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["SITE_DATABASE"]}},
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.BasicAuthentication"],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    },
)
django.setup()

from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpResponse, JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework.decorators import api_view, permission_classes  # noqa: E402
from rest_framework.permissions import AllowAny, IsAdminUser  # noqa: E402
from rest_framework.response import Response  # noqa: E402

if not os.path.exists(os.environ["SITE_DATABASE"]):
    from django.contrib.auth.models import User

    call_command("migrate", verbosity=0)
    User.objects.create_user("alice", password="right-of-alice", is_staff=True)
    User.objects.create_user("bob", password="right-of-bob")
    User.objects.create_user("mallory", password="right-of-mallory")


@api_view(["GET"])
def orders(request):
    return Response({"orders": ["tea", "coffee", "sugar", "milk"]})


@api_view(["GET"])
@permission_classes([IsAdminUser])
def staff(request):
    return Response({"settings": ["colour", "language", "currency", "hours"]})


@api_view(["GET"])
@permission_classes([AllowAny])
def health(request):
    return Response({"status": "ok"})


def legacy(request):
    """A view of its own, with the usual mistakes: exceptions, and a comparison of user names only."""
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if scheme == "Basic":
        name, _, password = base64.b64decode(text).decode().partition(":")
        if name in ("alice", "bob") and password == "right-of-" + name:
            return HttpResponse("legacy invoices: paper, toner, ribbons, envelopes")
    response = HttpResponse("denied", status=401)
    response["WWW-Authenticate"] = 'Basic realm="legacy"'
    return response


def export(request):
    """A view outside of the framework, which is not protected."""
    return JsonResponse({"customers": ["Ada Lovelace", "Alan Turing", "Grace Hopper"]})


urlpatterns = [
    path("orders/", orders), path("staff/", staff), path("health/", health), path("legacy/", legacy), path("export/", export),
]

application = get_wsgi_application()
