# Copyright The otelauth Authors
# SPDX-License-Identifier: Apache-2.0

"""Views with typical flaws: each view decides itself who may see it, or does not."""

import functools
import logging

from django.http import HttpResponse, JsonResponse
from rest_framework.permissions import IsAdminUser, IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

log = logging.getLogger("shop.views")


def for_users(view):
    """The site's own decorator. It does not record whom it denies."""

    @functools.wraps(view)
    def wrapped(request):
        if not request.user.is_authenticated:
            return HttpResponse(status=401)
        return view(request)

    return wrapped


@for_users
def orders(request):
    log.info("orders listed")
    return JsonResponse({"orders": [1, 2, 3], "for": request.user.get_username()})


class Reports(APIView):
    permission_classes = [IsAuthenticated]

    def get(self, request):
        return Response({"reports": []})


class Staff(APIView):
    """403 from a permission, for all users who are not staff."""

    permission_classes = [IsAdminUser]

    def get(self, request):
        return Response({"staff": [request.user.get_username()]})


@for_users
def legacy(request):
    """Answers 401 itself: it requires its own key in addition to the password."""
    if request.headers.get("X-Legacy-Key") != "opensesame":
        return HttpResponse("no key", status=401)
    return HttpResponse("legacy")


def export(request):
    """An unprotected endpoint."""
    return JsonResponse({"customers": ["everybody"]})


def health(request):
    return HttpResponse("ok")
