"""The sample fleet's windows before the demo began: what was decided in the last two days, and what was installed.

Also what an operator has flagged, and a hold, so that the pages have something to say about the days ahead.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.utils import timezone

from workspaces.models import (
    PLATFORM,
    Account,
    Advisory,
    Decision,
    Hold,
    Operation,
    PackageUpdate,
    Project,
    Step,
    Workspace,
)
from workspaces.operations import os_updates
from workspaces.rules import planner

DAYS = 2
# Waiting in the world on every host: the first is flagged below, the last asks for a restart.
WAITING = [
    {"package": "openssl", "version": "3.5.4-1+deb13u2", "security": True},
    {"package": "tzdata", "version": "2026b-0+deb13u1"},
]
KERNEL = {"package": "linux-image-amd64", "version": "6.12.57-1", "security": True, "reboot": True}
INSTALLED = ("libc6", "2.41-12", "2.41-12+deb13u1")


def record() -> None:
    """Make the rows: past decisions and runs, an advisory, a hold."""
    now = timezone.now()
    flagged = {"severity": "high", "packages": ["openssl", "libssl3t64"], "flagged_at": now - timedelta(hours=3)}
    Advisory.objects.create(name="DSA-6113", text="Memory safety of TLS handshakes.", **flagged)
    held = Project.objects.get(organization__name="Kestrel Freight", name="Data Platform")
    by = Account.objects.get(email="ines.albrecht@kestrel.example")
    until = planner.hour_of(now) + timedelta(hours=52)
    Hold.objects.create(
        project=held, reason="Load test of the new ingest path", set_by=by, set_by_name=str(by), expires_at=until
    )
    rows = Workspace.objects.filter(state__in=("active", "gated"), attention="").select_related("maintenance_plan")
    for workspace in rows.exclude(operations__state="failed"):
        _past(workspace, planner.hour_of(now))


def _past(workspace: Workspace, until: datetime) -> None:
    plan = workspace.maintenance_plan.as_rule()
    operations, decisions = [], []
    for window in planner.windows(plan, until - timedelta(days=DAYS), until):
        outcome, reason, message, operation = _what_came(workspace, window)
        if operation:
            operations.append(operation)
        decisions.append(
            Decision(
                workspace=workspace,
                lane=window.lane,
                opens_at=window.opens_at,
                outcome=outcome,
                reason=reason,
                message=message,
                evidence={
                    "work": [f"Operating system updates on {workspace.hosts.count()} hosts"] if operation else [],
                    "reasons": [{"code": reason, "message": message}],
                    "blocked_by": [{"code": reason, "message": message}] if outcome == "blocked" else [],
                },
                operation=operation,
                decided_at=window.opens_at + timedelta(seconds=20),
            )
        )
    Operation.objects.bulk_create(operations)
    Step.objects.bulk_create([step for operation in operations for step in _steps(operation)])
    Decision.objects.bulk_create(decisions)
    if operations:
        PackageUpdate.objects.bulk_create(_installed(operations[0]))


def _what_came(workspace: Workspace, window: planner.Window) -> tuple[str, str, str, Operation | None]:
    if not workspace.maintenance_plan.enabled:
        return "blocked", "maintenance_off", "Maintenance is off. An administrator can switch it on.", None
    if workspace.state == "gated":
        return "blocked", "gated", "Reconciliation holds changes back until the workspace has converged.", None
    if window.lane == "priority":
        return "nothing", "nothing_flagged", "Nothing is flagged for the priority hour.", None
    began = window.opens_at + timedelta(seconds=25)
    operation = Operation(
        workspace=workspace,
        kind=os_updates.KIND,
        title=f"Maintain {workspace.name}: Operating system updates on {workspace.hosts.count()} hosts",
        state="succeeded",
        requested_by=PLATFORM.name,
        parameters={"os": "all", "packages": [], "advisories": [], "pace": "one at a time"},
        lane=window.lane,
        window_opens_at=window.opens_at,
        created_at=began,
        started_at=began,
        finished_at=began + timedelta(seconds=40 + 35 * workspace.hosts.count()),
    )
    return "started", "compute_auto_update", "Operating system updates are on.", operation


def _steps(operation: Operation) -> Iterator[Step]:
    """As the engine would have left them, each a few seconds long."""
    at = operation.created_at
    for position, step in enumerate(os_updates.plan(operation.workspace)):
        ended = at + timedelta(seconds=20 if step.key == "updates" else 1)
        yield step.step(
            operation,
            position,
            state="done",
            attempts=1,
            started_at=at,
            finished_at=ended,
            message={"updates": "nothing to install", "os_check": "", "os_finish": "no restart"}.get(
                step.key, "no restart needed"
            ),
        )
        at = ended


def _installed(operation: Operation) -> Iterator[PackageUpdate]:
    package, before, after = INSTALLED
    for host in operation.workspace.hosts.all():
        yield PackageUpdate(
            workspace=operation.workspace,
            host=host,
            host_name=host.name,
            operation=operation,
            package=package,
            from_version=before,
            to_version=after,
            security=True,
            installed_at=operation.created_at + timedelta(seconds=20),
        )
