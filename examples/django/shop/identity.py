# Copyright The otelauth Authors
# SPDX-License-Identifier: Apache-2.0

"""Who calls, behind otelauth gateway.

The gateway has verified the password and says in Remote-User who calls. That header is worth what the way to this process is
worth: the site listens on a unix socket that nobody but the gateway's user may open, and on nothing else. The gateway removes the
header, in every spelling, from what clients send.
"""

from django.contrib.auth import authenticate
from django.contrib.auth.backends import RemoteUserBackend
from django.contrib.auth.models import AnonymousUser
from rest_framework.authentication import BaseAuthentication

from shop import trace


class Backend(RemoteUserBackend):
    """The account of a name that the gateway has verified; inactive ones are refused, unknown ones are not made up."""

    create_unknown_user = False


class UserMiddleware:
    """Sets request.user. Django's own RemoteUserMiddleware begins a session, a row in the database, for each request of a client
    that keeps no cookies."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        name = request.META.get("HTTP_REMOTE_USER")
        user = authenticate(request, remote_user=name) if name else None
        request.user = user or AnonymousUser()
        trace.user.set(request.user.get_username() or "-")
        return self.get_response(request)


class Authentication(BaseAuthentication):
    """The same for the REST framework. A request without a user is answered 403, for the challenge is the gateway's."""

    def authenticate(self, request):
        user = request._request.user
        return (user, None) if user.is_authenticated else None
