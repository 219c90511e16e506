"""Beginning a rollout: the fleet list's filters select, the preview says what becomes of each workspace, POST begins.

What would become of a workspace is `operations/rollout_preview`. What is sent is what the page has shown: the chosen
workspaces by their ids and the settings; how it goes on is `rollouts`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from workspaces.models import Actor, Project, Rollout, Workspace
from workspaces.models.kubernetes import catalogue
from workspaces.models.workspace import WorkspaceQuerySet
from workspaces.operations.rollout_preview import NEED, Preview, in_order, preview
from workspaces.rules import permissions, upgrades
from workspaces.rules import rollout as rules
from workspaces.rules.refusal import Refused
from workspaces.rules.upgrades import CatalogueVersion
from workspaces.rules.versions import precedence
from workspaces.views import shell
from workspaces.views.access import account_of, login_required, projects_of, visible_workspaces
from workspaces.views.fleet_query import FleetQuery, parse
from workspaces.views.fleet_totals import count
from workspaces.views.see_other import see_other

_USUAL = {"canary": 1, "at_once": 3, "stop_after": 1, "soak_minutes": 0}
_IN_ADDRESS = {"canary": "canary", "at_once": "at_once", "stop_after": "stop_after", "soak_minutes": "soak"}
_LABELS = {
    "canary": "Canary",
    "at_once": "At the same time",
    "stop_after": "Pause after failures",
    "soak_minutes": "Soak, minutes",
}
_LISTED = 12


@dataclass(slots=True)
class Options:
    """How it should go. `errors` has a sentence for each field of the address that cannot be used."""

    to: str = ""
    several_hops: bool = False
    numbers: dict[str, int] = field(default_factory=lambda: dict(_USUAL))
    errors: dict[str, str] = field(default_factory=dict)


class Number(NamedTuple):
    """A setting as a field."""

    key: str
    label: str
    value: int
    least: int
    most: int
    error: str


class Rights(NamedTuple):
    """The projects where the reader may upgrade."""

    projects: frozenset[UUID]


class Group(NamedTuple):
    """Workspaces that stay as they are, for one reason; `more` of them are not named."""

    reason: str
    number: int
    names: list[str]
    more: int


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """The form with what it would do; POST begins it."""
    account = account_of(request)
    if NEED not in shell.standing(request).keys:
        raise PermissionDenied(f"{_right()} of a project.")
    rights = Rights(frozenset(Project.objects.allowing(account, NEED).values_list("pk", flat=True)))
    if request.method == "POST":
        return _begin(request, rights)
    return _page(request, rights, _options(request.GET))


def _right() -> str:
    roles = " or ".join(role for role in permissions.ROLES if role in permissions.roles_with(NEED))
    return f"{permissions.PERMISSIONS[NEED].sentence}: only as {roles}"


def _options(said: QueryDict) -> Options:
    """Read strictly; a number that cannot be used is as by default, with a sentence why."""
    options = Options(to=said.get("to", "").strip()[:30], several_hops=said.get("several_hops") == "on")
    for name, key in _IN_ADDRESS.items():
        text = said.get(key, "")
        if not text:
            continue
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else -1
        if wrong := rules.wrong({name: number}):
            options.errors[key] = wrong[0][1]
        else:
            options.numbers[name] = number
    return options


# --- Looking ahead ----------------------------------------------------------------------------------------------------
def _page(request: HttpRequest, rights: Rights, options: Options, problem: str = "", status: int = 200) -> HttpResponse:
    now, query, versions = timezone.now(), parse(request), catalogue()
    selected = _selected(request, query)
    chosen = in_order(selected[: rules.MOST])
    options.to = options.to or _usual_target(chosen, versions)
    mine = [one for one in chosen if one.project_id in rights.projects]
    found = upgrades.find(options.to, versions)
    target = "" if isinstance(found, Refused) else found.version
    seen = preview(mine, target, options.several_hops, now) if target else []
    context = {
        "nav": "rollouts",
        "now": now,
        "query": query,
        "options": options,
        "problem": problem,
        "versions": sorted((one.version for one in versions if one.active), key=precedence, reverse=True),
        "target": target,
        "numbers": [
            Number(key, _LABELS[name], options.numbers[name], *rules.LIMITS[name], options.errors.get(key, ""))
            for name, key in _IN_ADDRESS.items()
        ],
        "most": rules.MOST,
        "too_many": len(selected) > rules.MOST,
        "upgrades": [one for one in seen if one.outcome == "upgrade"],
        "stay": _groups(seen, [one for one in chosen if one.project_id not in rights.projects]),
        "chosen": len(chosen),
    }
    return render(request, "workspaces/rollout_new.html", context, status=status)


def _selected(request: HttpRequest, query: FleetQuery) -> list[Workspace]:
    """What the filters leave, and one more than the most; those with Kubernetes and with fewest hosts first."""
    visible = visible_workspaces(request)
    rows: WorkspaceQuerySet = query.in_place(visible)
    if query.state == "upgradable":
        totals, upgradable = count(visible, query, projects_of(request))
        rows = query.select(rows, upgradable.now(totals.situations))
    else:
        rows = query.select(rows, Q())
    return list(rows.with_plan().order_by("-type", "host_count", "name", "pk")[: rules.MOST + 1])


def _usual_target(chosen: Iterable[Workspace], versions: Sequence[CatalogueVersion]) -> str:
    """The version that most of them can be upgraded to in one hop; else the newest release."""
    counted: Counter[upgrades.Situation] = Counter(_situation(one) for one in chosen)
    best: Counter[str] = Counter()
    for situation, number in counted.items():
        best[upgrades.targets(situation, versions).recommended or ""] += number
    del best[""]
    newest = max((one.version for one in versions if one.active), key=precedence, default="")
    return max(best, key=lambda version: (best[version], precedence(version)), default=newest)


def _situation(workspace: Workspace) -> upgrades.Situation:
    """As the fleet list knows it: enough for a target to begin with."""
    cluster = workspace.management_cluster
    return upgrades.Situation(
        workspace_type=workspace.type,
        state="active",
        running_version=workspace.kubernetes_version or None,
        kubelet_versions=tuple(workspace.kubelet_versions.split()),
        kamaji_max=cluster.max_version if cluster else "",
        control_plane_wanted=workspace.control_plane_wanted or None,
    )


def _groups(seen: Iterable[Preview], not_mine: Iterable[Workspace]) -> list[Group]:
    """Who stays, by reason, the most frequent first."""
    stay: defaultdict[str, list[str]] = defaultdict(list)
    for one in seen:
        if one.refused:
            stay[one.refused.message].append(one.workspace.name)
    for workspace in not_mine:
        stay[f"{_right()} of {workspace.project}."].append(workspace.name)
    groups = [Group(why, len(names), names[:_LISTED], max(0, len(names) - _LISTED)) for why, names in stay.items()]
    return sorted(groups, key=lambda group: (-group.number, group.reason))


# --- Beginning --------------------------------------------------------------------------------------------------------
def _begin(request: HttpRequest, rights: Rights) -> HttpResponse:
    """Store it with the chosen workspaces, fewest hosts first; what is refused meanwhile is told on its page."""
    options, chosen = _options(request.POST), _ids(request.POST.getlist("workspace"))
    if options.errors or chosen is None:
        return _page(request, rights, options, "The form cannot be read. Look at the numbers and choose again.", 422)
    if not chosen:
        return _page(request, rights, options, "Choose at least one workspace.", 422)
    if len(chosen) > rules.MOST:
        return _page(request, rights, options, f"Choose at most {rules.MOST} workspaces.", 422)
    known = visible_workspaces(request).with_plan().in_bulk(chosen)
    if len(known) < len(chosen):
        raise Http404("There is no such workspace.")
    if foreign := [one for one in known.values() if one.project_id not in rights.projects]:
        raise PermissionDenied(f"{_right()} of {foreign[0].project}.")
    found = upgrades.find(options.to, catalogue())
    if isinstance(found, Refused):
        return _page(request, rights, options, found.message, 409)
    rollout = Rollout.begin(
        found.version,
        in_order(known.values()),
        actor=Actor.of(account_of(request)),
        several_hops=options.several_hops,
        **options.numbers,
    )
    return see_other("rollout", pk=rollout.pk)


def _ids(texts: Iterable[str]) -> set[UUID] | None:
    try:
        return {UUID(text) for text in texts}
    except ValueError:
        return None
