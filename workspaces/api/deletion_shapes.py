"""The shapes of deletions: what would be removed, what was agreed to, and the receipt."""

from __future__ import annotations

from uuid import UUID

from ninja import Field, Schema
from pydantic import ConfigDict, StrictBool, StrictInt, StrictStr

from workspaces.api.prices import Amount
from workspaces.api.schemas import Time

# PostgreSQL keeps no text with a zero character in it.
_TEXT = r"^[^\x00]*$"


class DeletionBody(Schema):
    """The name confirms. `hours` until it begins: at least the policy's, which none means. No further members."""

    model_config = ConfigDict(extra="forbid")
    confirm_name: StrictStr
    acknowledge_backups: StrictBool = Field(
        description="True: what is needed of its manifests, data and secrets has been kept elsewhere."
    )
    reason: StrictStr = Field("", max_length=200, pattern=_TEXT)
    hours: StrictInt | None = Field(None, ge=0)
    fingerprint: StrictStr | None = Field(None, description="Of the plan that was read: another one is not agreed to.")


class ForgetBody(Schema):
    """The name confirms; the reason stands in the receipt and in the audit trail. No further members."""

    model_config = ConfigDict(extra="forbid")
    confirm_name: StrictStr
    reason: StrictStr = Field(max_length=200, pattern=_TEXT)


class ProtectionBody(Schema):
    """Whether its deletion is refused. Further members are refused."""

    model_config = ConfigDict(extra="forbid")
    protected: StrictBool


class ProtectionShape(Schema):
    """Whether its deletion is refused."""

    protected: bool


class CostShape(Schema):
    """What things cost a month at most, net, at list and agreed price."""

    currency: str
    list: Amount
    agreed: Amount


class ItemShape(Schema):
    """One thing that belongs to the workspace or touches it; `ref` is the vendor's id, or the key of our row.

    `account`: the key of its provider account, "" for none. Not `ours`: not under the workspace's label, so it stays
    whatever the policy says. `cost` null: it costs nothing, or its price is not known.
    """

    part: str
    kind: str
    ref: str
    name: str
    detail: str
    account: str
    account_name: str
    cost: CostShape | None
    ours: bool
    note: str


class NotAskedShape(Schema):
    """Something that did not answer: what of these parts exists there is not known. `account` "": Kubernetes."""

    parts: list[str]
    what: str
    code: str
    message: str
    who_can_fix: str
    account: str


class PlannedStepShape(Schema):
    """One step in order; `irreversible`: what goes with it is gone for good."""

    step: str
    label: str
    action: str = Field(description="delete or keep")
    irreversible: bool
    items: list[ItemShape]
    not_asked: list[NotAskedShape]


class PlanShape(Schema):
    """What is removed and kept by name; `outside` stays whatever the policy says. `looked_at` null: never looked.

    `unpriced` counts what is removed, costs something and is in no sum, because its price is not known.
    """

    steps: list[PlannedStepShape]
    outside: list[ItemShape]
    not_asked: list[NotAskedShape]
    stops_costing: list[CostShape]
    goes_on_costing: list[CostShape]
    unpriced: int
    looked_at: Time | None


class InventoryShape(Schema):
    """How far the world has been looked at; only what is `fresh` can be agreed to. `error`: why a look broke off."""

    looked_at: Time | None
    fresh: bool
    under_way: bool
    error: str | None


class SafeguardShape(Schema):
    """What stands between the asking and the deletion; tone is ok, warn, bad or idle. `note`: what would help."""

    code: str
    label: str
    tone: str
    value: str
    note: str
    blocks: bool


class PolicyStepShape(Schema):
    """A step of the policy and what becomes of what it is about: delete or keep."""

    step: str
    action: str


class PolicyShape(Schema):
    """The policy of the organization, else of the platform."""

    steps: list[PolicyStepShape]
    grace_hours: int
    second_person: bool


class DeletionShape(Schema):
    """One deletion, an undone one too. `state`: scheduled, undone, running, done or forgotten.

    `begins_at`: not before this moment, nor before a second person has agreed where `needs_approval`.
    """

    id: UUID
    state: str
    requested_by: str
    requested_at: Time
    reason: str
    begins_at: Time
    needs_approval: bool
    approved_by: str | None
    approved_at: Time | None
    operation: UUID | None
    undone_by: str | None
    undone_at: Time | None
    ended_at: Time | None


class DeletionDocument(Schema):
    """The deletion of a workspace. `state` null: none is scheduled, and `plan` is what one would remove now.

    Otherwise `plan` is what was agreed to, and `safeguards` and what a look would add are history: the list is empty.
    `deletion` is the newest, an undone one too. `receipt`: whether there is one.
    """

    state: str | None
    workspace_state: str
    protected: bool
    plan: PlanShape
    fingerprint: str
    inventory: InventoryShape
    safeguards: list[SafeguardShape]
    policy: PolicyShape
    deletion: DeletionShape | None
    receipt: bool


class RemovedShape(ItemShape):
    """Something that is gone, and since when."""

    at: Time | None


class LeftOverShape(ItemShape):
    """Something that is still there although nobody decided to keep it, and why."""

    why: str


class ForgottenShape(Schema):
    """Who gave the workspace up, although not everything of it was gone."""

    by: str
    at: Time
    reason: str


class ReceiptShape(Schema):
    """What became of it. `left_over` and `kept` are by the providers' own listing, unless it was `forgotten`."""

    removed: list[RemovedShape]
    kept: list[ItemShape]
    left_over: list[LeftOverShape]
    not_asked: list[NotAskedShape]
    stops_costing: list[CostShape]
    goes_on_costing: list[CostShape]
    by: str
    requested_at: Time
    begun_at: Time | None
    ended_at: Time
    forgotten: ForgottenShape | None


class ForgetShape(Schema):
    """What would stay behind if the workspace were forgotten now, as far as is known: `kept` by the policy, as agreed,
    and `stays`, which was to be removed. Both go on costing.
    """

    stays: list[ItemShape]
    kept: list[ItemShape]
    goes_on_costing: list[CostShape]
