# Copyright The otelauth Authors
# SPDX-License-Identifier: Apache-2.0

"""The identity of the caller, behind otelauth gateway.

The gateway has verified the password and sends the account's name in Remote-User. The header is trustworthy
only if no other process can reach the site, so the site listens only on a unix socket that the gateway's
user may open. The gateway removes the header, in every spelling, from client requests.
"""

from django.contrib.auth import authenticate
from django.contrib.auth.backends import RemoteUserBackend
from django.contrib.auth.models import AnonymousUser
from rest_framework.authentication import BaseAuthentication

from shop import trace


class Backend(RemoteUserBackend):
    """Returns the account of a verified name. It refuses inactive accounts and creates no unknown ones."""

    create_unknown_user = False


class UserMiddleware:
    """Sets request.user.

    Django's own RemoteUserMiddleware creates a session, a database row, for each request without cookies.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        name = request.META.get("HTTP_REMOTE_USER")
        user = authenticate(request, remote_user=name) if name else None
        request.user = user or AnonymousUser()
        trace.user.set(request.user.get_username() or "-")
        return self.get_response(request)


class Authentication(BaseAuthentication):
    """Does the same for the REST framework. A request without a user is answered 403, because the gateway sends the challenge."""

    def authenticate(self, request):
        user = request._request.user
        return (user, None) if user.is_authenticated else None
