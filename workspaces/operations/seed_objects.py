"""One object of a manifest in one cluster: looked at, compared, and applied. What becomes of the findings is `seeding`.

An object that is as the manifest says costs one GET. Only one that reads differently is asked about by a dry run: the
API server alone knows which spellings mean the same, and who holds which field.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from workspaces.models import Drift, Seed, SeedManifest
from workspaces.operations import drift_actors
from workspaces.providers.errors import ProviderError
from workspaces.providers.managed_fields import owners
from workspaces.providers.objects import Conflicts, Document, Objects
from workspaces.rules.drift import Difference
from workspaces.rules.seed_fields import Unlike, covers, unlike, value_of, without
from workspaces.rules.seeding import WHOLE, name_of

# What goes wrong with the next object too, so the look ends.
EVERYBODYS: Final = ("unreachable", "rate_limit")
# A row shows what a field was; of a long text, its beginning.
_LONGEST: Final = 1000


@dataclass
class Finding:
    """An object as one look has found it, and what the look has done about it.

    `document` is what may be applied, `differences` what is not as wanted (of an object whose manifest is applied in
    its present revision), `conflicts` who holds what (field, manager), `set_back` the rows of drift that were mended.
    One that `waits` is not looked at, and gets this state with this message.
    """

    seed: Seed
    manifest: SeedManifest
    document: Document
    waits: tuple[str, str] | None = None
    looked: bool = False
    seen: Document | None = None
    differences: Sequence[Difference] = ()
    conflicts: Sequence[tuple[str, str]] = ()
    error: ProviderError | None = None
    applied: bool = False
    changed: bool = False
    set_back: list[Drift] = field(default_factory=list)

    @property
    def is_left(self) -> bool:
        """Whether somebody has decided that it is not to be there."""
        return WHOLE in self.seed.left

    @property
    def is_current(self) -> bool:
        """Whether the manifest has been applied as it is now: then what differs is drift."""
        return self.seed.revision == self.manifest.revision

    @property
    def name(self) -> str:
        """What a sentence calls the object."""
        return name_of(self.document)

    @property
    def was_read(self) -> bool:
        """Whether it is known what of it differs."""
        return self.looked and (self.error is None or bool(self.differences))


def finding_of(seed: Seed, manifest: SeedManifest, document: Mapping[str, Any]) -> Finding:
    """The object before it is looked at, without the fields that are left to others."""
    return Finding(seed, manifest, without(document, seed.left))


def examine(objects: Objects, finding: Finding) -> None:
    """Look at the object. Raises the ProviderErrors that concern all objects; others stay with the finding."""
    try:
        objects.knows(finding.document)
    except ProviderError as error:
        if error.code == "credential":
            raise
        _note(finding, error)
        return
    try:
        finding.seen = objects.get(finding.document)
        if finding.seen is None:
            finding.differences = [_missing(finding)] if finding.is_current else []
        elif finding.is_current and (found := unlike(finding.document, finding.seen)):
            finding.differences = [_difference(finding, each) for each in found]
            _ask(objects, finding, found)
    except ProviderError as error:
        _note(finding, error)
    else:
        finding.looked = True


def apply(objects: Objects, finding: Finding) -> None:
    """Make the object as the manifest says, unless somebody else holds a field of it. Raises as `examine` does."""
    try:
        answer = objects.apply(finding.document)
    except Conflicts as error:
        found = unlike(finding.document, finding.seen or {})
        _note_conflicts(finding, error, found)
    except ProviderError as error:
        _note(finding, error)
    else:
        finding.applied, finding.changed = True, _revision(answer) != _revision(finding.seen)


def set_back(objects: Objects, finding: Finding, rows: Sequence[Drift]) -> None:
    """Make these fields as the manifest says, and no other that is different. Raises ProviderError.

    A field that somebody else holds is taken from them only where a person has decided that, and only if nobody has
    changed the object since it was looked at.
    """
    meant = {row.field for row in rows}
    others = [one.field for one in finding.differences if one.field not in meant]
    document = without(finding.document, others)
    force = any(covers(name, row.field) for name, _ in finding.conflicts for row in rows if row.decision == "converge")
    if force and finding.seen is not None:
        document["metadata"] = document["metadata"] | {"resourceVersion": _revision(finding.seen)}
    objects.apply(document, force=force)
    finding.changed, finding.applied = True, not others
    finding.differences = [one for one in finding.differences if one.field in others]
    finding.conflicts = [one for one in finding.conflicts if one[0] in others]
    finding.set_back += rows


# --- What differs -----------------------------------------------------------------------------------------------------
def _ask(objects: Objects, finding: Finding, found: Sequence[Unlike]) -> None:
    """Leave of the differences those that an apply would change, with the conflicts it would meet."""
    try:
        would = objects.apply(finding.document, dry_run=True)
    except Conflicts as error:
        _note_conflicts(finding, error, found)
        return
    finding.differences = [
        _difference(finding, each)
        for each in found
        if value_of(would, each.field) != value_of(finding.seen or {}, each.field)
    ]


def _note_conflicts(finding: Finding, error: Conflicts, found: Sequence[Unlike]) -> None:
    """Each field that others hold needs a decision; what is different besides can be set back at any time."""
    finding.conflicts = error.fields
    held: dict[str, list[str]] = {}
    for name, manager in error.fields:
        held.setdefault(name, []).append(manager)
    decided = [_held(finding, name, managers) for name, managers in held.items()]
    free = [each for each in found if not any(covers(name, each.field) or covers(each.field, name) for name in held)]
    finding.differences = [*decided, *(_difference(finding, each) for each in free if finding.is_current)]


def _held(finding: Finding, name: str, managers: Sequence[str]) -> Difference:
    seen = finding.seen or {}
    times = [owner.at for owner in owners(_managed(seen)) if owner.manager in managers and owner.at]
    return replace(
        _named(finding, name),
        wanted=_shown(value_of(finding.document, name)),
        seen=_shown(value_of(seen, name)),
        actor=" and ".join(managers),
        actor_at=max(times, default=None),
        policy="decide",
        reason="Another manager holds this field: it is not taken from it without a decision.",
    )


def _difference(finding: Finding, each: Unlike) -> Difference:
    actor = drift_actors.of_object(_managed(finding.seen or {}))(each.owned)
    return replace(
        _named(finding, each.field),
        wanted=_shown(each.wanted),
        seen=_shown(each.seen),
        actor=actor.name,
        actor_at=actor.at,
    )


def _missing(finding: Finding) -> Difference:
    return replace(_named(finding, WHOLE), wanted=finding.name, seen=None)


def _named(finding: Finding, name: str) -> Difference:
    return Difference("seed", str(finding.seed.pk), finding.name, name, None, None)


def _shown(value: Any) -> Any:
    """As a row can hold it: long texts are cut, and what is nested too far is told as text."""
    text = value if isinstance(value, str) else json.dumps(value)
    return value if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


# --- Errors and answers -----------------------------------------------------------------------------------------------
def _note(finding: Finding, error: ProviderError) -> None:
    finding.looked = error.code not in EVERYBODYS
    if not finding.looked:
        raise error
    finding.error = error


def _managed(seen: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return seen.get("metadata", {}).get("managedFields") or ()


def _revision(seen: Mapping[str, Any] | None) -> str:
    return str(seen["metadata"].get("resourceVersion", "")) if seen else ""


def fields_of(differences: Collection[Difference]) -> str:
    """The fields for a sentence: "data.level, data.size and 3 more"."""
    names = [one.field for one in differences]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
