"""The shapes of answers and bodies. Times are RFC 3339 in UTC with Z, ids are UUID strings."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from ninja import Field, Schema
from pydantic import AwareDatetime, ConfigDict, PlainSerializer, StrictStr


def _utc(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


Time = Annotated[datetime, PlainSerializer(_utc, return_type=str)]


class Fault(Schema):
    """One wrong place of a body or query."""

    loc: list[str]
    msg: str
    code: str


class ProblemDocument(Schema):
    """RFC 9457; `errors` with 422, further members with some refusals."""

    model_config = ConfigDict(extra="allow")
    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[Fault] = []


class Named(Schema):
    """Something by its id and name."""

    id: UUID
    name: str


class MembershipShape(Schema):
    """A role and where it applies; `project` null: on the whole organization."""

    organization: Named
    project: Named | None
    role: str
    permissions: list[str]


class Me(Schema):
    """Who calls."""

    kind: str
    name: str
    email: str | None
    is_superuser: bool
    memberships: list[MembershipShape]


class ProjectShape(Schema):
    """A project of an organization."""

    id: UUID
    name: str
    organization: Named
    cost_center: str


class WindowShape(Schema):
    """A maintenance window."""

    lane: str
    opens_at: Time


class ConditionShape(Schema):
    """One aspect of health; value is true, false or unknown, and never true where it was not seen lately.

    `observed_at`: the oldest of the looks it rests on, null before they were all made. `error_class`: a class of
    trouble where that is the reason. The condition `fresh` says whether all looks are made in time.
    """

    type: str
    value: str
    reason: str
    message: str
    error_class: str | None
    who_can_fix: str | None
    since: Time | None
    observed_at: Time | None
    next_look_at: Time | None


class DiagnosisCheckShape(Schema):
    """A line of evidence; tone is ok, warn, bad or idle (not known). `note`: another check explains it."""

    code: str
    name: str
    tone: str
    value: str
    note: str | None


class DiagnosisShape(Schema):
    """Why a workspace is not well. What the queue tells is part of it for keys that may see the queue."""

    cause: str
    headline: str
    explanation: str
    since: Time | None
    who_can_fix: str | None
    next_step: str | None
    checks: list[DiagnosisCheckShape]


class OperationReference(Schema):
    """An operation in short."""

    id: UUID
    kind: str
    state: str
    title: str


class WorkspaceSummary(Schema):
    """A row of the fleet."""

    id: UUID
    name: str
    type: str
    state: str
    project: Named
    organization: Named
    kubernetes_version: str | None
    attention: str | None
    observed_at: Time | None


class WorkspaceShape(WorkspaceSummary):
    """A workspace whole. `diagnosis` null: nobody has to look, and everything is seen.

    `protected`: its deletion is refused. `receipt`: the address of what became of it, once it is deleted.
    """

    protected: bool
    conditions: list[ConditionShape]
    diagnosis: DiagnosisShape | None
    next_maintenance: WindowShape | None
    open_operation: OperationReference | None
    receipt: str | None


class StepShape(Schema):
    """One step, as the page shows it.

    `hop` counts the upgrades of an operation that makes several, from 1. `cause` (a code) and `who_can_fix` say what
    holds it up or why it failed, where that is known; `skipped_by` who left its host out, and the message then why.
    """

    title: str
    host: str | None
    hop: int | None
    state: str
    attempts: int
    started_at: Time | None
    finished_at: Time | None
    message: str
    cause: str | None
    who_can_fix: str | None
    skipped_by: str | None


class ErrorShape(Schema):
    """Why an operation ended without success."""

    code: str
    message: str
    who_can_fix: str


class OperationSummary(OperationReference):
    """A row of the list of operations."""

    workspace: Named
    requested_by: str
    created_at: Time
    started_at: Time | None
    finished_at: Time | None
    irreversible_since: Time | None
    stop_requested_at: Time | None
    error: ErrorShape | None


class HopShape(Schema):
    """One upgrade of a route."""

    from_: str = Field(serialization_alias="from")
    to: str
    workers_move: bool
    reason: str


class AcceptedRiskShape(Schema):
    """A preflight check that does not stop the operation, because somebody answers for it."""

    code: str
    by: str
    at: Time


class OperationShape(OperationSummary):
    """An operation with its steps; `hops` are the upgrades that it makes, none for other work."""

    hops: list[HopShape]
    accepted_risks: list[AcceptedRiskShape]
    steps: list[StepShape]


class RetryBody(Schema):
    """Codes of preflight checks whose risk the caller takes. Further members are refused."""

    model_config = ConfigDict(extra="forbid")
    accept_risks: list[StrictStr] = []


class SkipBody(Schema):
    """Which host is left as it is, and why. Further members are refused."""

    model_config = ConfigDict(extra="forbid")
    host: StrictStr = Field(min_length=1, max_length=63)
    reason: StrictStr = Field(min_length=1, max_length=200, pattern=r"\S")


class ForecastShape(WindowShape):
    """What a coming window would do."""

    would: list[str]
    reasons: list[dict[str, str]]
    blocked_by: list[dict[str, str]]


class ReasonShape(Schema):
    """Why something happens or does not: a stable code and a sentence."""

    code: str
    message: str


class EvidenceShape(Schema):
    """All there was to go by; `limit` and `place` (1 is next) while the work waits for a place."""

    work: list[str]
    reasons: list[ReasonShape]
    blocked_by: list[ReasonShape]
    limit: str | None
    place: int | None


class DecisionShape(WindowShape):
    """What a window did or did not do, and why."""

    id: UUID
    outcome: str
    reason: str
    message: str
    evidence: EvidenceShape
    operation: UUID | None
    decided_at: Time


class HoldBody(Schema):
    """Where (none: the platform), why, and until when. Further members are refused."""

    model_config = ConfigDict(extra="forbid")
    workspace: UUID | None = None
    project: UUID | None = None
    organization: UUID | None = None
    reason: StrictStr = Field(min_length=1, max_length=200)
    starts_at: AwareDatetime | None = Field(None, description="None: now.")
    expires_at: AwareDatetime = Field(description="At most 90 days after its start.")


class HoldShape(Schema):
    """Automatic work is stopped in one place (all three null: the platform) from `starts_at` until `expires_at`."""

    id: UUID
    level: str
    organization: Named | None
    project: Named | None
    workspace: Named | None
    reason: str
    set_by: str
    starts_at: Time
    expires_at: Time
    in_force: bool
    lifted_at: Time | None
    lifted_by: str | None


class Page[Item](Schema):
    """One page of a list; `next_cursor` null on the last."""

    items: list[Item]
    next_cursor: str | None
