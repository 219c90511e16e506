"""Workspaces in trouble of every kind, for the tests of the reconciliation pages."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from tests import cast
from workspaces.models import DnsRecord, Drift, Host, Look, ProviderAccount, QueueSample, Seed, SeedManifest, Workspace
from workspaces.rules import trouble

MINUTE = timedelta(minutes=1)


def account(name: str = "kestrel-cloud", of: str = "Kestrel Freight") -> ProviderAccount:
    """A cloud account of the organization."""
    found, _ = ProviderAccount.objects.get_or_create(
        organization=cast.organization(of), name=name, defaults={"token": "secret"}
    )
    return found


def on_account(workspace: Workspace, cloud: ProviderAccount) -> Workspace:
    """Its hosts have servers there."""
    for number, host in enumerate(workspace.hosts.all()):
        Host.objects.filter(pk=host.pk).update(provider_account=cloud, provider_id=100 + number)
    return workspace


def record(workspace: Workspace, cloud: ProviderAccount, **fields: Any) -> DnsRecord:
    """gw.customs.example, AAAA."""
    usual = {"zone": "customs.example", "name": "gw", "type": "AAAA", "value": "2001:db8::1"}
    return DnsRecord.objects.create(workspace=workspace, provider_account=cloud, **usual | fields)


def failing(
    kind: str, code: str, said: str, *, since: datetime, failures: int = 14, now: datetime = cast.NOW, **target: Any
) -> Look:
    """The look of this kind has failed again and again since then, and is left alone for a while."""
    look = Look.objects.get(kind=kind, **target)
    look.felt, look.failures, look.failing_since = failures > 1, failures, since
    look.error_code, look.error, look.who_can_fix = code, said, trouble.who_can_fix(code)
    look.succeeded_at, look.tried_at, look.due_at = since - MINUTE, now - MINUTE, now + 2 * MINUTE
    look.save()
    return look


def drift(workspace: Workspace, field: str = "replicas", wanted: Any = 2, seen: Any = 3, **fields: Any) -> Drift:
    """Open drift of the control plane that waits for a person, three hours old."""
    usual = {
        "kind": "control_plane",
        "subject": "Control plane",
        "policy": "decide",
        "since": cast.NOW - timedelta(hours=3),
    }
    return Drift.objects.create(workspace=workspace, field=field, wanted=wanted, seen=seen, **usual | fields)


def seed(workspace: Workspace, name: str = "baseline", state: str = "applied", **fields: Any) -> Seed:
    """An object of a manifest in the workspace."""
    text = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: kube-system}}\n"
    more = {key: fields.pop(key) for key in ("protected", "gates", "revision_of_manifest") if key in fields}
    revision = more.pop("revision_of_manifest", 1)
    manifest, _ = SeedManifest.objects.get_or_create(
        name=name, defaults={"content": text, "revision": revision, "phase": "control_plane"} | more
    )
    usual = {
        "object": f"v1 ConfigMap kube-system/{name}",
        "state": state,
        "revision": 1,
        "state_since": cast.NOW - timedelta(hours=5),
        "applied_at": cast.NOW - timedelta(hours=5),
    }
    return Seed.objects.create(workspace=workspace, manifest=manifest, **usual | fields)


def queue_of_six_hours(now: datetime) -> None:
    """Between 2 and 6 jobs wait until 40 minutes ago, then ever more, up to 21."""
    rows = []
    for ago in range(358):
        depth = 2 + ago * 7 % 5 if ago > 40 else 21 - ago * 16 // 40
        at = (now - ago * MINUTE).replace(second=0, microsecond=0)
        rows.append(QueueSample(at=at, queue="reconcile", depth=depth, oldest_seconds=depth * 11))
    QueueSample.objects.bulk_create(rows)


def sampled(look: Look, now: datetime, *, failing_lately: bool = False) -> None:
    """A day of samples: around 90 ms, and lately, when it fails, 2 s."""
    slot = int(now.timestamp()) // 1800 * 30
    samples = [[slot - 30 * n, 80 + n * 13 % 40, 0] for n in range(47, -1, -1)]
    if failing_lately:
        samples[-2:] = [[slot - 30, 1800, 12], [slot, 2000, 7]]
    Look.objects.filter(pk=look.pk).update(samples=samples)
