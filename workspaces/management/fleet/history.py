"""The sample fleet before the demo began: an upgrade that stopped at a disruption budget last night."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from workspaces.models import Actor, Host, LogLine, Operation, Step, Workspace
from workspaces.operations import upgrade
from workspaces.rules.upgrades import Hop

OLD, NEW = "1.34.8", "1.34.11"
HOP = Hop(OLD, NEW, True, f"Last hop: the workers move to {NEW}.")
# What each step took in seconds, and what it found.
RECORDED = {
    "check": (3, f"control plane {OLD}, 3 hosts"),
    "set_version": (1, f"Kamaji has taken {NEW}. From here there is no way back"),
    "roll_out": (221, f"2 of 2 replicas run {NEW}"),
    "confirm": (2, f"the API server answers as {NEW}"),
    "kubeadm_config": (18, f"kubeadm-config names {NEW}"),
    "kubeadm": (64, "1 change"),
    "cordon": (1, "takes no new pods"),
    "drain": (132, "no pod left that has to move"),
    "kubelet": (71, "2 changes"),
    "verify": (14, f"Ready, kubelet {NEW}"),
    "uncordon": (1, "takes pods again"),
}
DRAIN_DEADLINE = 1200
CAUSE = "budget_never_yields"
WHO = "The owners of routing/planner: add a replica or allow one disruption. Then continue."
BUDGET = "The disruption budget planner needs 3 healthy pods and has 3 currently"


def stopped_upgrade(workspace: Workspace) -> None:
    """Its rows as the engine would have left them; the simulated world is in the same state, so it can be continued."""
    began = timezone.now().replace(minute=10, second=0, microsecond=0) - timedelta(hours=12)
    # The plan is made for all hosts, as it was when it began; then their rows say where it got to.
    Host.objects.filter(workspace=workspace).update(kubelet_version=OLD)
    operation = Operation.start(
        workspace,
        upgrade.KIND,
        f"Upgrade {workspace.name} from {OLD} to {NEW}",
        list(upgrade.plan(workspace, [HOP])),
        actor=Actor("account", "Ines Albrecht"),
        parameters=upgrade.parameters(workspace, [HOP]),
    )
    assert isinstance(operation, Operation)
    first, second = workspace.hosts.order_by("name").values_list("name", flat=True)[:2]
    Host.objects.filter(workspace=workspace, name=first).update(kubelet_version=NEW)
    at = began
    for step in operation.steps.order_by("position"):
        if (step.host, step.key) == (second, "drain"):
            _fail(operation, step, began, at)
            return
        seconds, found = RECORDED[step.key]
        ended = at + timedelta(seconds=seconds)
        _close(step, "done", at, ended, found)
        _say(step, ended, f"{step.title}: {found}")
        if step.key == "set_version":
            operation.irreversible_since = ended
        at = ended


def _fail(operation: Operation, step: Step, began: datetime, at: datetime) -> None:
    """The drain that never ended, and with it the operation."""
    ended = at + timedelta(seconds=DRAIN_DEADLINE)
    message = (
        f"{step.host} could not be drained in 20 min: disruption budget routing/planner asks for all of its 3 pods, "
        "so it never yields. Left: routing/planner-1. The host takes pods again."
    )
    step.cause, step.who_can_fix = CAUSE, WHO
    _close(step, "failed", at, ended, message)
    _say(step, at + timedelta(seconds=4), "shop/web-5d8f7c-x2lp evicted")
    _say(step, at + timedelta(seconds=5), f"routing/planner-1 not evicted: {BUDGET}", level="warn")
    _say(step, ended, message, level="warn")
    Operation.objects.filter(pk=operation.pk).update(
        state="failed",
        created_at=began,
        started_at=began,
        finished_at=ended,
        irreversible_since=operation.irreversible_since,
        error_code=CAUSE,
        error_message=message,
        error_who_can_fix=WHO,
    )


def _close(step: Step, state: str, started: datetime, ended: datetime, message: str) -> None:
    step.state, step.attempts = state, 1
    step.started_at, step.finished_at, step.message = started, ended, message
    step.save()


def _say(step: Step, at: datetime, text: str, level: str = "info") -> None:
    LogLine.objects.create(operation_id=step.operation_id, at=at, source=step.host or "plan", level=level, text=text)
