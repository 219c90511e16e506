"""`manage.py seeding`: load manifests from a file, list them, and tell how far each has come in a workspace.

What the file may say is `management/manifest_file`. Manifests that the file does not name stay as they are, and no
cluster is asked here: the looks at seeded objects apply what is new within their period.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.db.models import Count, Q

from workspaces.management import selection
from workspaces.management.manifest_file import FIELDS, Entry, read, written
from workspaces.management.told import Told
from workspaces.models import Actor, Organization, Seed, SeedManifest, acting
from workspaces.operations.seed_manifests import claimed_by_others, count_change

ADDED, CHANGED, UNCHANGED = "added", "changed", "unchanged"
_WORDS = {ADDED: ("added", "would be added"), CHANGED: ("changed", "would change"), UNCHANGED: ("unchanged",) * 2}


@dataclass(slots=True)
class Line:
    """A manifest as it would be, and which fields the file changes."""

    row: SeedManifest
    outcome: str
    changes: list[str] = field(default_factory=list)


class Command(BaseCommand):
    """Loads and lists."""

    help = "Load the manifests that clusters carry from a YAML or JSON file, or list them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """One of the two."""
        does = parser.add_subparsers(dest="action", required=True)
        load = does.add_parser("load", help="add and change manifests; those not in the file stay as they are")
        load.add_argument("file", metavar="FILE", help="YAML or JSON; - is standard input")
        load.add_argument("--dry-run", action="store_true", help="tell what would happen, and change nothing")
        listing = does.add_parser("list", help="all manifests, as JSON a file for load; or the objects of a workspace")
        listing.add_argument("--workspace", metavar="W", help="id, name, or organization/project/name")
        for one in (load, listing):
            one.add_argument("--json", action="store_true", dest="as_json", help="JSON instead of words")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it, as this command."""
        if options["action"] == "list":
            one = options["workspace"]
            self._list_objects(one, options) if one else self._list(options)
            return
        try:
            entries = read(_content(options["file"]))
        except ValueError as error:
            lines = "\n".join(f"  {line}" for line in str(error).splitlines())
            raise CommandError(f"Nothing was stored. {options['file']}:\n{lines}") from None
        with acting(Actor.of_command("seeding")):
            self._load(entries, options)

    def _load(self, entries: Sequence[Entry], options: dict[str, Any]) -> None:
        """One transaction: the whole file or nothing of it."""
        with transaction.atomic():
            # What is compared is what will be changed: nobody else changes these meanwhile.
            named = SeedManifest.objects.select_for_update(of=("self",)).filter(name__in=[one.name for one in entries])
            known = {row.name: row for row in named.select_related("organization")}
            places = {row.name: row for row in Organization.objects.all()}
            lines = [_line(entry, known.get(entry.name), places) for entry in entries]
            refused = [sentence for line in lines for sentence in _wrong(line)]
            refused += [
                f"{one.name}, organization: There is no organization {one.values['organization']}."
                for one in entries
                if one.values.get("organization") and one.values["organization"] not in places
            ]
            stored = not (options["dry_run"] or refused)
            for line in lines if stored else ():
                _store(line)
            warnings = [] if refused else [said for line in lines for said in claimed_by_others(line.row)]
        self._tell(lines, warnings, options, stored=stored)
        if refused:
            raise CommandError("\n  ".join(["Nothing was stored.", *refused]))

    def _tell(self, lines: Sequence[Line], warnings: Sequence[str], options: dict[str, Any], *, stored: bool) -> None:
        counts = Counter(line.outcome for line in lines)
        summary = ", ".join(f"{counts[outcome]} {words[not stored]}" for outcome, words in _WORDS.items())
        document = {
            "manifests": [{"name": line.row.name, "outcome": line.outcome, "changes": line.changes} for line in lines],
            "warnings": warnings,
            "dry_run": options["dry_run"],
            "stored": stored,
        }
        words = [_in_words(line, stored=stored) for line in lines] + [f"warning: {said}" for said in warnings]
        with Told(self.stdout, as_json=options["as_json"], single=True) as told:
            told.add(document, [*words, f"{summary}."])

    def _list(self, options: dict[str, Any]) -> None:
        counted = SeedManifest.objects.select_related("organization").annotate(
            objects_seeded=Count("seeds"), objects_as_wanted=Count("seeds", filter=Q(seeds__state="applied"))
        )
        rows = list(counted.order_by("name"))
        with Told(self.stdout, as_json=options["as_json"], single=True) as told:
            if rows or options["as_json"]:
                told.add({"manifests": [written(row) for row in rows]}, map(_listed, rows))

    def _list_objects(self, named: str, options: dict[str, Any]) -> None:
        rows = Seed.objects.filter(workspace=selection.workspace(named)).select_related("manifest")
        with Told(self.stdout, as_json=options["as_json"]) as told:
            for row in rows.order_by("manifest__name", "object"):
                told.add(_document(row), [_object_in_words(row)])


def _content(name: str) -> str:
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{name} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}.") from None


# --- What the file does -----------------------------------------------------------------------------------------------
def _line(entry: Entry, known: SeedManifest | None, places: dict[str, Organization]) -> Line:
    row = known or SeedManifest(name=entry.name)
    changes = []
    for name, value in entry.values.items():
        new = places.get(value or "") if name == "organization" else value
        if getattr(row, name) != new:
            setattr(row, name, new)
            changes.append(name)
    if known is None:
        return Line(row, ADDED)
    return Line(row, CHANGED if changes else UNCHANGED, sorted(changes, key=FIELDS.index))


def _wrong(line: Line) -> list[str]:
    """What the row could not hold, and texts that are no manifests."""
    if line.outcome == UNCHANGED:
        return []
    try:
        line.row.full_clean(validate_unique=False)
    except ValidationError as error:
        return [f"{line.row}, {name}: {' '.join(said)}" for name, said in error.message_dict.items()]
    return []


def _store(line: Line) -> None:
    if "content" in line.changes:
        count_change(line.row)
    if line.outcome in (ADDED, CHANGED):
        line.row.save()


# --- Words ------------------------------------------------------------------------------------------------------------
def _in_words(line: Line, *, stored: bool) -> str:
    words = f"{line.row}: {_WORDS[line.outcome][not stored]}"
    return f"{words} ({', '.join(line.changes)})" if line.changes else words


def _listed(row: Any) -> str:
    phase = row.get_phase_display()
    parts: Iterable[str] = (
        f"revision {row.revision}",
        f"{phase[:1].lower()}{phase[1:]}",
        f"Kubernetes {row.versions}" if row.versions else "",
        f"for {row.organization}" if row.organization else "",
        "protected" if row.protected else "",
        "gates" if row.gates else "",
        "" if row.active else "withdrawn",
        f"{row.objects_as_wanted} of {row.objects_seeded} objects as wanted" if row.objects_seeded else "in no cluster",
    )
    return f"{row}: {', '.join(part for part in parts if part)}"


def _document(row: Seed) -> dict[str, Any]:
    return {
        "manifest": row.manifest.name,
        "object": row.object,
        "state": row.state,
        "since": f"{row.state_since:%Y-%m-%dT%H:%M:%SZ}" if row.state_since else None,
        "revision": row.revision,
        "wanted_revision": row.manifest.revision,
        "message": row.message,
        "conflicts": row.conflicts,
        "left": row.left,
    }


def _object_in_words(row: Seed) -> str:
    said = f": {row.message}" if row.message else ""
    left = f" (left to others: {', '.join(row.left)})" if row.left else ""
    return f"{row.manifest}: {row.object}, {row.get_state_display().lower()}{said}{left}"
