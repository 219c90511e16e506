"""The evidence of a diagnosis, always in the same order: what was checked, how it is, and what another check explains.

A check is green only where a fresh look says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from workspaces.rules import looks
from workspaces.rules.diagnosis_facts import Check, CheckTone, Facts
from workspaces.rules.health_freshness import LookSeen
from workspaces.rules.health_seen import at

RESULT: Final = "A result of the above."
RESULT_OF_QUEUE: Final = "A result of what the task queue shows."
# What each check explains, when it is the one that shows the cause.
EXPLAINS: Final[Mapping[str, frozenset[str]]] = {
    "credentials": frozenset({"cloud", "kept"}),
    "cloud": frozenset({"tenant", "kept"}),
    "control_plane": frozenset({"tenant", "kept"}),
    "tenant": frozenset({"kept"}),
    "queue": frozenset({"credentials", "cloud", "control_plane", "tenant", "kept"}),
}
_CLASSES: Final = {
    "credential": "refused",
    "unreachable": "no answer",
    "rate_limit": "limited",
    "cloud_api": "errors",
    "overdue": "not looked at",
}


def checks_of(facts: Facts, now: datetime, root: str) -> tuple[Check, ...]:
    """All checks that concern the workspace; `root` is the one that shows the cause ("" for none)."""
    found = [_credentials(facts, now), _cloud(facts, now)] if facts.in_cloud else []
    if facts.type == "kubernetes":
        found.append(_control_plane(facts, now))
    found.append(_tenant(facts, now))
    if facts.condition("seeding") or facts.condition("dns"):
        found.append(_kept(facts, now))
    found.append(_queue(facts, now))
    return tuple(_explained(check, root) for check in found)


def _explained(check: Check, root: str) -> Check:
    if check.tone == "ok" or check.code == root or check.code not in EXPLAINS.get(root, frozenset()):
        return check
    note = RESULT_OF_QUEUE if root == "queue" else RESULT
    return Check(check.code, check.name, check.tone, check.value, note)


# --- The cloud --------------------------------------------------------------------------------------------------------
def _credentials(facts: Facts, now: datetime) -> Check:
    look = facts.look(looks.SERVERS, looks.DNS)
    name = "Cloud credentials"
    if look is None or (look.succeeded_at is None and not look.felt):
        return Check("credentials", name, "idle", "not tried yet")
    if look.felt and look.trouble and look.trouble.code == "credential":
        return Check("credentials", name, "bad", f"refused{_since(look)}")
    if look.is_blind(now):
        return Check("credentials", name, "idle", _unseen(look))
    return Check("credentials", name, "ok", f"accepted {_ago(look, now)}")


def _cloud(facts: Facts, now: datetime) -> Check:
    look = facts.look(looks.SERVERS, looks.DNS)
    name = "Hetzner Cloud API"
    if look is None:
        return Check("cloud", name, "idle", "not asked yet")
    if look.felt and look.trouble and look.trouble.code == "credential":
        # A refusal is an answer, but it says nothing about the rest of the API.
        return (
            Check("cloud", name, "ok", "answers others")
            if facts.others_answered
            else Check("cloud", name, "idle", "refuses before it answers")
        )
    return _api("cloud", name, look, now)


# --- The cluster ------------------------------------------------------------------------------------------------------
def _control_plane(facts: Facts, now: datetime) -> Check:
    name, condition = "Control plane", facts.condition("control_plane")
    api = _api("control_plane", name, facts.look(looks.CONTROL_PLANES), now)
    if api.tone in ("bad", "idle") or condition is None:
        return api
    credentials = facts.condition("credentials")
    if condition.value == "true" and credentials and credentials.reason in ("ended", "ends_soon", "not_renewed"):
        words = {"ended": "a certificate has ended", "ends_soon": "a certificate ends soon"}
        return Check("control_plane", name, "warn", words.get(credentials.reason, "a certificate is not renewed"))
    words = {"true": api.value, "false": condition.reason.replace("_", " ")}
    tone = api.tone if condition.value == "true" else condition.tone
    return Check("control_plane", name, "idle" if tone == "busy" else tone, words.get(condition.value, "not known"))


def _tenant(facts: Facts, now: datetime) -> Check:
    name, condition = "Tenant API" if facts.type == "kubernetes" else "Hosts", facts.condition("hosts")
    api = _api("tenant", name, facts.look(looks.CLUSTER), now)
    if api.tone in ("bad", "idle") or condition is None or condition.value == "true":
        return api
    value = "hosts not ready" if condition.value == "false" else "hosts not known"
    answers = "answers, " if facts.type == "kubernetes" else ""
    return Check("tenant", name, "warn" if answers else "bad", f"{answers}{value}")


def _kept(facts: Facts, now: datetime) -> Check:
    name = "Seeding and DNS"
    found = [condition for condition in (facts.condition("seeding"), facts.condition("dns")) if condition]
    if look := facts.failing(looks.SEEDING) or facts.failing(looks.DNS):
        return Check("kept", name, "warn", f"{_word(look)}{_since(look)}")
    if different := [condition for condition in found if condition.value == "false"]:
        tone: CheckTone = "bad" if different[0].tone == "bad" else "warn"
        return Check("kept", name, tone, different[0].reason.replace("_", " "))
    blind = any(look.is_blind(now) for look in facts.looks if look.kind in (looks.SEEDING, looks.DNS))
    if blind or any(condition.value == "unknown" for condition in found):
        return Check("kept", name, "idle", "not known")
    return Check("kept", name, "ok", "as wanted")


# --- The queue --------------------------------------------------------------------------------------------------------
def _queue(facts: Facts, now: datetime) -> Check:
    queue, name = facts.queue, "Task queue"
    if queue is None:
        return Check("queue", name, "idle", "not asked")
    if queue.trouble:
        return Check("queue", name, "bad", "not reachable")
    if queue.unserved:
        return Check("queue", name, "bad", f"no worker for {' and '.join(queue.unserved)}")
    if not queue.scheduler_alive:
        return Check("queue", name, "bad", "no scheduler")
    waiting = sum(one.depth for one in queue.queues)
    value = f"{waiting} waiting" if waiting else "nothing waits"
    stuck = [one.oldest for one in queue.queues if one.is_stuck(now) and one.oldest]
    if stuck:
        return Check("queue", name, "warn", f"{value}, the oldest since {at(min(stuck))}")
    return Check("queue", name, "ok", value)


# --- Words ------------------------------------------------------------------------------------------------------------
def _api(code: str, name: str, look: LookSeen | None, now: datetime) -> Check:
    """How an API is, as its look tells."""
    if look is None or (look.succeeded_at is None and not look.trouble):
        return Check(code, name, "idle", "not asked yet")
    if look.felt:
        limited = look.trouble is not None and look.trouble.code in ("rate_limit", "overdue")
        return Check(code, name, "warn" if limited else "bad", f"{_word(look)}{_since(look)}")
    if not look.is_fresh(now):
        return Check(code, name, "idle", _unseen(look))
    if look.trouble:
        return Check(code, name, "warn", "the last look failed")
    return Check(code, name, "ok", "answering" if look.milliseconds is None else f"answering, {look.milliseconds} ms")


def _word(look: LookSeen) -> str:
    code = look.trouble.code if look.trouble else ""
    return _CLASSES.get(code, code.replace("_", " ") or "failing")


def _since(look: LookSeen) -> str:
    return f" since {at(look.failing_since)}" if look.failing_since else ""


def _unseen(look: LookSeen) -> str:
    return f"not seen since {at(look.succeeded_at)}" if look.succeeded_at else "never seen"


def _ago(look: LookSeen, now: datetime) -> str:
    seconds = int((now - look.succeeded_at).total_seconds()) if look.succeeded_at else 0
    return f"{seconds} s ago" if seconds < 60 else f"{seconds // 60} min ago"
