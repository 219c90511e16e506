"""The least a Django answer costs here: the same middleware and sign-in, one query, one flat loop, the same size.

The URLs stand beside the product's own (settings.ROOT_URLCONF is set to this module for the run).
"""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template import engines
from django.urls import include, path

from workspaces.models import ApiKey, MaintenancePlan, Workspace

COLUMNS = ("id", "name", "type", "state", "kubernetes_version", "location", "host_count", "hosts_ready", "attention")
PAGE = engines["django"].from_string(
    "<!doctype html><title>Least</title><table>{% for row in rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>"
    "{% endfor %}</tr>{% endfor %}</table>{{ padding }}"
)


@login_required
def listing(request: HttpRequest, size: int) -> HttpResponse:
    """Fifty rows, filled up to `size` bytes."""
    rows = list(Workspace.objects.order_by("name").values_list(*COLUMNS)[:50])
    return _filled(request, rows, size)


@login_required
def detail(request: HttpRequest, size: int) -> HttpResponse:
    """One row, filled up to `size` bytes."""
    return _filled(request, list(Workspace.objects.order_by("name").values_list(*COLUMNS)[:1]), size)


def _filled(request: HttpRequest, rows: list[tuple[object, ...]], size: int) -> HttpResponse:
    bare = PAGE.render({"rows": rows, "padding": ""}, request)
    return HttpResponse(bare + "." * (size - len(bare)))


@login_required
def save(request: HttpRequest) -> HttpResponse:
    """Reads the form, changes one row in a transaction, and sends the reader back."""
    with transaction.atomic():
        MaintenancePlan.objects.filter(pk=request.POST["workspace"]).update(priority_hour=int(request.POST["hour"]))
    return HttpResponse(status=303, headers={"Location": "/"})


def api_list(request: HttpRequest) -> HttpResponse:
    """Fifty rows as JSON for whoever holds a key."""
    ApiKey.objects.get(prefix=request.headers["Authorization"][7:18])
    return JsonResponse({"items": list(Workspace.objects.order_by("name").values(*COLUMNS)[:50])})


def api_patch(request: HttpRequest) -> HttpResponse:
    """One row changed in a transaction, and shown."""
    ApiKey.objects.get(prefix=request.headers["Authorization"][7:18])
    with transaction.atomic():
        plans = MaintenancePlan.objects.filter(pk=request.GET["workspace"])
        plans.update(priority_hour=int(request.GET["hour"]))
    return JsonResponse(plans.values("enabled", "priority_hour", "updated_at").get())


urlpatterns = [
    path("least/listing/<int:size>", listing),
    path("least/detail/<int:size>", detail),
    path("least/save", save),
    path("least/api-list", api_list),
    path("least/api-patch", api_patch),
    path("", include("loopback.urls")),
]
