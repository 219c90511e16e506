"""`manage.py maintenance`: change the plans of many workspaces, look ahead, keep the windows once, hold and lift.

It runs with the rights of whoever can run commands on a machine of the platform. What plans, windows and holds are is
in `models/` and `rules/`; keeping the windows is `operations/maintenance`.
"""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Q
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from workspaces.management import foresight, selection
from workspaces.management.told import Told
from workspaces.models import Actor, Decision, Hold, Workspace, acting
from workspaces.models.outlook import look_at
from workspaces.operations.maintenance import run_due
from workspaces.rules import lifecycle, planner
from workspaces.rules import maintenance as rules
from workspaces.rules.hold import wrong_time

ACTOR = Actor.of_command("maintenance")
_SWITCH = {"on": True, "off": False}
_DAYS = {name.lower(): str(number) for number, name in enumerate(rules.WEEKDAYS)}


class Command(BaseCommand):
    """Plans, windows and holds in bulk."""

    help = "Change maintenance plans, forecast, keep the windows once, hold automatic work and lift holds."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """One of the five."""
        does = parser.add_subparsers(dest="action", required=True)
        change = does.add_parser("set", help="change the plans; what is not said stays as it is")
        selection.add_to(change)
        change.add_argument("--enabled", choices=("true", "false"))
        change.add_argument("--day", action="append", default=[], type=_day, metavar="monday=2|none")
        change.add_argument("--priority-hour", type=int, metavar="HOUR")
        change.add_argument("--os", choices=("on", "off"), help="operating system updates")
        change.add_argument("--kubernetes", choices=("on", "off"), help="Kubernetes patch releases")
        ahead = does.add_parser("forecast", help="what each coming window would do, and why")
        selection.add_to(ahead)
        ahead.add_argument("--days", type=int, default=7, choices=range(1, 32), metavar="1..31")
        due = does.add_parser("run-due", help="decide and start what is due now, once")
        due.add_argument("--at", type=_moment, metavar="ISO", help="another moment than now; with --dry-run only")
        hold = does.add_parser("hold", help="stop automatic work; what runs pauses at its next safe point")
        where = hold.add_mutually_exclusive_group(required=True)
        for noun in ("workspace", "project", "organization"):
            where.add_argument(f"--{noun}", metavar="ID|NAME")
        where.add_argument("--platform", action="store_true", help="every workspace")
        hold.add_argument("--reason", required=True)
        hold.add_argument("--until", required=True, type=_moment, metavar="ISO")
        hold.add_argument("--from", dest="starts", type=_moment, metavar="ISO", help="default: now")
        lift = does.add_parser("lift", help="end a hold now")
        lift.add_argument("hold", metavar="ID")
        for one in (change, due, hold, lift):
            one.add_argument("--dry-run", action="store_true", help="tell what would happen, and change nothing")
        for one in (change, ahead, due, hold, lift):
            one.add_argument("--json", action="store_true", dest="as_json", help="JSON instead of words")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it, as this command."""
        does = {
            "set": self._set,
            "forecast": self._forecast,
            "run-due": self._run_due,
            "hold": self._hold,
            "lift": self._lift,
        }
        with acting(ACTOR):
            does[options["action"]](options)

    def _set(self, options: dict[str, Any]) -> None:
        """Workspace by workspace: what changes in its plan and what changes in its coming week."""
        document = _document(options)
        if not document:
            raise CommandError("Say what to change: --enabled, --day, --priority-hour, --os or --kubernetes.")
        if problems := rules.validate(document, "kubernetes"):
            raise CommandError(" ".join(f"{'.'.join(one.loc)}: {one.msg}" for one in problems))
        with Told(self.stdout, as_json=options["as_json"]) as told:
            for batch in selection.in_batches(selection.chosen(options)):
                now = timezone.now()
                known = look_at(batch, now)
                for workspace in batch:
                    told.add(*foresight.change(workspace, document, known[workspace.pk].facts, now, options["dry_run"]))

    def _forecast(self, options: dict[str, Any]) -> None:
        with Told(self.stdout, as_json=options["as_json"]) as told:
            for batch in selection.in_batches(selection.chosen(options)):
                now = timezone.now()
                known = look_at(batch, now)
                for workspace in batch:
                    told.add(*foresight.forecast(workspace, known[workspace.pk].facts, now, options["days"]))

    def _run_due(self, options: dict[str, Any]) -> None:
        if options["at"] and not options["dry_run"]:
            raise CommandError("--at: only with --dry-run. What is kept is the present hour.")
        if options["dry_run"]:
            self._what_is_due(options["at"] or timezone.now(), as_json=options["as_json"])
            return
        now = timezone.now()
        outcomes = dict(sorted(run_due(now).items()))
        words = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items()) or "nothing due"
        with Told(self.stdout, as_json=options["as_json"], single=True) as told:
            told.add({"at": _utc(now), "outcomes": outcomes}, [f"{_utc(now)}: {words}"])

    def _what_is_due(self, now: datetime, *, as_json: bool) -> None:
        """The decision on every window that is open at `now` and not decided; none is stored."""
        hour = planner.hour_of(now)
        weekday = {f"maintenance_plan__hour_{hour.weekday()}": hour.hour}
        opening = Workspace.objects.filter(Q(maintenance_plan__priority_hour=hour.hour) | Q(**weekday))
        rows = opening.exclude(state__in=lifecycle.GONE).order_by("name", "pk")
        with Told(self.stdout, as_json=as_json) as told:
            for batch in selection.in_batches(rows):
                known = look_at(batch, now)
                for workspace in batch:
                    for ahead in planner.due(workspace.maintenance_plan.as_rule(), known[workspace.pk].facts, now):
                        told.add(*foresight.decision(Decision.of(workspace, ahead, now), ahead))

    def _hold(self, options: dict[str, Any]) -> None:
        now = timezone.now()
        hold = Hold(reason=options["reason"].strip(), set_at=options["starts"] or now, expires_at=options["until"])
        for noun in ("workspace", "project", "organization"):
            if options[noun]:
                setattr(hold, noun, getattr(selection, noun)(options[noun]))
        if not 1 <= len(hold.reason) <= 200:
            raise CommandError("--reason: 1 to 200 characters.")
        if wrong := wrong_time(hold.set_at, hold.expires_at, now):
            option = {"starts_at": "--from", "expires_at": "--until"}[wrong.field]
            raise CommandError(f"{option}: {wrong.message}.")
        if not options["dry_run"]:
            hold.begin(ACTOR)
        self._tell_hold(hold, "Would hold" if options["dry_run"] else "Held", options)

    def _lift(self, options: dict[str, Any]) -> None:
        try:
            hold = Hold.objects.select_related("organization", "project", "workspace__project").get(
                pk=UUID(options["hold"])
            )
        except (ValueError, Hold.DoesNotExist):
            raise CommandError(f"There is no hold {options['hold']}.") from None
        lifted = Hold.objects.ahead(timezone.now()).filter(pk=hold.pk).exists()
        if not options["dry_run"]:
            lifted = hold.lift(ACTOR)
        if not lifted:
            by = f"lifted by {hold.lifted_by_name or 'somebody'}" if hold.lifted_at else "ended by itself"
            raise CommandError(f"The hold was over before: {by} at {_utc(hold.lifted_at or hold.expires_at)}.")
        self._tell_hold(hold, "Would lift" if options["dry_run"] else "Lifted", options)

    def _tell_hold(self, hold: Hold, did: str, options: dict[str, Any]) -> None:
        workspaces = hold.covered().exclude(state="deleted").count()
        document = {
            "id": hold.pk,
            "place": hold.place,
            "level": hold.level,
            "reason": hold.reason,
            "starts_at": _utc(hold.set_at),
            "expires_at": _utc(hold.expires_at),
            "lifted_at": _utc(hold.lifted_at) if hold.lifted_at else None,
            "workspaces": workspaces,
            "dry_run": options["dry_run"],
        }
        number = f"{workspaces} workspace{'' if workspaces == 1 else 's'}"
        words = f"{did} {hold.place} ({number}), {_utc(hold.set_at)} to {_utc(hold.expires_at)}: {hold.reason}"
        with Told(self.stdout, as_json=options["as_json"], single=True) as told:
            told.add(document, [words, f"  {hold.pk}"])


def _document(options: dict[str, Any]) -> dict[str, Any]:
    """What was said, as a merge patch of the plan."""
    document: dict[str, Any] = {}
    if options["enabled"]:
        document["enabled"] = options["enabled"] == "true"
    if options["day"]:
        document["schedule"] = dict(options["day"])
    if options["priority_hour"] is not None:
        document["priority_hour"] = options["priority_hour"]
    if options["os"]:
        document["compute"] = {"auto_update": _SWITCH[options["os"]]}
    if options["kubernetes"]:
        document["kubernetes"] = {"auto_upgrade": _SWITCH[options["kubernetes"]]}
    return document


def _day(text: str) -> tuple[str, int | None]:
    """`monday=2` or `monday=none`."""
    name, _, hour = text.lower().partition("=")
    if name not in _DAYS or not (hour == "none" or (hour.isascii() and hour.isdigit() and int(hour) < 24)):
        raise ArgumentTypeError(f"“{text}”: write a day and an hour from 0 to 23, or none, such as monday=2.")
    return _DAYS[name], None if hour == "none" else int(hour)


def _moment(text: str) -> datetime:
    """A time in RFC 3339; one without a zone is UTC."""
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None:
        raise ArgumentTypeError(f"“{text}”: write a time such as 2026-12-24T18:00Z.")
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
