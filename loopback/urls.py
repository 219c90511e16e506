"""The addresses of the whole product."""

from django.contrib import admin
from django.urls import include, path

from loopback import health
from workspaces.api.v1 import api

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("admin/", admin.site.urls),
    path("accounts/", include("allauth.account.urls")),
    path("api/v1/", api.urls),
    path("", include("workspaces.urls")),
]
