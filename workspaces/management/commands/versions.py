"""`manage.py versions`: load the version catalogue from a file, and list it.

What the file may say is `management/catalogue_file`, whether the catalogue makes sense `rules/catalogue`. Versions that
the file does not name stay as they are: nothing is deleted here.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction
from django.db.models import Count
from django.utils import timezone

from workspaces.management.catalogue_file import Entry, read, written
from workspaces.management.told import Told
from workspaces.models import Actor, KubernetesVersion, Workspace, acting
from workspaces.rules import catalogue, versions
from workspaces.rules.catalogue import Finding

ADDED, CHANGED, UNCHANGED, NOT_IN_FILE = "added", "changed", "unchanged", "not_in_file"
_WORDS = {
    ADDED: ("added", "would be added"),
    CHANGED: ("changed", "would change"),
    UNCHANGED: ("unchanged", "unchanged"),
    NOT_IN_FILE: ("not in the file, left as it is", "not in the file, left as it is"),
}


@dataclass(slots=True)
class Line:
    """A version as it would be, and what the file does to it: `changes` has old and new value of each field."""

    row: KubernetesVersion
    outcome: str
    changes: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    @property
    def is_withdrawal(self) -> bool:
        """Whether the file takes an active version out of the offer."""
        return self.outcome == CHANGED and self.changes.get("active") == (True, False)


class Command(BaseCommand):
    """Loads and lists."""

    help = "Load the catalogue of Kubernetes versions from a JSON or YAML file, or list it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """One of the two."""
        does = parser.add_subparsers(dest="action", required=True)
        load = does.add_parser("load", help="add and change versions; those not in the file stay as they are")
        load.add_argument("file", metavar="FILE", help="JSON or YAML; - is standard input")
        load.add_argument("--dry-run", action="store_true", help="tell what would happen, and change nothing")
        load.add_argument("--strict", action="store_true", help="refuse a catalogue with warnings, too")
        for one in (load, does.add_parser("list", help="all, the newest first; as JSON a file for load")):
            one.add_argument("--json", action="store_true", dest="as_json", help="JSON instead of words")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it, as this command."""
        if options["action"] == "list":
            self._list(as_json=options["as_json"])
            return
        try:
            entries = read(_content(options["file"]))
        except ValueError as error:
            lines = "\n".join(f"  {line}" for line in str(error).splitlines())
            raise CommandError(f"Nothing was stored. {options['file']}:\n{lines}") from None
        with acting(Actor.of_command("versions")):
            self._load(entries, options)

    def _load(self, entries: Sequence[Entry], options: dict[str, Any]) -> None:
        """One transaction: the whole file or nothing of it."""
        with transaction.atomic():
            with connection.cursor() as cursor:
                # What is examined is what will be there: nobody else changes the catalogue meanwhile.
                cursor.execute(f"LOCK TABLE {KubernetesVersion._meta.db_table} IN SHARE ROW EXCLUSIVE MODE")
            lines = _lines(entries)
            findings = catalogue.examine([line.row.as_rule() for line in lines], timezone.now().date())
            refused = [*_wrong_fields(lines), *_refusing(findings, strict=options["strict"])]
            stored = not (options["dry_run"] or refused)
            for line in lines if stored else ():
                if line.outcome in (ADDED, CHANGED):
                    line.row.save()
        self._tell(lines, findings, options, stored=stored)
        if refused:
            raise CommandError("\n  ".join(["Nothing was stored.", *refused]))

    def _tell(
        self, lines: Sequence[Line], findings: Sequence[Finding], options: dict[str, Any], *, stored: bool
    ) -> None:
        running = _running()
        warnings = [finding for finding in findings if finding.level == catalogue.WARNING]
        counts = Counter(line.outcome for line in lines)
        summary = ", ".join(f"{counts[outcome]} {words[not stored]}" for outcome, words in _WORDS.items())
        document = {
            "versions": [_document(line, running) for line in lines],
            "findings": [{name: getattr(one, name) for name in Finding.__slots__} for one in findings],
            "dry_run": options["dry_run"],
            "stored": stored,
        }
        words = [_in_words(line, running, stored=stored) for line in lines]
        words += [f"warning ({finding.code}): {finding.message}" for finding in warnings]
        with Told(self.stdout, as_json=options["as_json"], single=True) as told:
            told.add(document, [*words, f"{summary}."])

    def _list(self, *, as_json: bool) -> None:
        rows = list(KubernetesVersion.objects.all())
        running = _running()
        with Told(self.stdout, as_json=as_json, single=True) as told:
            if rows or as_json:
                told.add({"versions": [written(row) for row in rows]}, [_listed(row, running) for row in rows])


def _content(name: str) -> str:
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{name} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}.") from None


# --- What the file does -----------------------------------------------------------------------------------------------
def _lines(entries: Iterable[Entry]) -> list[Line]:
    """The catalogue as it would be, the newest first: the versions of the file, then those it leaves alone."""
    others = {_key(row.version): row for row in KubernetesVersion.objects.all()}
    lines = [_line(entry, others.pop(_key(entry.version), None)) for entry in entries]
    lines += [Line(row, NOT_IN_FILE) for row in others.values()]
    return sorted(lines, key=lambda line: (versions.is_version(line.row.version), _key(line.row.version)), reverse=True)


def _line(entry: Entry, known: KubernetesVersion | None) -> Line:
    if known is None:
        version = str(versions.parse(entry.version)) if versions.is_version(entry.version) else entry.version
        return Line(KubernetesVersion(**entry.values | {"version": version}), ADDED)
    changes = {}
    for name, value in entry.values.items():
        if name != "version" and (old := getattr(known, name)) != value:
            changes[name] = (old, value)
            setattr(known, name, value)
    return Line(known, CHANGED if changes else UNCHANGED, changes)


def _key(version: str) -> Any:
    """By what two ways to write a version are the same; versions that cannot be read by their text."""
    return versions.precedence(version) if versions.is_version(version) else version


def _wrong_fields(lines: Iterable[Line]) -> list[str]:
    """What the rows could not hold, and withdrawals without a reason."""
    wrong = []
    for line in lines:
        if line.outcome not in (ADDED, CHANGED):
            continue
        try:
            line.row.clean_fields(exclude={"id", "sort_key"})
        except ValidationError as error:
            wrong += [f"{line.row}, {name}: {' '.join(said)}" for name, said in error.message_dict.items()]
        was_active = bool(line.changes.get("active", (line.row.active, None))[0]) and line.outcome == CHANGED
        reason = line.row.withdrawn_reason
        if sentence := catalogue.refuse_reason(was_active=was_active, active=line.row.active, reason=reason):
            wrong.append(f"{line.row}, withdrawn_reason: {sentence}")
    return wrong


def _refusing(findings: Iterable[Finding], *, strict: bool) -> list[str]:
    """The sentences of those findings that keep the catalogue from being stored."""
    return [
        f"{finding.level} ({finding.code}): {finding.message}"
        for finding in findings
        if strict or finding.level == catalogue.ERROR
    ]


def _running() -> Mapping[Any, int]:
    """How many workspaces run each version."""
    rows = Workspace.objects.exclude(state="deleted").filter(type="kubernetes").order_by()
    counts: Counter[Any] = Counter()
    for version, count in rows.values_list("kubernetes_version").annotate(Count("pk")):
        counts[_key(version)] += count
    return counts


# --- Words ------------------------------------------------------------------------------------------------------------
def _document(line: Line, running: Mapping[Any, int]) -> dict[str, Any]:
    return {
        "version": line.row.version,
        "outcome": line.outcome,
        "changes": line.changes,
        "workspaces": running.get(_key(line.row.version), 0),
    }


def _in_words(line: Line, running: Mapping[Any, int], *, stored: bool) -> str:
    words = f"{line.row}: {_WORDS[line.outcome][not stored]}"
    if line.outcome == ADDED:
        words += f", {'active' if line.row.active else 'not active'}"
    if line.changes:
        words += " (" + "; ".join(f"{name}: {_said(old)} → {_said(new)}" for name, (old, new) in line.changes.items())
        words += ")"
    return f"{words}; {_run_it(line.row, running)}" if line.is_withdrawal else words


def _said(value: Any) -> str:
    """A value as people write it."""
    match value:
        case None | "":
            return "nothing"
        case bool():
            return "yes" if value else "no"
        case date():
            return value.isoformat()
        case _:
            return f"“{value}”"


def _run_it(row: KubernetesVersion, running: Mapping[Any, int]) -> str:
    count = running.get(_key(row.version), 0)
    return f"{count or 'no'} workspace{'' if count == 1 else 's'} {'runs' if count == 1 else 'run'} it"


def _listed(row: KubernetesVersion, running: Mapping[Any, int]) -> str:
    state = "active" if row.active else f"withdrawn ({row.withdrawn_reason})" if row.withdrawn_reason else "not active"
    dates = [f"released {row.released_on}" if row.released_on else ""]
    dates.append(f"supported to {row.end_of_life_on}" if row.end_of_life_on else "")
    parts = [state, "security" if row.security else "", f"from {row.upgrade_from}", *dates, _run_it(row, running)]
    return f"{row}: {', '.join(part for part in parts if part)}"
