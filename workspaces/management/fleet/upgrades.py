"""The sample fleet's upgrades of the last weeks: what estimates are measured from, and a rollout that has ended."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.utils import timezone

from workspaces.models import Account, Operation, Rollout, RolloutMember, Step, Workspace, catalogue
from workspaces.operations import upgrade
from workspaces.rules.upgrades import Hop
from workspaces.rules.versions import minor_of, precedence

PAST = 14
ROLLED_OUT = 5
# What each step took in seconds; drains and installations differ from host to host.
_SECONDS = {"check": 4, "set_version": 1, "confirm": 2, "kubeadm_config": 19, "cordon": 1, "verify": 14, "uncordon": 1}
_VARYING = {"roll_out": (170, 90), "kubeadm": (50, 30), "drain": (75, 120), "kubelet": (55, 35), "finish": (2, 2)}


def record() -> None:
    """Make the rows: one succeeded upgrade each of some healthy workspaces, a few of them as a rollout."""
    by = Account.objects.get(email="ines.albrecht@kestrel.example")
    rows = Workspace.objects.filter(type="kubernetes", state="active", attention="").exclude(kubernetes_version="")
    moved = [
        (workspace, hop)
        for workspace in rows.exclude(operations__kind=upgrade.KIND).order_by("name")
        if (hop := _hop(workspace))
    ][:PAST]
    made = [_upgrade(workspace, hop, number, by) for number, (workspace, hop) in enumerate(moved)]
    operations = [operation for operation, _ in made]
    Operation.objects.bulk_create(operations)
    Step.objects.bulk_create([step for _, steps in made for step in steps])
    _rollout(operations, by)


def _hop(workspace: Workspace) -> Hop | None:
    """The last step up that it made: from the version before it in the catalogue."""
    running = workspace.kubernetes_version
    lower = [row.version for row in catalogue() if row.active and precedence(row.version) < precedence(running)]
    if not lower or minor_of(lower[0])[1] < minor_of(running)[1] - 1:
        return None
    return Hop(lower[0], running, True, f"Last hop: the workers move to {running}.")


def _upgrade(workspace: Workspace, hop: Hop, number: int, by: Account) -> tuple[Operation, list[Step]]:
    """The upgrade and its steps as the engine would have left them (not saved)."""
    began = timezone.now().replace(minute=12, second=0, microsecond=0) - timedelta(days=9 + 3 * number)
    operation = Operation(
        workspace=workspace,
        kind=upgrade.KIND,
        title=f"Upgrade {workspace.name} from {hop.from_} to {hop.to}",
        state="succeeded",
        requested_by=str(by),
        requested_by_kind="account",
        requested_by_id=by.pk,
        parameters=upgrade.parameters(workspace, [hop]),
        created_at=began,
        started_at=began,
    )
    steps = list(_steps(operation, hop, began))
    operation.irreversible_since, operation.finished_at = steps[1].finished_at, steps[-1].finished_at
    return operation, steps


def _steps(operation: Operation, hop: Hop, began: datetime) -> Iterator[Step]:
    at = began
    # As it was planned then, with every host still on the version before.
    hosts = list(operation.workspace.hosts.exclude(node_name="").order_by("name"))
    for position, plan in enumerate(upgrade.plan(operation.workspace, [hop], hosts)):
        ended = at + timedelta(seconds=_took(plan.key, f"{operation.workspace.name}{plan.host}"))
        yield plan.step(operation, position, state="done", attempts=1, started_at=at, finished_at=ended)
        at = ended


def _took(key: str, name: str) -> int:
    """Seconds, the same for the same step on the same host at every start."""
    if key in _SECONDS:
        return _SECONDS[key]
    least, spread = _VARYING[key]
    return least + sum(map(ord, name + key)) * 37 % spread


def _rollout(operations: list[Operation], by: Account) -> None:
    """The latest upgrades to one version, as if they had been asked for together."""
    target = operations[0].parameters["to"] if operations else ""
    together = [one for one in operations if one.parameters["to"] == target][:ROLLED_OUT]
    if len(together) < 2:
        return
    began = min(one.created_at for one in together) - timedelta(minutes=1)
    rollout = Rollout.objects.create(
        title=f"Upgrade {len(together)} workspaces to {target}",
        target=target,
        state="finished",
        state_reason=f"{len(together)} upgraded.",
        requested_by=str(by),
        requested_by_kind="account",
        requested_by_id=by.pk,
        created_at=began,
        canary_passed_at=min(one.finished_at for one in together if one.finished_at),
        finished_at=max(one.finished_at for one in together if one.finished_at),
    )
    RolloutMember.objects.bulk_create(
        RolloutMember(
            rollout=rollout,
            workspace=one.workspace,
            position=position,
            canary=position == 0,
            state="succeeded",
            operation=one,
        )
        for position, one in enumerate(sorted(together, key=lambda one: one.created_at))
    )
