# Copyright The otelauth Authors
# SPDX-License-Identifier: Apache-2.0
#
# The site in Django, in one file, for gunicorn: djangosite:application.

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import re_path
from django.views.decorators.csrf import csrf_exempt

settings.configure(
    ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="of a test", APPEND_SLASH=True,
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"], LOGGING_CONFIG=None,
)


def marked(kind):
    def view(request, **_):
        body = "" if request.method == "HEAD" else "marker=%s" % kind
        response = HttpResponse(body, content_type="text/plain")
        response["Marker"] = kind
        return response

    return csrf_exempt(view)


urlpatterns = [
    re_path(r"^healthz$", marked("public")),
    re_path(r"^static/", marked("public")),
    re_path(r"^u/me$", marked("restricted")),
    re_path(r"^u/(?P<id>[^/]+)$", marked("public")),
    re_path(r"^(?:admin|access|files/private)(?:/|$)", marked("restricted")),
    re_path(r"", marked("protected")),
]

application = get_wsgi_application()
