"""Seeding: the objects of fitting manifests are looked for in a cluster, and applied where they are missing or differ.

Server-side apply, as a manager of our own: a field that somebody else holds is named and left alone until a person
decides. Nothing is ever deleted in a cluster. One object is looked at in seed_objects, told in seed_rows.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from django.conf import settings

from workspaces.models import Drift, Workspace
from workspaces.models.health import reassess
from workspaces.operations import connections, drift, gate, seed_objects, seed_rows, seen
from workspaces.operations.looks import LOOKED_AT
from workspaces.operations.seed_objects import Finding
from workspaces.providers.cluster import Cluster
from workspaces.providers.errors import ProviderError, Temporary
from workspaces.providers.objects import Objects
from workspaces.rules.drift import Difference
from workspaces.rules.seeding import APPLIED_IN

KIND: Final = "seed"
# Seconds for all objects, within the lease of the look.
PATIENCE: Final = 60


def look(workspace: Workspace, now: datetime) -> None:
    """Look at the seeded objects of a workspace, write what differs and apply what may be. Raises ProviderError.

    An object that fails does not keep the others. What was applied is told even if the look breaks off afterwards.
    """
    if not workspace.is_kubernetes or workspace.state not in {*LOOKED_AT, *APPLIED_IN}:
        return
    seen.refuse_in_the_dark(workspace)
    findings, dropped = seed_rows.kept(workspace, now)
    if not findings and not dropped:
        return
    busy, drifted = seen.is_busy(workspace.pk), False
    try:
        if findings:
            drifted = _look_at(workspace, findings, now, may=workspace.state in APPLIED_IN and not busy)
    finally:
        changed = seed_rows.write(workspace, findings, now, busy=busy)
        if dropped:
            drift.record([workspace.pk], [KIND], {}, now, refs=dropped)
    # Even if nothing has changed: what is found no better by a second look gates.
    gate.judge([workspace.pk], now)
    if changed or dropped or drifted:
        reassess([workspace.pk], now)


def _look_at(workspace: Workspace, findings: Sequence[Finding], now: datetime, *, may: bool) -> bool:
    """Look, apply what has never been applied in this revision, and set back; whether rows of drift have changed."""
    kubeconfig = connections.tenant_kubeconfig(workspace)
    _let_go(workspace, findings, kubeconfig)
    with Objects(kubeconfig, name=workspace.name, timeout=settings.LOOPBACK_VENDOR_TIMEOUT) as objects:
        until = time.monotonic() + PATIENCE
        for finding in findings:
            if finding.waits:
                continue
            if time.monotonic() > until:
                raise Temporary("unreachable", f"tenant {workspace} answers so slowly that only a part could be seen.")
            seed_objects.examine(objects, finding)
            if may and not finding.is_current and finding.error is None:
                seed_objects.apply(objects, finding)
        drifted = _record(workspace, findings, now)
        if may and any(finding.differences for finding in findings):
            _set_back(objects, workspace, findings, now)
    return drifted


def _let_go(workspace: Workspace, findings: Sequence[Finding], kubeconfig: str) -> None:
    """Let objects that wait for a host wait no longer than that: the look that sees the hosts may be long ago."""
    waiting = [finding for finding in findings if finding.waits == seed_rows.NO_HOST]
    if not waiting:
        return
    with Cluster(kubeconfig, name=workspace.name, timeout=settings.LOOPBACK_VENDOR_TIMEOUT) as cluster:
        ready = any(node.ready == "True" for node in cluster.nodes())
    for finding in waiting if ready else ():
        finding.waits = None


def _record(workspace: Workspace, findings: Sequence[Finding], now: datetime) -> bool:
    """Write down what is drift. Of an object that could not be read, the rows say what they said."""
    read = [finding for finding in findings if finding.was_read]
    found: list[Difference] = [one for finding in read for one in finding.differences]
    refs = {str(finding.seed.pk) for finding in read}
    return bool(drift.record([workspace.pk], [KIND], {workspace.pk: found}, now, refs=refs).workspaces)


def _set_back(objects: Objects, workspace: Workspace, findings: Sequence[Finding], now: datetime) -> None:
    rows: Mapping[str, list[Drift]] = defaultdict(list)
    for row in drift.to_set_back([workspace.pk], [KIND], refs={str(finding.seed.pk) for finding in findings}):
        rows[row.ref].append(row)
    for finding in findings:
        if (meant := rows.get(str(finding.seed.pk))) and not seen.is_busy(workspace.pk):
            _set_one_back(objects, finding, meant, now)


def _set_one_back(objects: Objects, finding: Finding, rows: Sequence[Drift], now: datetime) -> None:
    try:
        if finding.error:
            raise finding.error
        seed_objects.set_back(objects, finding, rows)
    except ProviderError as error:
        for row in rows:
            drift.not_set_back(row, error, now)
        if error.code in seed_objects.EVERYBODYS:
            raise
    else:
        for row in rows:
            drift.set_back(row, now, say=False)
