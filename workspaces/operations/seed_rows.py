"""The rows of seeding: which objects a workspace is to carry, what came of the last look at each, and what is told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import yaml
from django.db import transaction
from django.db.models import Q

from workspaces.models import PLATFORM, Event, Seed, SeedManifest, Workspace
from workspaces.operations.seed_objects import Finding, fields_of, finding_of
from workspaces.providers.errors import Permanent
from workspaces.rules import drift_words, seeding

_WRITTEN: Final = ("revision", "state", "message", "conflicts", "state_since", "applied_at")
# How many objects a sentence names.
_NAMED: Final = 5
_LEFT: Final = "Left to others, as somebody has decided."
NO_HOST: Final = ("pending", "Waits until a host is ready.")


# --- Which objects ----------------------------------------------------------------------------------------------------
def kept(workspace: Workspace, now: datetime) -> tuple[list[Finding], list[str]]:
    """What is to be looked at, in the order in which it is applied, and the keys of rows that are dropped.

    A row is made for each object that is new. Rows whose manifest fits no more go; their objects stay in the cluster.
    """
    manifests = list(_manifests(workspace))
    rows = {(row.manifest_id, row.object): row for row in Seed.objects.filter(workspace=workspace)}
    findings: list[Finding] = []
    new: list[Seed] = []
    for manifest, document in _documents(manifests, workspace.kubernetes_version):
        key = (manifest.pk, seeding.object_of(document))
        seed = rows.pop(key, None)
        if seed is None:
            seed = Seed(workspace=workspace, manifest=manifest, object=key[1], state_since=now)
            new.append(seed)
        findings.append(finding_of(seed, manifest, document))
    _let_wait(findings, workspace)
    # While its version is not known, nobody can tell whether such a manifest still fits.
    unknown = {manifest.pk for manifest in manifests if manifest.versions and not workspace.kubernetes_version}
    dropped = [row for row in rows.values() if row.manifest_id not in unknown]
    Seed.objects.bulk_create(new)
    _drop(workspace, dropped)
    return findings, [str(row.pk) for row in dropped]


def _manifests(workspace: Workspace) -> Iterable[SeedManifest]:
    """Those for clusters of its organization; whether they fit its version is another question."""
    mine = Q(organization=None) | Q(organization=workspace.project.organization_id)
    return SeedManifest.objects.filter(mine, active=True).order_by("name")


def _documents(manifests: Iterable[SeedManifest], version: str) -> list[tuple[SeedManifest, Any]]:
    """The objects of the fitting ones: Namespaces of all of them first, then definitions, then the others."""
    fitting = [manifest for manifest in manifests if seeding.fits(version, manifest.versions)]
    pairs = [(manifest, document) for manifest in fitting for document in _parsed(manifest.name, manifest.content)]
    return sorted(pairs, key=lambda pair: seeding.place_of(pair[1]))


@lru_cache(maxsize=256)
def _parsed(name: str, content: str) -> tuple[Any, ...]:
    """The objects of a text, which many clusters carry; nobody may change them."""
    try:
        return tuple(document for document in yaml.safe_load_all(content) if document is not None)
    except yaml.YAMLError as error:
        raise Permanent("configuration", f"Manifest {name} is not YAML: {error}") from None


def _let_wait(findings: Iterable[Finding], workspace: Workspace) -> None:
    """Say of each object that is not looked at why it is not."""
    owners: dict[str, SeedManifest] = {}
    for finding in findings:
        owner = owners.setdefault(finding.seed.object, finding.manifest)
        if finding.is_left:
            finding.waits = ("applied", _LEFT)
        elif owner is not finding.manifest:
            # Two of our own applies would take fields from one another for ever.
            finding.waits = ("failed", f"Manifest {owner} has this object too, and an object belongs to one manifest.")
        elif finding.manifest.phase == "hosts" and not finding.seed.revision and not workspace.hosts_ready:
            finding.waits = NO_HOST


def _drop(workspace: Workspace, rows: Sequence[Seed]) -> None:
    if not rows:
        return
    names = [row.object for row in rows]
    said = f"No longer keeps {_count(names)}: {_listed(names)}; what is in the cluster stays as it is"
    with transaction.atomic():
        Seed.objects.filter(pk__in=[row.pk for row in rows]).delete()
        Event.record(PLATFORM, "seeding.ended", workspace=workspace, summary=said)


# --- What came of the look --------------------------------------------------------------------------------------------
def write(workspace: Workspace, findings: Sequence[Finding], now: datetime, *, busy: bool) -> bool:
    """Write what differs, and one event that says what was changed in the cluster; whether anything was written."""
    changed = [finding.seed for finding in findings if _settle(finding, workspace, now, busy=busy)]
    said = _said(findings)
    if not changed and not said:
        return False
    with transaction.atomic():
        Seed.objects.bulk_update(changed, _WRITTEN, batch_size=200)
        if said:
            rows = [row for finding in findings for row in finding.set_back]
            changes = {f"{row.subject} {row.field}": [row.seen, row.wanted] for row in rows}
            Event.record(PLATFORM, "seeding.applied", workspace=workspace, summary=said, changes=changes)
    return True


def _settle(finding: Finding, workspace: Workspace, now: datetime, *, busy: bool) -> bool:
    """Put what was found onto the row (not saved); whether the row has changed."""
    seed = finding.seed
    before = [getattr(seed, name) for name in _WRITTEN]
    if finding.applied:
        seed.revision, seed.applied_at = finding.manifest.revision, now
    state, message = _outcome(finding, workspace, busy=busy)
    if state != seed.state or seed.state_since is None:
        seed.state_since = now
    seed.state, seed.message = state, message
    if finding.looked and not busy:
        seed.conflicts = [{"field": name, "manager": manager} for name, manager in finding.conflicts]
    return before != [getattr(seed, name) for name in _WRITTEN]


def _outcome(finding: Finding, workspace: Workspace, *, busy: bool) -> tuple[str, str]:
    """State and message of the row."""
    seed, error = finding.seed, finding.error
    if finding.waits:
        return finding.waits
    settled = finding.is_current and not error and not finding.differences
    if not finding.looked or (busy and not settled):
        return seed.state, seed.message
    if error:
        return "failed", f"{error.message} Who can fix: {error.who_can_fix}"
    if finding.conflicts:
        held = dict.fromkeys(f"{manager} holds {name}" for name, manager in finding.conflicts)
        return "conflict", f"{'; '.join(held)}."
    if not finding.is_current:
        return "pending", f"Nothing is applied in this state of the workspace: {workspace.get_state_display()}."
    return ("applied", "") if settled else ("pending", f"Not as wanted: {fields_of(finding.differences)}.")


# --- Sentences --------------------------------------------------------------------------------------------------------
def _said(findings: Iterable[Finding]) -> str:
    """What was changed in the cluster, in sentences; "" when nothing was."""
    applied: dict[str, list[str]] = defaultdict(list)
    said: list[str] = []
    for finding in findings:
        if finding.set_back:
            said += [_mended(finding, row) for row in finding.set_back]
        elif finding.changed:
            applied[finding.manifest.name].append(finding.name)
    first = [f"Applied {_count(names)} of {manifest}: {_listed(names)}" for manifest, names in applied.items()]
    return ". ".join([*first, *said])


def _mended(finding: Finding, row: Any) -> str:
    by = f"; {row.decided_by} has decided so" if row.decision == "converge" else ""
    if row.field == seeding.WHOLE:
        return f"Made {finding.name} anew, which was not there{by}"
    return drift_words.repaired(row.kind, row.subject, row.field, row.wanted, row.seen, row.actor) + by


def _count(names: Collection[str]) -> str:
    return f"{len(names)} object{'' if len(names) == 1 else 's'}"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
