"""`manage.py delete`: plan the deletion of many workspaces, schedule it, or undo it, each in its own transaction.

It runs on a machine of the platform, so it looks at the world itself. Scheduling it is all that it does: the first step
comes when the grace has ended, and a second person, where the policy wants one, agrees in the console or by the API.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from workspaces.management import selection
from workspaces.management.told import Told
from workspaces.models import Actor, Deletion, DeletionPolicy, Inventory, Workspace, acting
from workspaces.models.deletion_plan import plan_of
from workspaces.models.safeguards import facts_of
from workspaces.operations import deletion_schedule, inventory
from workspaces.rules import safeguards
from workspaces.rules.amounts import shown
from workspaces.rules.deletion_plan import Cost, Item, Plan
from workspaces.rules.refusal import Refused

ACTOR = Actor.of_command("delete")
_SHOWN = 12


class Command(BaseCommand):
    """Deletions for scripts."""

    help = "Schedule the deletion of workspaces, tell what it would remove, or undo what is scheduled."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which workspaces, how sure, and how to tell."""
        selection.add_to(parser)
        parser.add_argument(
            "--dry-run", action="store_true", help="look, tell what would be removed, and write nothing"
        )
        parser.add_argument("--undo", action="store_true", help="undo the deletions that are scheduled")
        parser.add_argument("--reason", default="", help="kept with the deletion and in the audit log")
        parser.add_argument(
            "--acknowledge-backups",
            action="store_true",
            help="what is needed of their manifests, data and secrets is kept elsewhere",
        )
        parser.add_argument("--confirm-count", type=int, metavar="N", help="how many are to be deleted")
        parser.add_argument("--hours", type=int, metavar="H", help="until they begin; at least what the policy says")
        parser.add_argument("--stop-after-failures", type=int, default=1, metavar="N", help="refused ones (1)")
        parser.add_argument("--json", action="store_true", dest="as_json", help="a JSON list, one entry a workspace")

    def handle(self, *args: Any, **options: Any) -> None:
        """Choose, and tell, schedule or undo; exit with 1 when one was refused, or would be."""
        chosen = list(selection.chosen(options).with_plan())
        if not chosen:
            raise CommandError("No workspace is selected.")
        act = _undone if options["undo"] else _planned if options["dry_run"] else _scheduled
        if act is _scheduled:
            _must_be_sure(options, len(chosen))
        refused = done = 0
        with acting(ACTOR), Told(self.stdout, as_json=options["as_json"]) as told:
            for workspace in chosen:
                document, words = act(workspace, options)
                told.add(document, words)
                done += 1
                refused += document["refused"] is not None
                if act is _scheduled and refused >= max(1, options["stop_after_failures"]):
                    break
        if refused:
            left = len(chosen) - done
            would = "would be " if options["dry_run"] else ""
            more = f" {left} were not tried." if left else ""
            raise CommandError(f"{refused} of {len(chosen)} {would}refused.{more}")


def _must_be_sure(options: dict[str, Any], number: int) -> None:
    """What takes the place of a typed name where there are many."""
    if not options["reason"].strip():
        raise CommandError("--reason: say why, it stands in the audit log.")
    if not options["acknowledge_backups"]:
        raise CommandError("--acknowledge-backups: confirm that what is needed of them is kept elsewhere.")
    if options["confirm_count"] != number:
        raise CommandError(f"--confirm-count: {number} are selected. Give that number to delete them.")


# --- One workspace ----------------------------------------------------------------------------------------------------
type Outcome = tuple[dict[str, Any], Iterable[str]]


def _planned(workspace: Workspace, options: dict[str, Any]) -> Outcome:
    """What would be removed, by a look at the world now; nothing is written."""
    now = timezone.now()
    items, not_asked = inventory.look(workspace, now)
    seen = Inventory(
        workspace=workspace,
        asked_at=now,
        looked_at=now,
        found=[item.document() for item in items],
        not_asked=[one.document() for one in not_asked],
    )
    policy = DeletionPolicy.of(workspace.project.organization)
    plan = plan_of(workspace, now, policy=policy, inventory=seen)
    refused = safeguards.refuse(facts_of(workspace, plan, policy, seen, now))
    document = _head(workspace, refused) | {"plan": plan.document(), "scheduled": None}
    return document, [f"{_name(workspace)}: {_verdict(refused, 'would be scheduled')}", *_in_words(plan)]


def _scheduled(workspace: Workspace, options: dict[str, Any]) -> Outcome:
    """Look, and schedule it by what was seen."""
    if workspace.state in safeguards.DELETABLE:
        inventory.store(workspace, *inventory.look(workspace, timezone.now()))
    asked = deletion_schedule.schedule(
        workspace,
        confirm_name=workspace.name,
        acknowledged=options["acknowledge_backups"],
        reason=options["reason"].strip()[:200],
        hours=options["hours"],
        actor=ACTOR,
    )
    if isinstance(asked, Refused):
        return _head(workspace, asked) | {"scheduled": None}, [f"{_name(workspace)}: {_verdict(asked, '')}"]
    waits = ", once a second person agrees" if asked.needs_approval else ""
    words = f"{_name(workspace)}: begins {asked.begins_at:%Y-%m-%d %H:%M} UTC{waits}"
    scheduled = {"begins_at": asked.begins_at, "needs_approval": asked.needs_approval}
    return _head(workspace, None) | {"scheduled": scheduled}, [words]


def _undone(workspace: Workspace, options: dict[str, Any]) -> Outcome:
    """Undo it, or tell that it would be."""
    deletion = Deletion.objects.filter(workspace=workspace, state="scheduled").first()
    refused: Refused | None = Refused("not_scheduled", f"No deletion of {workspace} is scheduled.")
    if deletion is not None:
        refused = None if options["dry_run"] else deletion_schedule.undo(deletion, ACTOR)
    said = "would be undone" if options["dry_run"] else "undone"
    return _head(workspace, refused), [f"{_name(workspace)}: {_verdict(refused, said)}"]


# --- In words ---------------------------------------------------------------------------------------------------------
def _head(workspace: Workspace, refused: Refused | None) -> dict[str, Any]:
    why = {"code": refused.code, "message": refused.message} if refused else None
    return {"workspace": {"id": str(workspace.pk), "name": workspace.name}, "refused": why}


def _name(workspace: Workspace) -> str:
    return f"{workspace.project.organization}/{workspace.project}/{workspace}"


def _verdict(refused: Refused | None, otherwise: str) -> str:
    return f"refused ({refused.code}). {refused.message}" if refused else otherwise


def _in_words(plan: Plan) -> Iterator[str]:
    """A line for each step, then what stays, who was silent, and what it costs."""
    for step in plan.steps:
        goes = [item for item in step.items if item in plan.removed]
        stays = [item for item in step.items if item in plan.kept]
        yield from (
            f"  {word} {step.label}: {_names(items)}" for word, items in (("delete", goes), ("keep  ", stays)) if items
        )
    if plan.outside:
        yield f"  stays  not under its label: {_names(plan.outside)}"
    for one in plan.not_asked:
        yield f"  silent {one.what}: {one.message}"
    if plan.stops_costing:
        yield f"  stops costing {_sums(plan.stops_costing)}"
    if plan.goes_on_costing:
        yield f"  goes on costing {_sums(plan.goes_on_costing)}"


def _names(items: Iterable[Item]) -> str:
    names = [item.name for item in items]
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _sums(costs: Iterable[Cost]) -> str:
    return ", ".join(f"{shown(one.agreed)} {one.currency} a month at most" for one in costs)
