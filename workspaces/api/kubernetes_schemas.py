"""The shapes of `kubernetes.py`; what several addresses share is `schemas.py`."""

from __future__ import annotations

from typing import Any

from ninja import Field, Schema
from pydantic import ConfigDict, StrictStr

from workspaces.api.schemas import HopShape, Time


class VersionShape(Schema):
    """A record of the version catalogue."""

    version: str
    active: bool
    upgrade_from: str
    security: bool
    released_on: str | None
    end_of_life_on: str | None
    notes: str


class NodeShape(Schema):
    """A worker node as last seen."""

    name: str
    kubelet_version: str | None
    ready: bool | None
    unschedulable: bool
    observed_at: Time | None


class NotOfferedShape(Schema):
    """A version that is not offered, why, and how many hops the route there has (0: there is none)."""

    version: str
    code: str
    reason: str
    hops: int


class KubernetesShape(Schema):
    """The running version, where it may go, and why not elsewhere."""

    current: VersionShape | None
    running: str | None
    nodes: list[NodeShape]
    targets: list[VersionShape]
    recommended: str | None
    not_offered: list[NotOfferedShape]


class EstimateShape(Schema):
    """How long a route takes typically, and what nine of ten stay below; so many `windows` hold the latter."""

    typical_seconds: int
    p90_seconds: int
    samples: int
    windows: int


class PlanShape(Schema):
    """A route; `estimate` null: too few upgrades have been measured."""

    hops: list[HopShape]
    estimate: EstimateShape | None


class CheckShape(Schema):
    """A check: result is pass, fail or cannot_tell. `blocks`: stops a start unless it passes or its risk is taken."""

    code: str
    title: str
    result: str
    evidence: str
    observed_at: str
    blocks: bool
    acceptable: bool
    who_can_fix: str
    details: list[str]


class PreflightShape(Schema):
    """A look at what stands in the way of the hop to `target`: state is none, running, done or lost.

    While one runs, or was lost, `checks` and `blast` are those of the last one that has ended, if there is any.
    """

    target: str
    state: str
    asked_at: Time | None
    finished_at: Time | None
    error: str | None
    checks: list[CheckShape]
    blast: dict[str, Any]


class PreflightBody(Schema):
    """The version that the workspace is to move to. Further members are refused."""

    model_config = ConfigDict(extra="forbid")
    to: StrictStr


class UpgradeBody(Schema):
    """What to move to. Further members are refused."""

    model_config = ConfigDict(extra="forbid")
    version: StrictStr
    accept_risks: list[StrictStr] = Field([], description="Codes of preflight checks whose risk you take.")
    through: list[StrictStr] | None = Field(
        None, description="The versions in between, as the plan names them. None: one hop only."
    )
