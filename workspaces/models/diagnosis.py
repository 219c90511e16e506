"""The facts of a diagnosis, from rows; the judgement is `rules/diagnosis.py`.

What the queue tells is handed in by whoever has asked it (`operations/queues`): rows know nothing of Redis.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from workspaces.models.conditions import LEFT_ALONE, conditions_of, look_seen, looks_of
from workspaces.models.look import Look
from workspaces.models.operation import Operation
from workspaces.models.workspace import Workspace
from workspaces.rules import diagnosis
from workspaces.rules.diagnosis_facts import Diagnosis, Facts, QueueFact, QueueFacts
from workspaces.rules.health_freshness import LookSeen
from workspaces.rules.looks import DNS, SERVERS, is_fresh


class _Queue(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def depth(self) -> int: ...
    @property
    def oldest(self) -> datetime | None: ...
    @property
    def workers(self) -> int: ...


class Machinery(Protocol):
    """What `operations/queues.look` returns."""

    @property
    def trouble(self) -> str: ...
    @property
    def queues(self) -> Sequence[_Queue]: ...
    def scheduler_alive(self, now: datetime) -> bool:
        """Whether a scheduler said so lately."""


def diagnose(
    workspace: Workspace, queue: Machinery | None, now: datetime, *, looks: Sequence[Look] | None = None
) -> Diagnosis | None:
    """Why the workspace is not well; None where it is. `queue` None: it was not asked.

    At most one query when its looks (`conditions.looks_of`) are handed in, else two.
    """
    if workspace.state in LEFT_ALONE:
        return None
    found = looks_of(workspace) if looks is None else looks
    seen = [look_seen(look) for look in found]
    if not workspace.attention and not any(look.is_blind(now) for look in seen):
        return None
    refusing = [look for look in seen if look.felt and look.kind in (SERVERS, DNS)]
    facts = Facts(
        name=workspace.name,
        type=workspace.type,
        state=workspace.state,
        state_reason=workspace.state_reason,
        attention=workspace.attention,
        attention_tone=workspace.attention_tone,
        conditions=conditions_of(workspace, now, found),
        looks=seen,
        queue=_queue(queue, now) if queue else None,
        others_answered=_others_answered(refusing, now) if refusing else None,
        # Where a look fails, that comes first, and the operation is not asked for.
        failed_operation=None if any(look.felt for look in seen) else _failed_operation(workspace),
    )
    return diagnosis.diagnose(facts, now)


def _queue(seen: Machinery, now: datetime) -> QueueFacts:
    queues = [QueueFact(queue.name, queue.depth, queue.oldest, queue.workers) for queue in seen.queues]
    return QueueFacts(seen.trouble, seen.scheduler_alive(now), queues)


def _others_answered(refusing: Sequence[LookSeen], now: datetime) -> bool | None:
    """Whether the vendor answers other accounts; None where there is no other."""
    others = Look.objects.filter(kind=SERVERS).exclude(provider_account__in=[look.key for look in refusing])
    rows = list(others.order_by("-succeeded_at").values_list("felt", "succeeded_at", "every")[:20])
    if not rows:
        return None
    return any(not felt and is_fresh(at, every, now) for felt, at, every in rows)


def _failed_operation(workspace: Workspace) -> UUID | None:
    """The latest operation, if it did not get through."""
    newest = Operation.objects.filter(workspace=workspace).order_by("-created_at").values_list("pk", "state").first()
    return newest[0] if newest and newest[1] in ("failed", "stopped") else None
