# Copyright The otelauth Authors
# SPDX-License-Identifier: Apache-2.0

from django.urls import path

from shop import views

urlpatterns = [
    path("orders/", views.orders),
    path("reports/", views.Reports.as_view()),
    path("staff/", views.Staff.as_view()),
    path("legacy/", views.legacy),
    path("export/", views.export),
    path("health/", views.health),
]
