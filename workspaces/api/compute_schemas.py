"""The shapes of compute profiles, of hosts with their prices, and of the bodies that order, resize and remove them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from ninja import Field, Schema
from pydantic import ConfigDict, StrictBool, StrictStr

from workspaces.api.prices import Amount
from workspaces.api.schemas import Named, Time
from workspaces.rules import host_names

# A number, be it a whole one, would have been through somebody's floating point.
ConfirmedPrice = Annotated[
    StrictStr,
    Field(
        pattern=r"^[0-9]{1,10}(\.[0-9]{1,10})?$",
        description="The agreed monthly or hourly price as it was shown: a decimal string.",
    ),
]


class PriceShape(Schema):
    """A component, net: list and agreed amount as decimal strings, and what set the agreed one (null: list applies).

    setup is once, hourly is metered up to monthly; traffic is per TB, backup and primary_ip are a month.
    """

    component: str
    list: Amount
    agreed: Amount
    currency: str
    agreement: str | None
    clause: str | None


class OfferShape(Schema):
    """A profile at a location. `available` null: not known, because the provider could not be asked lately."""

    location: str
    available: bool | None
    checked_at: Time | None
    unavailable_after: Time | None
    prices: list[PriceShape]


class ProfileShape(Schema):
    """A server type of the workspace's provider account under our own id; `memory_gb` is GiB."""

    id: UUID
    name: str
    family: str
    cores: int
    memory_gb: float
    disk_gb: int
    architecture: str
    cpu_type: str
    locations: list[OfferShape]


class ProfilesShape(Schema):
    """What the account offers (null: the workspace has none), as told at `checked_at`; `error`: why not since then."""

    provider_account: str | None
    checked_at: Time | None
    error: str | None
    items: list[ProfileShape]


class HostShape(Schema):
    """A host as it was last seen. `prices` null: what it costs is not known, which is not free."""

    id: UUID
    name: str
    workspace: Named
    profile: str | None
    location: str | None
    provider_account: str | None
    provider_id: int | None
    provider_status: str | None
    disk_gb: int | None
    node_name: str | None
    kubelet_version: str | None
    ready: bool | None
    unschedulable: bool
    observed_at: Time | None
    prices: list[PriceShape] | None


class HostsShape(Schema):
    """The hosts of a workspace, by name."""

    items: list[HostShape]


class OrderBody(Schema):
    """A host to order: one. Further members are refused."""

    model_config = ConfigDict(extra="forbid")
    hostname: StrictStr = Field(pattern=f"^{host_names.LABEL}$", max_length=63)
    compute_profile: UUID
    location: StrictStr = Field(min_length=1, max_length=40)
    confirmed_price: ConfirmedPrice


class ResizeBody(Schema):
    """What a host is to become. Further members are refused."""

    model_config = ConfigDict(extra="forbid")
    compute_profile: UUID
    grow_disk: StrictBool = Field(False, description="Cannot be undone, and rules smaller profiles out for good.")
    confirmed_price: ConfirmedPrice


class RemovalBody(Schema):
    """The name of the host, to confirm. Further members are refused."""

    model_config = ConfigDict(extra="forbid")
    confirm_name: StrictStr
