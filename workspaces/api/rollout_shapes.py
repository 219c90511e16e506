"""The shapes of rollouts; what they share with others is `schemas`."""

from __future__ import annotations

from uuid import UUID

from ninja import Field, Schema
from pydantic import ConfigDict, StrictBool, StrictInt, StrictStr

from workspaces.api.schemas import HopShape, Named, ReasonShape, Time
from workspaces.rules.rollout import LIMITS, MOST


class RolloutBody(Schema):
    """One version for workspaces in the order given: the first are the canary. Further members are refused."""

    model_config = ConfigDict(extra="forbid")
    version: StrictStr
    workspaces: list[UUID] = Field(min_length=1, max_length=MOST)
    canary: StrictInt = Field(1, ge=LIMITS["canary"][0], le=LIMITS["canary"][1])
    at_once: StrictInt = Field(3, ge=LIMITS["at_once"][0], le=LIMITS["at_once"][1])
    stop_after: StrictInt = Field(1, ge=LIMITS["stop_after"][0], le=LIMITS["stop_after"][1])
    soak_minutes: StrictInt = Field(0, ge=LIMITS["soak_minutes"][0], le=LIMITS["soak_minutes"][1])
    several_hops: StrictBool = False
    accept_risks: list[StrictStr] = []
    dry_run: StrictBool = Field(False, description="True: 200 with what would become of each, and nothing begins.")


class RolloutCounts(Schema):
    """How many members are in each state, those of workspaces that the caller does not see too."""

    waiting: int
    running: int
    succeeded: int
    failed: int
    refused: int
    left_out: int


class RolloutSummary(Schema):
    """A rollout: what was asked for, and how far it is."""

    id: UUID
    title: str
    version: str
    canary: int
    at_once: int
    stop_after: int
    soak_minutes: int
    several_hops: bool
    accept_risks: list[str]
    state: str
    state_reason: str
    requested_by: str
    created_at: Time
    canary_passed_at: Time | None
    finished_at: Time | None
    counts: RolloutCounts


class RolloutMemberShape(Schema):
    """A workspace of a rollout; `message` says why it waits, was refused or failed."""

    workspace: Named
    canary: bool
    state: str
    message: str
    operation: UUID | None


class RolloutShape(RolloutSummary):
    """With its members in order; `hidden` are those of workspaces that the caller does not see."""

    next: str = Field(description="What it does or waits for now, in a sentence.")
    members: list[RolloutMemberShape]
    hidden: int


class EstimateShape(Schema):
    """Seconds: what it takes typically, and what nine of ten stay below, judged from so many upgrades."""

    typical: float
    p90: float
    samples: int


class RolloutPreviewShape(Schema):
    """What would become of a workspace: `upgrade`, `refused` or `runs_it`; `estimate` null: not known yet."""

    workspace: Named
    outcome: str
    hops: list[HopShape]
    refused: ReasonShape | None
    waits_for: str
    estimate: EstimateShape | None


class RolloutPreviews(Schema):
    """The answer to `dry_run`."""

    version: str
    would: list[RolloutPreviewShape]
