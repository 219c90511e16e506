"""The addresses of the whole product."""

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import include, path

from loopback import health, metrics
from workspaces.api.v1 import api


def nowhere(request: HttpRequest, rest: str) -> HttpResponse:
    """The admin's redirect to a row's own page: no row has one, and Django answers 500 for an odd id."""
    raise Http404


urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics.metrics, name="metrics"),
    path("admin/r/<path:rest>", nowhere),
    path("admin/", admin.site.urls),
    path("accounts/", include("loopback.account_urls")),
    path("api/v1/", api.urls),
    path("", include("workspaces.urls")),
]
