"""What a Hetzner Cloud project holds besides servers: volumes, load balancers, placement groups and primary IPs.

The same token, errors and manners as `hetzner`: nothing is kept and nothing is repeated. Deleting what is not there is
no error: whoever deletes is content to find nothing.
Source: docs.hetzner.cloud; the lists are read from their documents, all pages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from workspaces.providers.errors import Permanent
from workspaces.providers.hetzner import HetznerCloud
from workspaces.providers.hetzner_errors import translated

__all__ = ["KINDS", "Kept", "KeptPrices", "Thing"]

_PER_PAGE: Final = 50
# Our word for a kind, the vendor's collection.
KINDS: Final[Mapping[str, str]] = {
    "volume": "volumes",
    "load_balancer": "load_balancers",
    "placement_group": "placement_groups",
    "primary_ip": "primary_ips",
}


@dataclass(frozen=True, slots=True)
class Thing:
    """One of them. `servers` are the ids of those it is attached to, targets, or holds.

    `size` of a volume in GB; `type` of a load balancer and of a primary IP; `address` of those two, "" without.
    A primary IP that is `auto_delete` goes with its server. While `protected`, the vendor refuses to delete it.
    """

    kind: str
    id: int
    name: str
    labels: Mapping[str, str]
    servers: tuple[int, ...] = ()
    location: str = ""
    size: int = 0
    type: str = ""
    address: str = ""
    auto_delete: bool = False
    protected: bool = False


@dataclass(frozen=True, slots=True)
class KeptPrices:
    """What they cost a month, net: a GB of a volume; a load balancer and an address by type and place."""

    currency: str
    volume_gb: Decimal
    load_balancers: Mapping[tuple[str, str], Decimal]
    primary_ips: Mapping[tuple[str, str], Decimal]

    def of(self, thing: Thing) -> Decimal | None:
        """What it costs a month at most; None: not known. A placement group costs nothing."""
        match thing.kind:
            case "volume":
                return self.volume_gb * thing.size
            case "load_balancer":
                return self.load_balancers.get((thing.type, thing.location))
            case "primary_ip":
                return self.primary_ips.get((thing.type, thing.location))
            case _:
                return Decimal(0)


class Kept:
    """All that in the project that the cloud's token belongs to."""

    def __init__(self, cloud: HetznerCloud) -> None:
        self._client = cloud._client

    def things(self, kind: str, label_selector: str = "") -> list[Thing]:
        """Every one of a kind, or those that the label selector matches."""
        nouns, read = KINDS[kind], _READ[kind]
        with translated():
            return [read(one) for one in self._every(nouns, label_selector)]

    def find(self, kind: str, id: int) -> Thing | None:
        """One as it is now; None when it is gone."""
        nouns = KINDS[kind]
        try:
            with translated():
                return _READ[kind](self._client.request("GET", f"/{nouns}/{id}")[nouns.removesuffix("s")])
        except Permanent as error:
            if error.code != "not_found":
                raise
            return None

    def delete(self, kind: str, id: int) -> bool:
        """Delete one for good; False when it was gone. Raises Permanent("conflict") when it is protected.

        A volume has to be detached before; Permanent("configuration") is the vendor's answer otherwise.
        """
        try:
            with translated():
                self._client.request("DELETE", f"/{KINDS[kind]}/{id}")
        except Permanent as error:
            if error.code != "not_found":
                raise
            return False
        return True

    def detach_volume(self, id: int) -> int:
        """Take a volume from its server; the id of the action that does it. A mounted one loses what is not written."""
        with translated():
            return int(self._client.request("POST", f"/volumes/{id}/actions/detach")["action"]["id"])

    def prices(self) -> KeptPrices:
        """What is paid for them, by list."""
        with translated():
            document = self._client.request("GET", "/pricing")["pricing"]
            return KeptPrices(
                currency=str(document["currency"]),
                volume_gb=Decimal(document["volume"]["price_per_gb_month"]["net"]),
                load_balancers=dict(_by_place(document["load_balancer_types"], "name")),
                primary_ips=dict(_by_place(document["primary_ips"], "type")),
            )

    def _every(self, nouns: str, label_selector: str) -> Iterator[Mapping[str, Any]]:
        params: dict[str, Any] = {"per_page": _PER_PAGE}
        if label_selector:
            params["label_selector"] = label_selector
        page: int | None = 1
        while page is not None:
            answer = self._client.request("GET", f"/{nouns}", params=params | {"page": page})
            yield from answer[nouns]
            page = answer["meta"]["pagination"]["next_page"]


def _by_place(rows: Any, key: str) -> Iterator[tuple[tuple[str, str], Decimal]]:
    for row in rows:
        for price in row["prices"]:
            yield (str(row[key]), str(price["location"])), Decimal(price["price_monthly"]["net"])


# --- Reading ----------------------------------------------------------------------------------------------------------
def _volume(one: Mapping[str, Any]) -> Thing:
    return Thing(
        **_common("volume", one),
        servers=(int(one["server"]),) if one["server"] is not None else (),
        location=one["location"]["name"],
        size=int(one["size"]),
        protected=bool(one["protection"]["delete"]),
    )


def _load_balancer(one: Mapping[str, Any]) -> Thing:
    return Thing(
        **_common("load_balancer", one),
        servers=tuple(dict.fromkeys(_targets(one["targets"]))),
        location=one["location"]["name"],
        type=one["load_balancer_type"]["name"],
        address=one["public_net"]["ipv4"]["ip"] or "",
        protected=bool(one["protection"]["delete"]),
    )


def _targets(targets: Any) -> Iterator[int]:
    """The servers it sends to: named, or those that a label selector has found."""
    for target in targets:
        if target["type"] == "server":
            yield int(target["server"]["id"])
        yield from _targets(target.get("targets") or ())


def _placement_group(one: Mapping[str, Any]) -> Thing:
    return Thing(**_common("placement_group", one), servers=tuple(int(id) for id in one["servers"]), type=one["type"])


def _primary_ip(one: Mapping[str, Any]) -> Thing:
    held_by_server = one["assignee_type"] == "server" and one["assignee_id"] is not None
    return Thing(
        **_common("primary_ip", one),
        servers=(int(one["assignee_id"]),) if held_by_server else (),
        location=one["location"]["name"],
        type=one["type"],
        address=one["ip"],
        auto_delete=bool(one["auto_delete"]),
        protected=bool(one["protection"]["delete"]),
    )


def _common(kind: str, one: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": kind, "id": int(one["id"]), "name": one["name"], "labels": dict(one["labels"])}


_READ: Final[Mapping[str, Callable[[Mapping[str, Any]], Thing]]] = {
    "volume": _volume,
    "load_balancer": _load_balancer,
    "placement_group": _placement_group,
    "primary_ip": _primary_ip,
}
