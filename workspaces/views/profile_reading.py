"""A workspace as the pages about its hosts and their prices need it, with what the reader may do, in one query.

Elsewhere `access.get_workspace` is used; five hundred profiles leave these pages no query to spare.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import JSONField, OuterRef, Q, Subquery
from django.db.models.functions import JSONObject
from django.http import HttpRequest
from django.shortcuts import get_object_or_404

from workspaces.models import Host, Membership, Operation, Workspace
from workspaces.rules import permissions
from workspaces.views.access import account_of, get_workspace

_HOST = ("id", "workspace_id", "name", "provider_account_id", "provider_id", "profile", "location", "node_name")
_SEEN = ("disk_gb", "ready", "provider_status", "unschedulable", "created_at")


@dataclass(frozen=True, slots=True)
class Reading:
    """The workspace, its hosts by name (as far as these pages show them), its open operation (`id`, `title`), and the
    permission keys of the reader."""

    workspace: Workspace
    hosts: list[Host]
    running: dict[str, str] | None
    keys: frozenset[str]


def read(request: HttpRequest, pk: UUID, *, need: str) -> Reading:
    """Raises Http404 and PermissionDenied as `get_workspace` does."""
    account = account_of(request)
    mine = Membership.objects.filter(account=account, organization=OuterRef("project__organization"))
    rows = Workspace.objects.allowing(account).exclude(state="deleted").with_plan().annotate(
        hosts_found=_rows(Host.objects.filter(workspace=OuterRef("pk")).order_by("name"), *_HOST, *_SEEN),
        running=Subquery(_running(), output_field=JSONField()),
        roles=ArraySubquery(mine.filter(Q(project=OuterRef("project")) | Q(project=None)).values("role")),
    )  # fmt: skip
    found: Any = get_object_or_404(rows, pk=pk)
    roles = [permissions.ADMINISTRATOR] if account.is_superuser else found.roles
    keys = frozenset[str]().union(*(permissions.keys_of(role) for role in roles))
    if need not in keys:
        get_workspace(request, pk, need=need)  # which says who may
    return Reading(found, [_host(values) for values in found.hosts_found], found.running, keys)


def _rows(rows: Any, *columns: str) -> ArraySubquery:
    return ArraySubquery(rows.values(row=JSONObject(**{column: column for column in columns})))


def _running() -> Any:
    mine = Operation.objects.open().filter(workspace=OuterRef("pk")).order_by()
    return mine.values(found=JSONObject(id="id", title="title"))[:1]


def _host(values: dict[str, Any]) -> Host:
    """An unsaved row of what was read."""
    keys = {name: UUID(values[name]) for name in ("id", "workspace_id", "provider_account_id") if values[name]}
    return Host(**(values | keys | {"created_at": datetime.fromisoformat(values["created_at"])}))
