"""Everything that is known about one workspace, as plain values: for support staff, on a page and by a command.

Rows as they are stored, newest first where they grow. Of credentials it is told only whether there is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from django.db.models import Model, Q, QuerySet

from workspaces.models.event import Event
from workspaces.models.hold import Hold
from workspaces.models.infrastructure import LeftServer, ProviderAccount
from workspaces.models.look import Look
from workspaces.models.maintenance import MaintenancePlan
from workspaces.models.sealed import Sealed, SealedField
from workspaces.models.workspace import Workspace
from workspaces.rules import labels

LATEST: Final = 20
# Connection variables and settings are to be without secrets; what is called like one is not shown all the same.
_SECRET: Final = ("password", "passphrase", "secret", "token", "_pass", "private")
Section = list[dict[str, Any]]


def dossier(workspace: Workspace, now: datetime) -> dict[str, Section]:
    """Sections by name, each a list of rows: column names with plain values (about 25 queries, any size)."""
    operations = workspace.operations.order_by("-created_at")
    newest = list(operations[:LATEST])
    hosts, records = (rows.values("provider_account") for rows in (workspace.hosts, workspace.dns_records))
    accounts = ProviderAccount.objects.filter(Q(pk__in=hosts) | Q(pk__in=records))
    sections: dict[str, Iterable[Model]] = {
        "workspace": [workspace],
        "project": [workspace.project],
        "organization": [workspace.project.organization],
        "management cluster": [workspace.management_cluster] if workspace.management_cluster else [],
        "provider accounts": accounts,
        "maintenance plan": MaintenancePlan.objects.filter(workspace=workspace),
        "holds": Hold.objects.filter(_above(workspace)).order_by("-set_at")[:LATEST],
        "hosts": workspace.hosts.all(),
        "left servers": LeftServer.objects.filter(**{f"labels__{labels.WORKSPACE}": str(workspace.pk)}),
        "DNS records": workspace.dns_records.all(),
        "looks": _looks(workspace, accounts),
        "drift": _newest(workspace.drifts, "-since"),
        "seeds": workspace.seeds.all(),
        "integrations": workspace.integrations.all(),
        "operations": newest,
        "steps of the newest operation": newest[0].steps.all() if newest else [],
        "last lines of the newest operation": newest[0].lines.order_by("-id")[:LATEST] if newest else [],
        "preflights": _newest(workspace.preflights, "-asked_at"),
        "decisions": _newest(workspace.decisions, "-opens_at"),
        "package updates": _newest(workspace.package_updates, "-installed_at"),
        "kubeconfigs": _newest(workspace.kubeconfigs, "-requested_at"),
        "transfers": _newest(workspace.transfers, "-moved_at"),
        "events": Event.objects.filter(workspace_id=workspace.pk).order_by("-id")[:LATEST],
    }
    told = {name: [_row(row) for row in rows] for name, rows in sections.items()}
    return {"dossier": [{"as of": now.isoformat()}]} | told


def _above(workspace: Workspace) -> Q:
    """The holds that stop this workspace: its own, and those of its project, its organization and the platform."""
    here, organization = workspace.project, workspace.project.organization_id
    platform = Q(workspace=None, project=None, organization=None)
    return platform | Q(workspace=workspace) | Q(project=here) | Q(organization=organization)


def _looks(workspace: Workspace, accounts: QuerySet[ProviderAccount]) -> QuerySet[Look]:
    """Everything that is looked at for this workspace, whether it is told on its pages or not."""
    cluster = Q(management_cluster__isnull=False, management_cluster=workspace.management_cluster_id)
    return Look.objects.filter(Q(workspace=workspace) | Q(provider_account__in=accounts) | cluster).order_by("kind")


def _newest(rows: Any, order: str) -> QuerySet[Model]:
    found: QuerySet[Model] = rows.order_by(order)[:LATEST]
    return found


def _row(row: Model) -> dict[str, Any]:
    return {field.attname: _plain(row, field) for field in row._meta.concrete_fields}


def _plain(row: Model, field: Any) -> Any:
    value = getattr(row, field.attname)
    if isinstance(field, SealedField) or isinstance(value, Sealed):
        return "stored, not shown" if value else "none"
    if isinstance(value, Mapping):
        return _without_secrets(value)
    return value.isoformat() if isinstance(value, datetime) else value


def _without_secrets(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            name: "not shown" if any(word in str(name).lower() for word in _SECRET) else _without_secrets(inner)
            for name, inner in value.items()
        }
    return [_without_secrets(inner) for inner in value] if isinstance(value, list) else value
