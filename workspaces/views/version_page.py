"""What the version page shows, read for a target and for the risks that somebody would take. Its views: `upgrades`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.http import HttpRequest
from django.utils import timezone

from workspaces.models import Operation, Preflight, Workspace
from workspaces.models.durations import measured
from workspaces.models.outlook import Outlook, look
from workspaces.operations import upgrade
from workspaces.rules import upgrades
from workspaces.rules.estimate import hosts_moving
from workspaces.rules.refusal import Refused
from workspaces.rules.upgrades import Hop, Targets
from workspaces.rules.versions import minor_of
from workspaces.views import version_choices
from workspaces.views.access import account_of, visible_workspaces
from workspaces.views.version_choices import Choice, Plans, Times
from workspaces.views.version_graph import draw
from workspaces.views.version_preflight import Panel, of_rows, panel, rows_about
from workspaces.views.workspaces import status_of


class Asked(NamedTuple):
    """What the reader has chosen: a target (empty: none yet) and the preflight checks whose risk is ticked."""

    target: str = ""
    accept: Sequence[str] = ()


class WayLine(NamedTuple):
    """A hop of the chosen upgrade: what moves, for how long, and what can be undone until when."""

    hop: Hop
    time: str
    before: str
    after: str


class Standing(NamedTuple):
    """An upgrade of several hops that ended on the way, and the hop whose version runs now (0: none)."""

    operation: Operation
    hop: int
    hops: int


def context(request: HttpRequest, workspace: Workspace, asked: Asked, refused: Refused | None = None) -> dict[str, Any]:
    """Everything the template reads; `refused` is why what was just asked for was not done."""
    now = timezone.now()
    outlook, keys = look(workspace, now), workspace.keys_of(account_of(request))
    shown = {
        "nav": "fleet",
        "workspace": workspace,
        "now": now,
        "status": status_of(workspace, now),
        "stale": workspace.is_stale(now),
        "outlook": outlook,
        "refused": refused,
        "keys": keys,
        "may_start": "upgrade.start" in keys,
    }
    return shown | (_versions(request, workspace, outlook, asked, now) if workspace.is_kubernetes else {})


def _versions(
    request: HttpRequest, workspace: Workspace, outlook: Outlook, asked: Asked, now: datetime
) -> dict[str, Any]:
    situation, catalogue, running = outlook.situation, outlook.facts.catalogue, workspace.kubernetes_version
    targets = upgrades.targets(situation, catalogue, now.date())
    plans: Plans = upgrades.plans(situation, catalogue)
    if targets.finish_workers:
        plans = {**plans, targets.finish_workers: [Hop(running, targets.finish_workers, True, "")]}
    selected = _selected(targets, plans, asked.target)
    hops = plans.get(selected, ())
    counts, preflights = _read(request, workspace, hops[0].to if hops else "")
    times = Times(measured(), outlook, workspace.upgrade_hosts_at_once)
    versions = version_choices.catalogued(outlook, targets, plans, times, counts, now.date())
    far = next((choice.hops for choice in versions.far), ())
    shown = {
        "record": next((row for row in catalogue if row.version == running), None),
        "versions": versions,
        "time_unknown": times.unknown,
        "graph": draw(
            workspace.name, running, targets, selected, hops if len(hops) > 1 else far, catalogue, now.date()
        ),
        "versions_known": len(catalogue),
        "finish": targets.finish_workers,
        "standing": _standing(outlook),
    }
    choice = versions.chosen(selected)
    if choice is None:
        return shown | {"selected": "", "choice": None}
    return shown | _chosen(workspace, outlook, choice, panel(hops[0].to, preflights, now), times, asked)


def _selected(targets: Targets, plans: Plans, target: str) -> str:
    """What a start would use: what was asked for, else finishing a half upgrade, else what is recommended."""
    wanted = (target, targets.finish_workers, targets.recommended, *(row.version for row in targets.eligible))
    return next((version for version in wanted if version and version in plans), "")


def _read(request: HttpRequest, workspace: Workspace, target: str) -> tuple[dict[str, int], list[Preflight]]:
    """The reader's workspaces by running version, and the newest preflights of the hop to `target` (one query)."""
    columns = version_choices.counted(visible_workspaces(request)), rows_about(workspace, target)
    counts, preflights = Workspace.objects.filter(pk=workspace.pk).values_list(*columns).get()
    return {row["version"]: row["count"] for row in counts}, of_rows(preflights)


def _chosen(
    workspace: Workspace, outlook: Outlook, choice: Choice, preflight: Panel, times: Times, asked: Asked
) -> dict[str, Any]:
    """The way to the chosen target, what was seen in front of it, and what a start would say."""
    situation, catalogue = outlook.situation, outlook.facts.catalogue
    known = times.of(choice.hops)
    risks = preflight.risks(asked.accept if asked.target in ("", choice.version) else ())
    found = upgrades.route(situation, choice.version, catalogue, choice.through or None)
    moved = hosts_moving(choice.hops[-1], situation.kubelet_versions)
    return {
        "choice": choice,
        "selected": choice.version,
        "finishing": choice.version == workspace.kubernetes_version,
        "way": [_way_line(hop, number, times) for number, hop in enumerate(choice.hops, start=1)],
        "windows": version_choices.windows(known) if known else 0,
        "p90": version_choices.about(known.p90) if known else "",
        "panel": preflight,
        "risks": risks,
        "taken": [risk.check for risk in risks if risk.taken],
        "blockers": preflight.blockers if preflight.fresh else [],
        "blocked": found if isinstance(found, Refused) else None,
        "hosts_moving": moved,
        "pace": upgrade.pace(workspace),
        "stages": [title for _, title in upgrade.STAGES],
    }


def _way_line(hop: Hop, number: int, times: Times) -> WayLine:
    """The truth about going back: before Kamaji has taken the version, stopping is enough; after it, nothing is."""
    if hop.from_ == hop.to:
        return WayLine(hop, "", "A host that has not begun keeps its kubelet when it is stopped.", _HOSTS_STAY)
    start = "everything is as it was" if number == 1 else f"the workspace stays on {hop.from_}"
    before = f"Stopped before Kamaji has taken {hop.to}: {start}."
    if minor_of(hop.from_) == minor_of(hop.to):
        after = f"After it: no way back. Kamaji would take {hop.from_} without a look, so Loopback refuses it."
    else:
        after = f"After it: no way back. Kamaji refuses {hop.from_}."
    return WayLine(hop, times.words([hop]), before, f"{after} {_HOSTS_STAY}" if hop.workers_move else after)


_HOSTS_STAY = "A host that has moved keeps its new kubelet."


def _standing(outlook: Outlook) -> Standing | None:
    operation, running = outlook.operation, outlook.situation.running_version
    if operation is None or operation.kind != upgrade.KIND or operation.state not in ("failed", "stopped"):
        return None
    hops = operation.parameters.get("hops", [])
    if len(hops) < 2 or running == hops[-1]["to"]:
        return None
    reached = next((number for number, hop in enumerate(hops, start=1) if hop["to"] == running), 0)
    return Standing(operation, reached, len(hops))
