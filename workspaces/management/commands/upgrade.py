"""`manage.py upgrade --to VERSION`: upgrade a selection of workspaces as one rollout, and follow it.

It runs with the rights of whoever can run commands on a machine of the platform. The scheduler and the workers do the
work; this command begins it and looks on, so ending it ends nothing. What a rollout is stands in `rules/rollout`.
"""

from __future__ import annotations

import time
from argparse import ArgumentParser
from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Q
from django.utils import timezone

from workspaces.management import selection
from workspaces.management.told import Told
from workspaces.models import Actor, Rollout, Workspace, acting
from workspaces.models.kubernetes import catalogue
from workspaces.operations.rollout_preview import Preview, in_order, preview, unknown_risk
from workspaces.operations.rollouts import what_next
from workspaces.rules import lifecycle, upgrades, versions
from workspaces.rules import rollout as rules
from workspaces.rules.refusal import Refused

ACTOR = Actor.of_command("upgrade")
_LOOK_EVERY = 2.0  # seconds
_OPTIONS = {
    "canary": "--canary",
    "at_once": "--concurrency",
    "stop_after": "--stop-after-failures",
    "soak_minutes": "--soak",
}


class Command(BaseCommand):
    """Rollouts for scripts."""

    help = "Upgrade workspaces to a Kubernetes version: a few first, then so many at a time."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where to, which workspaces, how carefully, and how to tell."""
        parser.add_argument("--to", required=True, metavar="VERSION")
        for noun, form in (("project", "ORG/PROJECT"), ("organization", "ORG"), ("workspace", "ORG/PROJECT/NAME")):
            said = f"id, name or {form}; with more than one option, all they name"
            parser.add_argument(f"--{noun}", nargs="+", action="extend", default=[], metavar=form, help=said)
        parser.add_argument("--from", dest="running", metavar="1.34.x", help="only those that run such a version")
        parser.add_argument("--canary", type=int, default=1, metavar="N", help="how many go first (1)")
        parser.add_argument("--concurrency", dest="at_once", type=int, default=3, metavar="N", help="at a time (3)")
        parser.add_argument("--stop-after-failures", dest="stop_after", type=int, default=1, metavar="N", help="(1)")
        parser.add_argument("--soak", dest="soak_minutes", type=int, default=0, metavar="MINUTES", help="of the canary")
        parser.add_argument("--several-hops", action="store_true", help="go through the versions in between")
        parser.add_argument(
            "--accept-risk", dest="accept_risks", action="append", default=[], metavar="CODE", help="of a check"
        )
        parser.add_argument("--dry-run", action="store_true", help="tell what would happen, and begin nothing")
        parser.add_argument("--json", action="store_true", dest="as_json", help="JSON instead of words")
        parser.add_argument("--no-wait", action="store_true", help="begin, and do not follow")

    def handle(self, *args: Any, **options: Any) -> None:
        """Choose, and tell or begin; exit with 1 when one was refused or has failed."""
        target = _target(options)
        chosen = _chosen(options)
        if not chosen:
            raise CommandError("No workspace with Kubernetes is selected.")
        if options["dry_run"]:
            self._tell(preview(chosen, target, options["several_hops"], timezone.now()), options)
            return
        careful = {name: options[name] for name in (*_OPTIONS, "several_hops", "accept_risks")}
        with acting(ACTOR):
            rollout = Rollout.begin(target, chosen, actor=ACTOR, **careful)
        if not options["as_json"]:
            self.stdout.write(f"{rollout}: /rollouts/{rollout.pk}")
        try:
            self._follow(rollout, options)
        except KeyboardInterrupt:
            # What was told last stays true: only the looking on has ended.
            raise CommandError(f"It goes on without this command: /rollouts/{rollout.pk}", returncode=130) from None

    # --- Ahead --------------------------------------------------------------------------------------------------------
    def _tell(self, seen: list[Preview], options: dict[str, Any]) -> None:
        with Told(self.stdout, as_json=options["as_json"]) as told:
            for one in seen:
                told.add(_document(one), [_in_words(one)])
        refused = sum(one.outcome == "refused" for one in seen)
        if refused:
            raise CommandError(f"{refused} of {len(seen)} would be refused.")

    # --- Following ----------------------------------------------------------------------------------------------------
    def _follow(self, rollout: Rollout, options: dict[str, Any]) -> None:
        """A line for every change until it is over, or pauses with nothing running: then a person decides."""
        said: dict[str, str] = {}
        while True:
            rollout.refresh_from_db()
            document = _state_of(rollout)
            if not options["as_json"]:
                self._tell_changes(document, said)
            running = document["counts"].get("running", 0)
            if options["no_wait"] or (rollout.state != "running" and not running):
                break
            time.sleep(_LOOK_EVERY)
        if options["as_json"]:
            with Told(self.stdout, as_json=True, single=True) as told:
                told.add(document, [])
        if not options["no_wait"]:
            _judge(rollout, document["counts"])

    def _tell_changes(self, document: dict[str, Any], said: dict[str, str]) -> None:
        lines = {one["workspace"]["id"]: _line(one) for one in document["members"] if one["state"] != "waiting"}
        lines[""] = document["next"]
        now = f"{timezone.now():%H:%M:%S}"
        for key, line in lines.items():
            if line and said.get(key) != line:
                self.stdout.write(f"{now} {line}")
        said.update(lines)


# --- What is asked for ------------------------------------------------------------------------------------------------
def _target(options: dict[str, Any]) -> str:
    """The version as the catalogue has it; CommandError for what cannot be asked for."""
    if wrong := rules.wrong({name: options[name] for name in _OPTIONS}):
        raise CommandError(" ".join(f"{_OPTIONS[name]}: {said}" for name, said in wrong))
    if refused := unknown_risk(options["accept_risks"]):
        raise CommandError(f"--accept-risk: {refused.message}")
    found = upgrades.find(options["to"], catalogue())
    if isinstance(found, Refused):
        raise CommandError(f"--to: {found.message}")
    return found.version


def _chosen(options: dict[str, Any]) -> list[Workspace]:
    """The workspaces that the options name, fewest hosts first. Of a place only those with Kubernetes."""
    if not (options["workspace"] or options["project"] or options["organization"]):
        raise CommandError("Say which workspaces: --project, --organization or --workspace.")
    places = Q(project__in=[selection.project(text).pk for text in options["project"]])
    places |= Q(project__organization__in=[selection.organization(text).pk for text in options["organization"]])
    named = Q(pk__in=[selection.workspace(text).pk for text in options["workspace"]])
    rows = Workspace.objects.exclude(state="deleted").filter(named | (places & Q(type="kubernetes")))
    return in_order(one for one in rows.with_plan() if _runs(one, options["running"]))


def _runs(workspace: Workspace, wanted: str | None) -> bool:
    """Whether its version is one of `wanted`, in the grammar of the catalogue's upgrade.from."""
    if wanted is None:
        return True
    try:
        asked = versions.parse_upgrade_from(wanted)
    except ValueError as error:
        raise CommandError(f"--from: {error}") from error
    return versions.is_version(workspace.kubernetes_version) and asked.admits(workspace.kubernetes_version)


# --- What is told -----------------------------------------------------------------------------------------------------
def _in_words(one: Preview) -> str:
    name = f"{one.workspace.project.organization}/{one.workspace.project}/{one.workspace}"
    if one.refused:
        word = "runs it already" if one.outcome == "runs_it" else f"refused ({one.refused.code})"
        return f"{name}: {word}. {one.refused.message}"
    way = " to ".join([one.hops[0].from_, *(hop.to for hop in one.hops)])
    takes = f", about {one.estimate.typical / 60:.0f} min" if one.estimate else ""
    waits = f". Waits first: {one.waits_for}" if one.waits_for else ""
    return f"{name}: {way}{takes}{waits}"


def _document(one: Preview) -> dict[str, Any]:
    hops = [
        {"from": hop.from_, "to": hop.to, "workers_move": hop.workers_move, "reason": hop.reason} for hop in one.hops
    ]
    expected = one.estimate
    return {
        "workspace": {"id": one.workspace.pk, "name": one.workspace.name},
        "outcome": one.outcome,
        "hops": hops,
        "refused": {"code": one.refused.code, "message": one.refused.message} if one.refused else None,
        "waits_for": one.waits_for,
        "estimate": {"typical": expected.typical, "p90": expected.p90, "samples": expected.samples}
        if expected
        else None,
    }


def _state_of(rollout: Rollout) -> dict[str, Any]:
    """The rollout as it stands."""
    members = list(rollout.members.select_related("workspace").order_by("position"))
    going = rollout.state == "running"
    return {
        "id": rollout.pk,
        "address": f"/rollouts/{rollout.pk}",
        "title": rollout.title,
        "version": rollout.target,
        "state": rollout.state,
        "next": what_next(rollout, members, timezone.now()).sentence if going else rollout.state_reason,
        "counts": dict(Counter(member.state for member in members)),
        "members": [
            {
                "workspace": {"id": str(member.workspace_id), "name": member.workspace.name},
                "canary": member.canary,
                "state": member.state,
                "message": member.message,
                "operation": member.operation_id,
            }
            for member in members
        ],
    }


def _line(member: dict[str, Any]) -> str:
    word = lifecycle.MEMBER[member["state"]].label.lower()
    return f"{member['workspace']['name']}: {word}{'. ' if member['message'] else ''}{member['message']}"


def _judge(rollout: Rollout, counts: dict[str, int]) -> None:
    """CommandError unless every workspace runs the version now."""
    bad = [f"{counts[state]} {state}" for state in ("failed", "refused") if counts.get(state)]
    if rollout.state != "finished":
        bad.append(f"it is {rollout.state}: {rollout.state_reason} See /rollouts/{rollout.pk}")
    if bad:
        raise CommandError(f"{', '.join(bad).removesuffix('.')}.")
