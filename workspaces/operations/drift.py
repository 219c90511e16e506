"""Drift as rows: what a look has found is recorded, set back where that is the policy, and remembered for a while.

What differs is told by `rules/` and the looks; changing the world back is theirs, too. What people decide about a
difference is `drift_decisions`; who made it, `drift_actors`.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q

from workspaces.models import PLATFORM, Drift, Event, Operation, Workspace
from workspaces.models.bulk import fit
from workspaces.operations.drift_decisions import decide
from workspaces.providers.errors import ProviderError
from workspaces.rules import drift_words, lifecycle
from workspaces.rules.drift import FOUGHT_AFTER, Actor, Difference, Kind

__all__ = ["Recorded", "decide", "not_set_back", "prune", "record", "set_back", "to_set_back"]
logger = logging.getLogger(__name__)

# A field that is different again this soon after it was set back is not a new story.
COUNTED: Final = timedelta(days=1)
KEPT: Final = timedelta(days=90)
# The times of owners are whole seconds.
COARSE: Final = timedelta(seconds=1)
ON_HOSTS: Final = ("host", "node")
_WRITTEN: Final = ("subject", "wanted", "seen", "actor", "actor_at", "policy", "reason", "fought", "ended_at", "ending")

Key = tuple[UUID, str, str, str]
Who = Callable[[UUID, Difference], Actor]


@dataclass(frozen=True, slots=True)
class Recorded:
    """The rows that were opened, changed and ended."""

    opened: tuple[Drift, ...] = ()
    changed: tuple[Drift, ...] = ()
    ended: tuple[Drift, ...] = ()

    @property
    def workspaces(self) -> set[UUID]:
        """Whose they are: their health is to be judged again."""
        return {row.workspace_id for row in (*self.opened, *self.changed, *self.ended)}


# --- Recording --------------------------------------------------------------------------------------------------------
def record(
    workspaces: Collection[UUID],
    kinds: Collection[Kind],
    found: Mapping[UUID, Sequence[Difference]],
    now: datetime,
    *,
    refs: Collection[str] | None = None,
    who: Who | None = None,
) -> Recorded:
    """Make the open rows of these workspaces and kinds say what was found by a look that began at `now`.

    With `refs` only rows about these hosts, records or seeds count: another look sees the others. `who` is asked who
    made a difference that is new, or has another value, and names nobody. Workspaces with an open operation are left
    as they are. One query while nothing changes, four else, whatever the number of workspaces.
    """
    seen = _by_key(workspaces, kinds, found)
    rows, repaired, ended_since = _read(workspaces, kinds, refs, now)
    new = {key: one for key, one in seen.items() if key not in rows and key not in ended_since}
    kept = {key: row for key, row in rows.items() if key in seen and _differs(row, seen[key], now)}
    gone = {key: row for key, row in rows.items() if key not in seen}
    if not (new or kept or gone):
        return Recorded()
    free = _free({key[0] for key in (*new, *kept, *gone)})
    opened = [
        _opened(key[0], one, repaired.get(key), now, who) for key, one in new.items() if _is_there(key[0], one, free)
    ]
    changed = [_changed(row, seen[key], now, who) for key, row in kept.items() if key[0] in free]
    ended = [_ended(row, now) for key, row in gone.items() if key[0] in free]
    Drift.objects.bulk_create(opened, batch_size=500, ignore_conflicts=True)  # a look that took too long may be at it
    # Only those still open: somebody may have decided meanwhile.
    Drift.objects.open().bulk_update([*changed, *ended], _WRITTEN, batch_size=500)
    _ask_again(changed, now)
    return Recorded(tuple(opened), tuple(changed), tuple(ended))


def _by_key(
    workspaces: Iterable[UUID], kinds: Collection[str], found: Mapping[UUID, Sequence[Difference]]
) -> dict[Key, Difference]:
    fitting = ((key, _fitting(one)) for key in workspaces for one in found.get(key, ()) if one.kind in kinds)
    return {(key, *one.key): one for key, one in fitting}


def _fitting(one: Difference) -> Difference:
    """With texts as the columns can hold them, and values as they will be read again."""
    texts = {name: fit(Drift, name, getattr(one, name)) for name in ("subject", "field", "actor", "reason")}
    return replace(one, wanted=_plain(one.wanted), seen=_plain(one.seen), **texts)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _read(
    workspaces: Collection[UUID], kinds: Collection[str], refs: Collection[str] | None, now: datetime
) -> tuple[dict[Key, Drift], dict[Key, Drift], set[Key]]:
    """Open rows; of those set back within a day the newest; and what was ended since the look began."""
    recent = Q(ended_at__gte=now) | Q(ended_at__gte=now - COUNTED, ending="repaired")
    rows = Drift.objects.filter(Q(ended_at=None) | recent, workspace__in=workspaces, kind__in=kinds)
    if refs is not None:
        rows = rows.filter(ref__in=refs)
    is_open, repaired, ended_since = {}, {}, set()
    for row in rows.order_by("ended_at"):
        key = (row.workspace_id, row.kind, row.ref, row.field)
        if row.ended_at is None:
            is_open[key] = row
            continue
        if row.ending == "repaired":
            repaired[key] = row
        if row.ended_at >= now:
            ended_since.add(key)
    return is_open, repaired, ended_since


def _free(keys: Collection[UUID]) -> dict[UUID, set[str]]:
    """Those of the workspaces that are there and on which nothing is being done, with the keys of their hosts."""
    running = Operation.objects.open().filter(workspace=OuterRef("pk"))
    hosts: dict[UUID, set[str]] = defaultdict(set)
    here = Workspace.objects.filter(~Exists(running), pk__in=keys)
    for key, host in here.order_by().values_list("pk", "hosts"):
        hosts[key].add(str(host))
    return hosts


def _is_there(key: UUID, one: Difference, free: Mapping[UUID, set[str]]) -> bool:
    """A host may have been removed while it was looked at."""
    return key in free and (one.kind not in ON_HOSTS or one.ref in free[key])


def _opened(workspace: UUID, one: Difference, before: Drift | None, now: datetime, who: Who | None) -> Drift:
    row = Drift(
        workspace_id=workspace,
        kind=one.kind,
        ref=one.ref,
        host_id=UUID(one.ref) if one.kind in ON_HOSTS else None,
        field=one.field,
        since=now,
        repairs=before.repairs if before else 0,
    )
    _take(row, _told(workspace, one, who), now, before.repaired_at if before else None)
    return row


def _changed(row: Drift, one: Difference, now: datetime, who: Who | None) -> Drift:
    told = _told(row.workspace_id, one, who) if row.seen != one.seen else one
    if not told.actor and row.seen == told.seen:
        told = replace(told, actor=row.actor, actor_at=row.actor_at)
    _take(row, told, now, row.repaired_at)
    return row


def _told(workspace: UUID, one: Difference, who: Who | None) -> Difference:
    """With who made it, which is asked only where nobody was named."""
    actor = who(workspace, one) if who and not one.actor else Actor(one.actor, one.actor_at)
    return replace(one, actor=fit(Drift, "actor", actor.name), actor_at=actor.at)


def _take(row: Drift, one: Difference, now: datetime, repaired_at: datetime | None) -> None:
    for name in ("subject", "wanted", "seen", "actor", "actor_at", "policy", "reason"):
        setattr(row, name, getattr(one, name))
    row.fought = _is_fought(row, now)
    if row.fought:
        row.policy, row.reason = "decide", _reason(row, repaired_at)


def _is_fought(row: Drift, now: datetime) -> bool:
    """Whether it is different although it was set back often; what this very look has set back may be on its way."""
    settled = row.fought or row.repaired_at is None or row.repaired_at < now
    return row.repairs >= FOUGHT_AFTER and settled


def _reason(row: Drift, repaired_at: datetime | None) -> str:
    """Somebody is named only who has changed it since: an older owner may have had no part in it."""
    since = repaired_at is not None and row.actor_at is not None and row.actor_at >= repaired_at - COARSE
    return drift_words.fought(row.repairs, row.actor if since else "")[:300]


def _differs(row: Drift, one: Difference, now: datetime) -> bool:
    """Whether the row has to be written, to say what was found."""
    if _is_fought(row, now) != row.fought or _is_carried_out(row, now):
        return True
    names = ["subject", "wanted", "seen"] + (["policy", "reason"] if not row.fought else [])
    named = bool(one.actor) and (one.actor, one.actor_at) != (row.actor, row.actor_at)
    return named or any(getattr(row, name) != getattr(one, name) for name in names)


def _is_carried_out(row: Drift, now: datetime) -> bool:
    """Whether it was set back as somebody had decided, and is different all the same."""
    done = row.repaired_at is not None and row.decided_at is not None and row.decided_at <= row.repaired_at < now
    return row.decision == "converge" and done and _is_fought(row, now)


def _ask_again(rows: Iterable[Drift], now: datetime) -> None:
    """What was set back by decision and is changed back each time needs another decision."""
    if keys := [row.pk for row in rows if _is_carried_out(row, now)]:
        again = Drift.objects.open().filter(pk__in=keys, repaired_at__gte=F("decided_at"))
        again.update(decision="", decided_by="", decided_at=None)


def _ended(row: Drift, now: datetime) -> Drift:
    row.ended_at = now
    row.ending = "repaired" if row.repaired_at or row.decision == "converge" else "gone"
    return row


# --- Setting back -----------------------------------------------------------------------------------------------------
def to_set_back(
    workspaces: Collection[UUID], kinds: Collection[Kind], *, refs: Collection[str] | None = None
) -> list[Drift]:
    """What is to be set back now, with workspace, project and host at hand; nothing while an operation is open."""
    running = Operation.objects.open().filter(workspace=OuterRef("workspace"))
    wanted = Q(policy="repair") | Q(decision="converge")
    rows = Drift.objects.open().filter(
        wanted,
        ~Exists(running),
        workspace__in=workspaces,
        workspace__state__in=lifecycle.SET_BACK_IN,
        kind__in=kinds,
    )
    if refs is not None:
        rows = rows.filter(ref__in=refs)
    return list(rows.select_related("workspace__project", "host").order_by("workspace__name", "subject", "field"))


def set_back(drift: Drift, now: datetime, *, say: bool = True) -> None:
    """Write down that the world was changed back, in a look that began at `now`; with `say`, in the trail too.

    The row ends with the next look that finds it as wanted.
    """
    at = max(now, drift.decided_at or now)
    said = drift_words.repaired(drift.kind, drift.subject, drift.field, drift.wanted, drift.seen, drift.actor)
    if drift.decision == "converge":
        said += f"; {drift.decided_by} has decided so"
    with transaction.atomic():
        Drift.objects.filter(pk=drift.pk).update(repairs=F("repairs") + 1, repaired_at=at, error="")
        if say:
            changes = {drift.field: [drift.seen, drift.wanted]}
            Event.record(PLATFORM, "drift.repaired", workspace=drift.workspace, summary=said, changes=changes)
    drift.repairs, drift.repaired_at, drift.error = drift.repairs + 1, at, ""


def not_set_back(drift: Drift, error: ProviderError, now: datetime) -> None:
    """Write down why the world could not be changed back in the look that began at `now`. The next one tries again."""
    said = f"{error.message} Who can fix: {error.who_can_fix}"
    if drift.error != said:
        logger.warning("%s of %s was not set back at %s: %s", drift, drift.workspace, now, error.message)
        Drift.objects.filter(pk=drift.pk).update(error=said)
        drift.error = said


def prune(now: datetime) -> int:
    """Forget what ended long ago; how many rows. What is told of a deleted workspace ends, as nobody looks there."""
    Drift.objects.open().filter(workspace__state="deleted").update(ended_at=now, ending="gone")
    return Drift.objects.filter(ended_at__lt=now - KEPT).delete()[0]
