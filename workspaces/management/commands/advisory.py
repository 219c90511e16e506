"""`manage.py advisory`: flag packages and versions for the priority hour, close what no longer counts, list it all."""

from __future__ import annotations

from argparse import ArgumentParser, BooleanOptionalAction
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from workspaces.management.told import Told
from workspaces.models import Actor, Advisory, KubernetesVersion, acting
from workspaces.models.advisory import SEVERITIES, package_names
from workspaces.rules import versions

NEAREST = 3


class Command(BaseCommand):
    """Flags, closes, lists."""

    help = "Flag packages and Kubernetes versions for the priority hour: `advisory flag LSA-2026-1 --severity high …`."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """One of the three."""
        does = parser.add_subparsers(dest="action", required=True)
        flag = does.add_parser("flag", help="flag it, or flag it again: what is not said then stays as it was")
        flag.add_argument("name")
        flag.add_argument("--severity", choices=SEVERITIES, help="required the first time")
        flag.add_argument(
            "--package", action="append", dest="packages", metavar="NAME", help="* is all security updates"
        )
        flag.add_argument("--version", action="append", dest="named", metavar="VERSION", help="of the catalogue")
        flag.add_argument("--enforced", action=BooleanOptionalAction, help="whatever the plans' switches say")
        flag.add_argument("--text")
        close = does.add_parser("close", help="the priority hour leaves it alone from now on")
        close.add_argument("name")
        for one in (flag, close):
            one.add_argument("--dry-run", action="store_true", help="tell what would happen, and change nothing")
        for one in (flag, close, does.add_parser("list", help="all, the newest first")):
            one.add_argument("--json", action="store_true", dest="as_json", help="JSON instead of words")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it, as this command."""
        with acting(Actor.of_command("advisory")):
            if options["action"] == "list":
                with Told(self.stdout, as_json=options["as_json"]) as told:
                    for row in Advisory.objects.prefetch_related("versions").order_by("-flagged_at", "name"):
                        told.add(_document(row), [_in_words(row)])
                return
            with transaction.atomic():
                row = _flag(options) if options["action"] == "flag" else _close(options["name"])
                document, words = _document(row), _in_words(row)
                transaction.set_rollback(options["dry_run"])
        would = "Would be: " if options["dry_run"] else ""
        with Told(self.stdout, as_json=options["as_json"], single=True) as told:
            told.add(document | {"dry_run": options["dry_run"]}, [f"{would}{words}"])


def _flag(options: dict[str, Any]) -> Advisory:
    """Make or renew the advisory; it counts from now, also where it was installed before."""
    named = _named(options["named"]) if options["named"] is not None else None
    row = Advisory.objects.select_for_update().filter(name=options["name"]).first() or Advisory(name=options["name"])
    for field in ("severity", "packages", "enforced", "text"):
        if options[field] is not None:
            setattr(row, field, options[field])
    if not row.severity:
        raise CommandError("Say how urgent it is: --severity low, medium, high or critical.")
    row.flagged_at, row.closed_at = timezone.now(), None
    try:
        package_names(row.packages)
        row.full_clean(validate_unique=False)
    except ValidationError as error:
        raise CommandError(" ".join(error.messages)) from None
    if not row.packages and not (row.versions.exists() if named is None and not row._state.adding else named):
        raise CommandError("Name a package or a version: as it is, this flags nothing.")
    row.save()
    if named is not None:
        row.versions.set(named)
    return row


def _close(name: str) -> Advisory:
    row = Advisory.objects.select_for_update().filter(name=name).first()
    if row is None:
        raise CommandError(f"There is no advisory {name}.")
    if row.closed_at:
        raise CommandError(f"{name} was closed before, at {row.closed_at:%Y-%m-%dT%H:%M:%SZ}.")
    row.closed_at = timezone.now()
    row.save(update_fields=["closed_at"])
    return row


def _named(texts: list[str]) -> list[KubernetesVersion]:
    """The catalogue's rows; CommandError with the nearest known ones for a version that is not among them."""
    known = {row.version: row for row in KubernetesVersion.objects.all()}
    for text in texts:
        if text not in known:
            raise CommandError(f"{text} is not in the catalogue. {_nearest(text, list(known))}")
    return [known[text] for text in texts]


def _nearest(text: str, known: list[str]) -> str:
    if not known:
        return "The catalogue is empty."
    if not versions.is_version(text):
        return f"Write it as the catalogue does, such as {known[0]}."
    wanted = versions.parse(text)

    def distance(other: str) -> tuple[int, int, int]:
        one = versions.parse(other)
        return abs(one.major - wanted.major), abs(one.minor - wanted.minor), abs(one.patch - wanted.patch)

    return f"The nearest known: {', '.join(sorted(known, key=distance)[:NEAREST])}."


def _document(row: Advisory) -> dict[str, Any]:
    return {
        "name": row.name,
        "severity": row.severity,
        "packages": row.packages,
        "versions": sorted((one.version for one in row.versions.all()), key=versions.precedence),
        "enforced": row.enforced,
        "text": row.text,
        "flagged_at": f"{row.flagged_at:%Y-%m-%dT%H:%M:%SZ}",
        "closed_at": f"{row.closed_at:%Y-%m-%dT%H:%M:%SZ}" if row.closed_at else None,
    }


def _in_words(row: Advisory) -> str:
    known = _document(row)
    flags = ", ".join(known["packages"] + known["versions"])
    enforced = ", enforced" if row.enforced else ""
    state = f"closed {known['closed_at']}" if row.closed_at else f"flagged {known['flagged_at']}"
    return f"{row.name}: {row.severity}{enforced}, {state}: {flags}"
