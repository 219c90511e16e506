"""Why a workspace is not well: the most likely cause, with the evidence, who can fix it and what to do next.

Pure. Causes are looked for from the most far-reaching on: `diagnosis_blind` where something could not be looked at,
`diagnosis_seen` where what was seen is not well; `diagnosis_checks` lists the evidence. What no cause explains is said
to be not known. (Why a step of an operation hangs is another matter: `operations/diagnosis.py`.)
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from workspaces.rules import diagnosis_blind, diagnosis_seen
from workspaces.rules.diagnosis_causes import Finder
from workspaces.rules.diagnosis_checks import checks_of
from workspaces.rules.diagnosis_facts import Cause, Diagnosis, Facts

CAUSES: Final[Sequence[Finder]] = (
    diagnosis_blind.platform_down,
    diagnosis_blind.queue_stuck,
    diagnosis_blind.management_cluster,
    diagnosis_seen.control_plane,
    diagnosis_blind.cluster,
    diagnosis_seen.servers,
    diagnosis_seen.hosts,
    diagnosis_blind.cloud,
    diagnosis_blind.seeding_look,
    diagnosis_seen.seeding,
    diagnosis_blind.overdue,
    diagnosis_blind.first_look,
    diagnosis_seen.dns,
    diagnosis_seen.drift,
    diagnosis_seen.certificates,
    diagnosis_seen.operation,
)


def diagnose(facts: Facts, now: datetime) -> Diagnosis | None:
    """The diagnosis; None where nobody has to look and everything is seen."""
    if not facts.attention and not [look for look in facts.blind(now) if not look.is_new]:
        return None
    cause = next((found for finder in CAUSES if (found := finder(facts, now))), None) or _not_known(facts)
    return Diagnosis(
        cause=cause.code,
        headline=cause.headline,
        explanation=cause.explanation,
        since=cause.since,
        who_can_fix=cause.who_can_fix,
        next_step=cause.next_step,
        link=cause.link,
        link_pk=cause.link_pk,
        checks=checks_of(facts, now, cause.check),
        tone=cause.tone,
    )


def _not_known(facts: Facts) -> Cause:
    """Said as it is: what a person would only be led astray by is not said."""
    since = min((seen.since for seen in facts.conditions if seen.since and seen.value != "true"), default=None)
    said = facts.attention or "Not everything could be looked at."
    return Cause("not_known", "The cause is not known", said, "", since, tone="warn")
