"""How a cause is put: from a look that fails, or from a condition; the words that all of them share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from workspaces.rules.diagnosis_facts import Cause, Facts, Link
from workspaces.rules.health_freshness import ConditionSeen, LookSeen
from workspaces.rules.health_seen import at
from workspaces.rules.trouble import WHO_CAN_FIX

GOES_ON: Final = "Workloads keep running; changes and the repair of drift wait."
MOST_LIKELY: Final = "Most likely cause: "
Tone = Literal["bad", "warn"]
Finder = Callable[[Facts, datetime], Cause | None]


def cause(
    code: str,
    headline: str,
    explanation: str,
    check: str,
    since: datetime | None,
    who: str = "",
    step: str = "",
    link: Link = "",
    link_pk: UUID | None = None,
    *,
    tone: Tone = "bad",
) -> Cause:
    return Cause(code, f"{MOST_LIKELY}{headline}", explanation, check, since, who, step, link, link_pk, tone)


def failed(
    look: LookSeen,
    code: str,
    headline: str,
    explanation: str,
    check: str,
    step: str = "",
    link: Link = "",
    link_pk: UUID | None = None,
) -> Cause:
    """The cause that a look's failure shows; the next look that succeeds takes it back."""
    trouble = look.trouble
    who = (trouble.who_can_fix or WHO_CAN_FIX.get(trouble.code, "")) if trouble else ""
    text = (
        f"{explanation} The next look is due at {at(look.due_at)}; once one succeeds, all of this goes away by itself."
    )
    return cause(code, headline, text, check, look.failing_since, who, step, link, link_pk)


def of(
    seen: ConditionSeen,
    code: str,
    headline: str,
    explanation: str,
    check: str,
    step: str = "",
    link: Link = "",
    *,
    tone: Tone = "bad",
) -> Cause:
    """The cause that a condition shows."""
    return cause(code, headline, explanation, check, seen.since, seen.who_can_fix, step, link, tone=tone)


def tried(look: LookSeen) -> str:
    """`The last 14 looks have failed, since 24 Nov 13:51 UTC. Hetzner account kestrel: …`"""
    said = look.trouble.message if look.trouble else ""
    times = "The last look has failed." if look.failures <= 1 else f"The last {look.failures} looks have failed."
    return f"{times} {said}".strip()


def how(code: str) -> str:
    words = {
        "unreachable": "does not answer",
        "rate_limit": "limits our calls",
        "cloud_api": "answers with errors",
        "not_found": "does not have what is looked for",
        "conflict": "is busy with another change",
        "configuration": "cannot be asked as things are set up",
        "credential": "refuses the stored credential",
    }
    return words.get(code, "cannot be asked")
