"""What the simulated Hetzner Cloud sells: locations, server types, images, prices. Prices are our own invention.

Shaped as the API of November 2026: no data centres, availability and deprecation per location
(https://docs.hetzner.cloud/changelog#2026-04-01-datacenter-deprecations).

What is sold can be changed while the world runs, for all projects at once, by two nouns of the world:

    world.add({"hetzner_types": {"ccx23": {"available": ["fsn1"], "monthly": "30.00"}, "cx43": {"withdrawn": True}}})
    world.add({"hetzner_pricing": {"currency": "USD", "backup_percent": "25", "primary_ipv4": "0.60"}})

Each replaces what it said before (also of types it does not name), is kept over a restart, and is cleared by {}.
Of a type all are optional: `available` (locations where it can be ordered), `locations` (where it exists at all),
`monthly` (net, of Europe: the surcharges of other locations and the hourly price follow from it), `hourly` (net,
instead), `traffic` (per TB, net, the same everywhere), `deprecation` (`{"announced", "unavailable_after"}`, or None),
`withdrawn` (True: it is neither listed nor sold any more; servers that are of it stay and show it).
Raises ValueError for a type, a location or a field that there is not.
"""

from collections.abc import Collection, Mapping
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any, Final

from .hetzner_protocol import Document

type Row = tuple[int, str, str, int, int, int, str, tuple[str, ...], str]

VAT: Final = Decimal("0.19")
# The hourly price is the monthly one over 624 hours, rounded to four places.
HOURS_A_MONTH: Final = 624
TB: Final = 1024**4
EUROPE: Final = ("fsn1", "nbg1", "hel1")
EVERYWHERE: Final = (*EUROPE, "ash", "hil", "sin")
# Location -> (price factor, included traffic in TB).
SURCHARGE: Final = {"ash": ("1.10", 2), "hil": ("1.10", 2), "sin": ("1.35", 1)}

LOCATIONS: Final = [
    (1, "fsn1", "Falkenstein DC Park 1", "DE", "Falkenstein", 50.47612, 12.370071, "eu-central"),
    (2, "nbg1", "Nuremberg DC Park 1", "DE", "Nuremberg", 49.452102, 11.076665, "eu-central"),
    (3, "hel1", "Helsinki DC Park 1", "FI", "Helsinki", 60.169855, 24.938379, "eu-central"),
    (4, "ash", "Ashburn, VA", "US", "Ashburn, VA", 39.045821, -77.487073, "us-east"),
    (5, "hil", "Hillsboro, OR", "US", "Hillsboro, OR", 45.54222, -122.951924, "us-west"),
    (6, "sin", "Singapore", "SG", "Singapore", 1.283333, 103.833333, "ap-southeast"),
]
# id, name, category, cores, memory, disk, monthly price, where it exists, where it can be ordered today.
TYPES: Final[list[Row]] = [
    (104, "cx22", "Cost-Optimized", 2, 4, 40, "3.79", EUROPE, ""),
    (114, "cx23", "Cost-Optimized", 2, 4, 40, "3.99", EUROPE, "fsn1 hel1"),
    (115, "cx33", "Cost-Optimized", 4, 8, 80, "6.49", EUROPE, "fsn1 nbg1 hel1"),
    (116, "cx43", "Cost-Optimized", 8, 16, 160, "11.99", EUROPE, "nbg1"),
    (24, "cpx31", "Regular Performance", 4, 8, 160, "16.49", EVERYWHERE, "fsn1 nbg1"),
    (120, "cpx22", "Regular Performance", 2, 4, 80, "7.49", EVERYWHERE, "fsn1 nbg1 hel1 ash hil sin"),
    (121, "cpx32", "Regular Performance", 4, 8, 160, "12.99", EVERYWHERE, "fsn1 nbg1 hel1 ash hil sin"),
    (122, "cpx42", "Regular Performance", 8, 16, 320, "23.49", EVERYWHERE, "fsn1 nbg1 hel1 hil sin"),
    (123, "cpx52", "Regular Performance", 12, 24, 480, "33.99", EVERYWHERE, "fsn1 nbg1 hil sin"),
    (93, "cax21", "Cost-Optimized", 4, 8, 80, "7.49", EUROPE, "fsn1 nbg1 hel1"),
    (94, "cax31", "Cost-Optimized", 8, 16, 160, "14.49", EUROPE, "fsn1 hel1"),
    (95, "cax41", "Cost-Optimized", 16, 32, 320, "28.49", EUROPE, ""),
    (96, "ccx13", "General Purpose", 2, 8, 80, "14.49", EVERYWHERE, "fsn1 nbg1 hel1 ash hil"),
    (97, "ccx23", "General Purpose", 4, 16, 160, "28.49", EVERYWHERE, "fsn1 nbg1 hel1 ash hil"),
    (98, "ccx33", "General Purpose", 8, 32, 240, "56.49", EVERYWHERE, "fsn1 hel1 ash hil"),
    (99, "ccx43", "General Purpose", 16, 64, 360, "112.49", EVERYWHERE, "fsn1 hel1 ash"),
    (100, "ccx53", "General Purpose", 32, 128, 600, "224.49", EVERYWHERE, "hel1"),
    (101, "ccx63", "General Purpose", 48, 192, 960, "336.49", EVERYWHERE, ""),
]
# cx22 is gone for good; cpx31 can be ordered where there still are some, until the end of the year.
DEPRECATIONS: Final = {
    "cx22": {"announced": "2026-06-01T00:00:00Z", "unavailable_after": "2026-10-01T00:00:00Z"},
    "cpx31": {"announced": "2026-09-15T00:00:00Z", "unavailable_after": "2026-12-31T00:00:00Z"},
}
# id, name, description, flavour, version, architecture.
IMAGES: Final = [
    (114690387, "debian-12", "Debian 12", "debian", "12", "x86"),
    (114690389, "debian-12", "Debian 12", "debian", "12", "arm"),
    (310557660, "debian-13", "Debian 13", "debian", "13", "x86"),
    (310557661, "debian-13", "Debian 13", "debian", "13", "arm"),
    (161547269, "ubuntu-24.04", "Ubuntu 24.04", "ubuntu", "24.04", "x86"),
    (161547270, "ubuntu-24.04", "Ubuntu 24.04", "ubuntu", "24.04", "arm"),
    (372300101, "ubuntu-26.04", "Ubuntu 26.04", "ubuntu", "26.04", "x86"),
    (372300102, "ubuntu-26.04", "Ubuntu 26.04", "ubuntu", "26.04", "arm"),
    (310557700, "rocky-10", "Rocky Linux 10", "rocky", "10", "x86"),
    (310557701, "rocky-10", "Rocky Linux 10", "rocky", "10", "arm"),
]


@cache
def locations() -> dict[str, Document]:
    """Name -> location document."""
    keys = ("id", "name", "description", "country", "city", "latitude", "longitude", "network_zone")
    return {row[1]: dict(zip(keys, row, strict=True)) for row in LOCATIONS}


# What the world says instead of the constants above. One process is one world, with one catalogue for all its projects.
_types: dict[str, dict[str, Any]] = {}
_terms: dict[str, str] = {}
TYPE_FIELDS: Final = ("available", "locations", "monthly", "hourly", "traffic", "deprecation", "withdrawn")
TERMS: Final = {"currency": "EUR", "backup_percent": "20", "primary_ipv4": "0.50"}


def sell(types: Mapping[str, Mapping[str, Any]]) -> None:
    """Change what is sold (the noun `hetzner_types`). Raises ValueError and changes nothing for what cannot be."""
    _check("server type", types, [row[1] for row in TYPES])
    for name, changed in types.items():
        _check(f"of {name}", changed, TYPE_FIELDS)
        if not changed.get("locations", True):
            raise ValueError(f"{name} exists somewhere: what is sold no more is withdrawn")
        for places in (changed.get("available", ()), changed.get("locations", ())):
            _check("location", places, EVERYWHERE)
        for field in ("monthly", "hourly", "traffic"):
            _check_amount(field, changed.get(field, "0"))
    _types.clear()
    _types.update({name: dict(changed) for name, changed in types.items()})
    server_types.cache_clear()
    known_types.cache_clear()
    pricing.cache_clear()


def set_terms(terms: Mapping[str, str]) -> None:
    """Change what belongs to no type (the noun `hetzner_pricing`). Raises ValueError and changes nothing likewise."""
    _check("of the pricing", terms, TERMS)
    for field in ("backup_percent", "primary_ipv4"):
        _check_amount(field, terms.get(field, "0"))
    _terms.clear()
    _terms.update(terms)
    pricing.cache_clear()


def changes() -> Document:
    """What `sell` and `set_terms` were told, as plain JSON for a snapshot."""
    return {"hetzner_types": _types, "hetzner_pricing": _terms}


def _check(what: str, given: Collection[str], known: Collection[str]) -> None:
    if unknown := [one for one in given if one not in known]:
        raise ValueError(f"unknown {what}: {', '.join(sorted(unknown))}")


def _check_amount(field: str, text: str) -> None:
    try:
        Decimal(text)
    except (InvalidOperation, TypeError):
        raise ValueError(f"{field} is a decimal number in a string") from None


@cache
def server_types() -> dict[str, Document]:
    """Name -> server type document of all that is sold, prices and availability per location included."""
    return {name: kind for name, kind in known_types().items() if not _types.get(name, {}).get("withdrawn")}


@cache
def known_types() -> dict[str, Document]:
    """The same with those that were withdrawn: a server that is of one goes on being of it."""
    return {row[1]: _server_type(row, _types.get(row[1], {})) for row in TYPES}


def _server_type(row: Row, changed: Mapping[str, Any]) -> Document:
    id, name, category, cores, memory, disk, monthly, exists, sold = row
    deprecation = changed.get("deprecation", DEPRECATIONS.get(name))
    available, exists = changed.get("available", sold.split()), tuple(changed.get("locations", exists))
    monthly = changed.get("monthly", monthly)
    return {
        "id": id,
        "name": name,
        "description": name.upper(),
        "category": category,
        "cores": cores,
        "memory": float(memory),
        "disk": disk,
        "deprecated": deprecation is not None,
        "deprecation": deprecation,
        "locations": [
            {
                "id": locations()[place]["id"],
                "name": place,
                "deprecation": deprecation,
                "available": place in available,
                "recommended": place in available and deprecation is None,
            }
            for place in exists
        ],
        "prices": [_prices(place, Decimal(monthly), changed) for place in exists],
        "storage_type": "local",
        "cpu_type": "dedicated" if name.startswith("ccx") else "shared",
        "architecture": "arm" if name.startswith("cax") else "x86",
    }


def _prices(place: str, monthly: Decimal, changed: Mapping[str, Any]) -> Document:
    factor, traffic = SURCHARGE.get(place, ("1", 20))
    monthly = (monthly * Decimal(factor)).quantize(Decimal("0.01"))
    hourly = (monthly / HOURS_A_MONTH).quantize(Decimal("0.0001"))
    return {
        "location": place,
        "price_hourly": _price(Decimal(changed.get("hourly", hourly))),
        "price_monthly": _price(monthly),
        "included_traffic": traffic * TB,
        "price_per_tb_traffic": _price(Decimal(changed.get("traffic", "7.40" if place == "sin" else "1.00"))),
    }


def _price(net: Decimal) -> Document:
    return {"net": f"{net:.10f}", "gross": f"{net * (1 + VAT):.10f}"}


@cache
def images() -> dict[int, Document]:
    """Id -> image document: the system images, one per architecture."""
    return {row[0]: _image(*row) for row in IMAGES}


def _image(id: int, name: str, description: str, flavor: str, version: str, architecture: str) -> Document:
    return {
        "id": id,
        "type": "system",
        "status": "available",
        "name": name,
        "description": description,
        "image_size": None,
        "disk_size": 5,
        "created": "2026-05-04T08:00:00Z",
        "created_from": None,
        "bound_to": None,
        "os_flavor": flavor,
        "os_version": version,
        "rapid_deploy": True,
        "protection": {"delete": False},
        "deprecated": None,
        "deleted": None,
        "labels": {},
        "architecture": architecture,
    }


@cache
def load_balancer_type() -> Document:
    """The one load balancer type there is."""
    return {
        "id": 1,
        "name": "lb11",
        "description": "LB11",
        "max_connections": 10000,
        "max_services": 5,
        "max_targets": 25,
        "max_assigned_certificates": 10,
        "deprecated": None,
        "prices": [_prices(place, Decimal("6.49"), {}) for place in EVERYWHERE],
    }


@cache
def pricing() -> Document:
    """The document of `GET /pricing`, without its envelope."""
    terms = TERMS | _terms
    monthly = Decimal(terms["primary_ipv4"])
    hourly = (monthly / HOURS_A_MONTH).quantize(Decimal("0.0001"))
    address = [
        {"location": place, "price_hourly": _price(hourly), "price_monthly": _price(monthly)} for place in EVERYWHERE
    ]
    floating = [{"location": place, "price_monthly": _price(Decimal("3.00"))} for place in EVERYWHERE]
    balancer = load_balancer_type()
    return {
        "currency": terms["currency"],
        "vat_rate": f"{VAT * 100:.10f}",
        "primary_ips": [{"type": "ipv4", "prices": address}],
        "floating_ips": [{"type": "ipv4", "prices": floating}],
        "floating_ip": {"price_monthly": _price(Decimal("3.00"))},
        "image": {"price_per_gb_month": _price(Decimal("0.011"))},
        "volume": {"price_per_gb_month": _price(Decimal("0.044"))},
        "server_backup": {"percentage": f"{Decimal(terms['backup_percent']):.10f}"},
        "server_types": [{key: kind[key] for key in ("id", "name", "prices")} for kind in server_types().values()],
        "load_balancer_types": [{key: balancer[key] for key in ("id", "name", "prices")}],
    }
