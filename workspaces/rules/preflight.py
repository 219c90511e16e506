"""What could stand in an upgrade's way, judged from what was seen: checks with evidence, and which of them stop it.

Blind is never green: what could not be asked is "cannot_tell", for that check only. The questions themselves are
`preflight_questions.py` and `preflight_hosts.py`, asking is `operations/preflight.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from workspaces.rules import preflight_hosts as hosts
from workspaces.rules import preflight_questions as questions
from workspaces.rules.blast import short
from workspaces.rules.preflight_questions import Answer, Result
from workspaces.rules.preflight_seen import Seen
from workspaces.rules.upgrades import Hop

type Risk = frozenset[Result]
NONE: Final[Risk] = frozenset()
BLIND: Final[Risk] = frozenset({"cannot_tell"})
ANY: Final[Risk] = frozenset({"fail", "cannot_tell"})


@dataclass(frozen=True, slots=True)
class Check:
    """One question and its answer.

    `blocks`: anything but "pass" stops a person's start; without it, it is a warning. `acceptable`: a person may take
    the risk of this result. `details` are names, at most 20 and how many more there are.
    """

    code: str
    title: str
    result: Result
    evidence: str
    observed_at: datetime
    blocks: bool
    acceptable: bool
    who_can_fix: str = ""
    details: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """As JSON; the time in RFC 3339 with a Z."""
        return asdict(self) | {
            "observed_at": self.observed_at.isoformat().replace("+00:00", "Z"),
            "details": list(self.details),
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Check:
        """From what `document` made."""
        at = datetime.fromisoformat(document["observed_at"])
        return cls(**(dict(document) | {"observed_at": at, "details": tuple(document["details"])}))


@dataclass(frozen=True, slots=True)
class Question:
    """How a check is asked: its title, its function, whether it blocks, and which of its results may be accepted."""

    title: str
    answer: Callable[[Seen, Hop, datetime], Answer]
    blocks: bool
    acceptable: Risk


QUESTIONS: Final[Mapping[str, Question]] = {
    "control_plane": Question("The control plane is ready to move", questions.control_plane, True, BLIND),
    "data_store": Question("Its data store is ready", questions.data_store, True, BLIND),
    "no_open_operation": Question("Nothing else is under way", questions.no_open_operation, True, NONE),
    "nodes_ready": Question("Every host is Ready", hosts.nodes_ready, True, ANY),
    "version_skew": Question("The new version serves every kubelet", hosts.version_skew, True, NONE),
    "credentials": Question("Credentials are accepted", questions.credentials, True, BLIND),
    "hosts_reachable": Question("Hosts answer over SSH", hosts.hosts_reachable, True, ANY),
    "disruption_budgets": Question("Disruption budgets let hosts be drained", hosts.disruption_budgets, True, ANY),
    "admission_webhooks": Question("Admission webhooks answer", questions.admission_webhooks, False, ANY),
    "deprecated_apis": Question("The new version has every API in use", questions.deprecated_apis, True, ANY),
    "control_plane_replicas": Question(
        "The API server answers throughout", questions.control_plane_replicas, False, ANY
    ),
    "capacity": Question("Pods find room on the other hosts", hosts.room_elsewhere, False, ANY),
    "pinned_addons": Question("Add-ons move along", questions.pinned_addons, False, ANY),
}
CODES: Final = tuple(QUESTIONS)
TITLES: Final[Mapping[str, str]] = {code: question.title for code, question in QUESTIONS.items()}
# Checks of which some result may be accepted at all.
ACCEPTABLE: Final = frozenset(code for code, question in QUESTIONS.items() if question.acceptable)


def judge(seen: Seen, hop: Hop, now: datetime) -> list[Check]:
    """All checks of the hop, in the order of CODES; `now` is when it was looked."""
    return [_check(code, question, question.answer(seen, hop, now), now) for code, question in QUESTIONS.items()]


def _check(code: str, question: Question, answer: Answer, now: datetime) -> Check:
    return Check(
        code=code,
        title=question.title,
        result=answer.result,
        evidence=answer.evidence,
        observed_at=now,
        blocks=question.blocks,
        acceptable=answer.result in question.acceptable,
        who_can_fix=answer.who_can_fix,
        details=tuple(short(answer.details)),
    )


def stopping(checks: Sequence[Check], *, accepted: Collection[str], automatic: bool) -> list[Check]:
    """The checks because of which an upgrade may not begin.

    A person is stopped by what blocks and has not passed, unless they may accept its result and have. Automatic work is
    besides stopped by everything that cannot be told, a warning too: nobody is there to answer for it.
    """
    return [check for check in checks if _stops(check, accepted, automatic)]


def _stops(check: Check, accepted: Collection[str], automatic: bool) -> bool:
    if automatic and check.result == "cannot_tell":
        return True
    taken = check.acceptable and check.code in accepted
    return check.blocks and check.result != "pass" and not taken


def summary(checks: Sequence[Check]) -> str:
    """ "11 passed, 1 failed, 1 cannot tell"; what there is none of is left out."""
    words: dict[Result, str] = {"pass": "passed", "fail": "failed", "cannot_tell": "cannot tell"}
    counts = {result: sum(check.result == result for check in checks) for result in words}
    return ", ".join(f"{counts[result]} {word}" for result, word in words.items() if counts[result])
