"""Hetzner Cloud's objects as plain values, and how they are read from the SDK's. Nobody is asked here.

Source: docs.hetzner.cloud; hcloud-python 2.27.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True)
class Server:
    """A server: `status` in Hetzner's words (running, off, …), `created` in UTC, `disk` of its own in GB.

    `ipv4` is "" where it has no such address. While it is `locked` another action runs and refuses ours.
    """

    id: int
    name: str
    status: str
    server_type: str
    location: str
    labels: Mapping[str, str]
    created: datetime
    ipv4: str = ""
    disk: int = 0
    locked: bool = False

    @classmethod
    def of(cls, server: Any) -> "Server":
        """From the SDK's."""
        address = server.public_net.ipv4
        return cls(
            id=server.id,
            name=server.name,
            status=server.status,
            server_type=server.server_type.name,
            location=server.location.name,
            labels=dict(server.labels),
            created=server.created.astimezone(UTC),
            ipv4=address.ip if address else "",
            disk=int(server.primary_disk_size),
            locked=bool(server.locked),
        )

    @classmethod
    def of_document(cls, server: Mapping[str, Any]) -> "Server":
        """From the API's own document of it."""
        address = server["public_net"]["ipv4"]
        return cls(
            id=int(server["id"]),
            name=server["name"],
            status=server["status"],
            server_type=server["server_type"]["name"],
            location=server["location"]["name"],
            labels=dict(server["labels"]),
            created=datetime.fromisoformat(server["created"]).astimezone(UTC),
            ipv4=address["ip"] if address else "",
            disk=int(server["primary_disk_size"]),
            locked=bool(server["locked"]),
        )


@dataclass(frozen=True, slots=True)
class Action:
    """Something that was begun: `status` running, success or error. Errors have Hetzner's code and words.

    `command` is Hetzner's word for what it does, such as create_server; `finished` (UTC) is None while it runs;
    `servers` are the ids of those it is about.
    """

    id: int
    status: str
    error_code: str = ""
    error_message: str = ""
    command: str = ""
    finished: datetime | None = None
    servers: tuple[int, ...] = ()

    @classmethod
    def of(cls, action: Any) -> "Action":
        """From the SDK's."""
        error = action.error or {}
        code, said = str(error.get("code", "")), str(error.get("message", ""))
        finished = action.finished.astimezone(UTC) if action.finished else None
        servers = tuple(one["id"] for one in action.resources or () if one["type"] == "server")
        return cls(action.id, action.status, code, said, str(action.command), finished, servers)


@dataclass(frozen=True, slots=True)
class Price:
    """What a server type costs at a location, net, in `Pricing.currency`. `included_traffic` in bytes a month."""

    hourly: Decimal
    monthly_cap: Decimal
    included_traffic: int
    traffic_per_tb: Decimal

    @classmethod
    def of(cls, price: Mapping[str, Any]) -> "Price":
        """From the document of one location."""
        return cls(
            hourly=Decimal(price["price_hourly"]["net"]),
            monthly_cap=Decimal(price["price_monthly"]["net"]),
            included_traffic=int(price["included_traffic"]),
            traffic_per_tb=Decimal(price["price_per_tb_traffic"]["net"]),
        )


@dataclass(frozen=True, slots=True)
class Offer:
    """A server type at one location: whether it can be ordered now, until when at all, and for how much.

    `announced` is when its end there was announced.
    """

    location: str
    available: bool
    recommended: bool
    unavailable_after: datetime | None
    price: Price | None
    announced: datetime | None = None

    def orderable(self, now: datetime) -> bool:
        """Whether a server of that type can be created there at that time."""
        return self.available and (self.unavailable_after is None or now < self.unavailable_after)


@dataclass(frozen=True, slots=True)
class ServerType:
    """A size on offer. Memory and disk in GB; `architecture` x86 or arm; `cpu_type` shared or dedicated."""

    id: int
    name: str
    cores: int
    memory: float
    disk: int
    architecture: str
    cpu_type: str
    storage_type: str
    offers: tuple[Offer, ...]

    @classmethod
    def of(cls, kind: Any) -> "ServerType":
        """From the SDK's."""
        prices = {price["location"]: Price.of(price) for price in kind.prices}
        return cls(
            id=kind.id,
            name=kind.name,
            cores=int(kind.cores),
            memory=float(kind.memory),
            disk=int(kind.disk),
            architecture=kind.architecture,
            cpu_type=kind.cpu_type,
            storage_type=kind.storage_type,
            offers=tuple(_offer(offer, prices.get(offer.location.name)) for offer in kind.locations),
        )


def _offer(offer: Any, price: Price | None) -> Offer:
    end = offer.deprecation
    return Offer(
        location=offer.location.name,
        available=bool(offer.available),
        recommended=bool(offer.recommended),
        unavailable_after=end.unavailable_after if end else None,
        price=price,
        announced=end.announced if end else None,
    )


@dataclass(frozen=True, slots=True)
class Pricing:
    """What server types do not carry: the ISO 4217 currency of every price, and what comes on top of a server.

    A backup costs `backup_percent` of the server's monthly price; `primary_ipv4` is a month's net price by location.
    """

    currency: str
    backup_percent: Decimal
    primary_ipv4: Mapping[str, Decimal]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Pricing":
        """From the document `pricing` of `GET /pricing`."""
        addresses = (kind for kind in document["primary_ips"] if kind["type"] == "ipv4")
        return cls(
            currency=str(document["currency"]),
            backup_percent=Decimal(document["server_backup"]["percentage"]),
            primary_ipv4={
                price["location"]: Decimal(price["price_monthly"]["net"])
                for kind in addresses
                for price in kind["prices"]
            },
        )


@dataclass(frozen=True, slots=True)
class PlacementGroup:
    """Servers that are kept on different machines; `servers` is how many are in it."""

    id: int
    name: str
    labels: Mapping[str, str]
    servers: int


@dataclass(frozen=True, slots=True)
class Location:
    """A place: `network_zone` is eu-central, us-east, us-west or ap-southeast; `country` an ISO 3166 code."""

    id: int
    name: str
    city: str
    country: str
    network_zone: str
