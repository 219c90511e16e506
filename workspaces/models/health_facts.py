"""What the judgement of workspaces rests on, read from their rows: for any number of them with the same few queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db.models import Count, Q

from workspaces.models.drift import Drift
from workspaces.models.infrastructure import DnsRecord, Host
from workspaces.models.look import Look
from workspaces.models.operation import Operation
from workspaces.models.seeding import Seed, SeedManifest
from workspaces.models.workspace import Workspace
from workspaces.rules import lifecycle, looks, seeding
from workspaces.rules.health_seen import DriftSeen, HostSeen, SeedSeen, Seen, trouble_of
from workspaces.rules.trouble import Trouble

Troubles = Mapping[tuple[str, UUID], Trouble]


@dataclass
class _Facts:
    """What belongs to one workspace; `accounts` are those of its hosts, `zones` those of its DNS records."""

    hosts: list[HostSeen] = field(default_factory=list)
    accounts: list[UUID] = field(default_factory=list)
    zones: list[UUID] = field(default_factory=list)
    records: int = 0
    unseen_records: int = 0
    drift: list[DriftSeen] = field(default_factory=list)
    seeds: list[SeedSeen] = field(default_factory=list)
    seeds_applied: int = 0


def facts_of(workspaces: Sequence[Workspace]) -> dict[UUID, Seen]:
    """What is seen of each (project and management cluster at hand): seven queries, nine where objects are seeded."""
    keys = [workspace.pk for workspace in workspaces]
    facts: dict[UUID, _Facts] = defaultdict(_Facts)
    _read_hosts(keys, facts)
    _read_records(keys, facts)
    _read_drift(keys, facts)
    troubles, last = _troubles(keys), _latest_operations(keys)
    manifests = list(SeedManifest.objects.filter(active=True).values_list("organization", "versions"))
    if manifests:
        _read_seeds(keys, facts)
    return {
        workspace.pk: _seen(workspace, facts[workspace.pk], troubles, last.get(workspace.pk), manifests)
        for workspace in workspaces
    }


# --- Its own rows -----------------------------------------------------------------------------------------------------
def _read_hosts(keys: Collection[UUID], facts: Mapping[UUID, _Facts]) -> None:
    columns = (
        "workspace", "name", "ready", "kubelet_version", "ready_message", "node_name", "provider_account",
        "provider_status", "wanted__power",
    )  # fmt: skip
    rows = Host.objects.filter(workspace__in=keys).order_by("name").values_list(*columns)
    for key, name, ready, kubelet, message, node, account, status, power in rows:
        server = status if account else None
        host = HostSeen(name, ready, kubelet, message, joined=bool(node), server=server, wanted_off=power == "off")
        facts[key].hosts.append(host)
        if account and account not in facts[key].accounts:
            facts[key].accounts.append(account)


def _read_records(keys: Collection[UUID], facts: Mapping[UUID, _Facts]) -> None:
    rows = DnsRecord.objects.filter(workspace__in=keys).values_list("workspace", "provider_account").order_by()
    counted = rows.annotate(count=Count("pk"), unseen=Count("pk", filter=Q(observed_value="")))
    for key, account, count, unseen in counted:
        facts[key].zones.append(account)
        facts[key].records += count
        facts[key].unseen_records += unseen


def _read_drift(keys: Collection[UUID], facts: Mapping[UUID, _Facts]) -> None:
    columns = ("kind", "subject", "field", "wanted", "seen", "actor", "policy", "reason", "fought", "error")
    rows = Drift.objects.open().filter(workspace__in=keys).order_by("since", "subject", "field")
    for row in rows.values("workspace", "decision", *columns):
        key, decision = row.pop("workspace"), row.pop("decision")
        facts[key].drift.append(DriftSeen(**row, decided=bool(decision)))


def _read_seeds(keys: Collection[UUID], facts: Mapping[UUID, _Facts]) -> None:
    seeds = Seed.objects.filter(workspace__in=keys).order_by()
    different = False
    for key, state, count in seeds.values_list("workspace", "state").annotate(count=Count("pk")):
        if state == "applied":
            facts[key].seeds_applied = count
        different = different or state != "applied"
    if not different:
        return
    rows = seeds.exclude(state="applied").order_by("manifest__name", "object")
    for key, name, state, message, conflicts in rows.values_list(
        "workspace", "object", "state", "message", "conflicts"
    ):
        facts[key].seeds.append(SeedSeen(name, state, message, managers_of(conflicts)))


def managers_of(conflicts: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Who holds a field that we want to set, each once."""
    return tuple(dict.fromkeys(str(conflict.get("manager", "")) for conflict in conflicts))


# --- What it rests on -------------------------------------------------------------------------------------------------
def _troubles(keys: Collection[UUID]) -> dict[tuple[str, UUID], Trouble]:
    """The felt troubles of clusters and accounts, which are few, and of these workspaces' own loops."""
    platform = Q(management_cluster__isnull=False) | Q(provider_account__isnull=False)
    rows = Look.objects.filter(platform | Q(workspace__in=keys), felt=True).values_list(
        "kind", "error_code", "error", "who_can_fix", "failing_since",
        "management_cluster", "management_cluster__name", "provider_account", "provider_account__name",
        "workspace", "workspace__name",
    )  # fmt: skip
    return {
        (kind, cluster or account or own): trouble_of(
            kind, cluster_name or account_name or own_name, Trouble(code, error, fixer), since
        )
        for kind, code, error, fixer, since, cluster, cluster_name, account, account_name, own, own_name in rows
    }


def _latest_operations(keys: Collection[UUID]) -> dict[UUID, Operation]:
    newest = Operation.objects.filter(workspace__in=keys).order_by("workspace_id", "-created_at")
    return {operation.workspace_id: operation for operation in newest.distinct("workspace_id")}


def _seen(
    workspace: Workspace,
    facts: _Facts,
    troubles: Troubles,
    last: Operation | None,
    manifests: Sequence[tuple[UUID | None, str]],
) -> Seen:
    cluster, organization = workspace.management_cluster, workspace.project.organization_id
    fitting = (versions for whose, versions in manifests if whose in (None, organization))
    seeded = workspace.is_kubernetes and any(seeding.fits(workspace.kubernetes_version, each) for each in fitting)
    return Seen(
        type=workspace.type,
        state=workspace.state,
        state_reason=workspace.state_reason,
        control_plane_status=workspace.control_plane_status,
        wanted_version=workspace.control_plane_wanted,
        running_version=workspace.kubernetes_version,
        hosts=facts.hosts,
        paused=workspace.control_plane_paused and not workspace.wanted.get("paused"),
        management_trouble=troubles.get((looks.CONTROL_PLANES, cluster.pk)) if cluster else None,
        provider_trouble=_first(troubles, looks.SERVERS, facts.accounts),
        tenant_trouble=troubles.get((looks.CLUSTER, workspace.pk)),
        dns_trouble=_first(troubles, looks.DNS, facts.zones),
        seeding_trouble=troubles.get((looks.SEEDING, workspace.pk)) if seeded else None,
        failed_operation=_ended_badly(last),
        operation_open=bool(last and last.state in lifecycle.OPEN),
        records=facts.records,
        unseen_records=facts.unseen_records,
        seeded=seeded,
        seeds_applied=facts.seeds_applied,
        seeds=facts.seeds,
        drift=facts.drift,
        management=cluster.name if cluster else "",
        management_ends_at=cluster.credential_ends_at if cluster else None,
        certificate_ends_at=workspace.credential_ends_at,
    )


def _first(troubles: Troubles, kind: str, accounts: Collection[UUID]) -> Trouble | None:
    return next((trouble for account in accounts if (trouble := troubles.get((kind, account)))), None)


def _ended_badly(last: Operation | None) -> str:
    """The sentence for a latest operation that did not get through; "" for any other."""
    if last is None or last.state not in ("failed", "stopped"):
        return ""
    return f"{last.title} {'failed' if last.state == 'failed' else 'was stopped'}. {last.error_message}".strip()
