"""How a workspace is, for `workspaces`: its conditions as they may be told now, and why it is not well."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from workspaces.models import Account, ApiKey, Workspace
from workspaces.models.conditions import conditions_of, looks_of
from workspaces.models.diagnosis import diagnose
from workspaces.models.members import keys_held
from workspaces.operations import queues
from workspaces.rules import permissions
from workspaces.rules.diagnosis_facts import Diagnosis
from workspaces.rules.health_freshness import ConditionSeen

SEES_QUEUE = "queue.view"


def health(row: Workspace, who: Account | ApiKey, now: datetime) -> dict[str, Any]:
    """The members `conditions` and `diagnosis`; the queue is asked only where something is wrong."""
    looks = looks_of(row)
    found = diagnose(row, None, now, looks=looks)
    if found and SEES_QUEUE in _keys(who):
        found = diagnose(row, queues.look(now), now, looks=looks)
    return {
        "conditions": [_condition(condition) for condition in conditions_of(row, now, looks)],
        "diagnosis": _diagnosis(found) if found else None,
    }


def _keys(who: Account | ApiKey) -> frozenset[str]:
    return permissions.keys_of(who.role) if isinstance(who, ApiKey) else keys_held(who)


def _condition(seen: ConditionSeen) -> dict[str, Any]:
    return asdict(seen) | {"error_class": seen.error_class or None, "who_can_fix": seen.who_can_fix or None}


def _diagnosis(found: Diagnosis) -> dict[str, Any]:
    checks = [asdict(check) | {"note": check.note or None} for check in found.checks]
    return {
        "cause": found.cause,
        "headline": found.headline,
        "explanation": found.explanation,
        "since": found.since,
        "who_can_fix": found.who_can_fix or None,
        "next_step": found.next_step or None,
        "checks": checks,
    }
