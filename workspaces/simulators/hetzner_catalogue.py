"""What the simulated Hetzner Cloud sells: locations, server types, images, prices. Prices are our own invention.

Shaped as the API of November 2026: no data centres, availability and deprecation per location
(https://docs.hetzner.cloud/changelog#2026-04-01-datacenter-deprecations).
"""

from decimal import Decimal
from functools import cache
from typing import Final

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


@cache
def server_types() -> dict[str, Document]:
    """Name -> server type document, prices and availability per location included."""
    return {row[1]: _server_type(row) for row in TYPES}


def _server_type(row: Row) -> Document:
    id, name, category, cores, memory, disk, monthly, exists, sold = row
    deprecation = DEPRECATIONS.get(name)
    available = sold.split()
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
        "prices": [_prices(place, Decimal(monthly)) for place in exists],
        "storage_type": "local",
        "cpu_type": "dedicated" if name.startswith("ccx") else "shared",
        "architecture": "arm" if name.startswith("cax") else "x86",
    }


def _prices(place: str, monthly: Decimal) -> Document:
    factor, traffic = SURCHARGE.get(place, ("1", 20))
    monthly = (monthly * Decimal(factor)).quantize(Decimal("0.01"))
    return {
        "location": place,
        "price_hourly": _price((monthly / HOURS_A_MONTH).quantize(Decimal("0.0001"))),
        "price_monthly": _price(monthly),
        "included_traffic": traffic * TB,
        "price_per_tb_traffic": _price(Decimal("7.40" if place == "sin" else "1.00")),
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
        "prices": [_prices(place, Decimal("6.49")) for place in EVERYWHERE],
    }


@cache
def pricing() -> Document:
    """The document of `GET /pricing`, without its envelope."""
    address = [
        {"location": place, "price_hourly": _price(Decimal("0.0008")), "price_monthly": _price(Decimal("0.50"))}
        for place in EVERYWHERE
    ]
    floating = [{"location": place, "price_monthly": _price(Decimal("3.00"))} for place in EVERYWHERE]
    balancer = load_balancer_type()
    return {
        "currency": "EUR",
        "vat_rate": f"{VAT * 100:.10f}",
        "primary_ips": [{"type": "ipv4", "prices": address}],
        "floating_ips": [{"type": "ipv4", "prices": floating}],
        "floating_ip": {"price_monthly": _price(Decimal("3.00"))},
        "image": {"price_per_gb_month": _price(Decimal("0.011"))},
        "volume": {"price_per_gb_month": _price(Decimal("0.044"))},
        "server_backup": {"percentage": "20.0000000000"},
        "server_types": [{key: kind[key] for key in ("id", "name", "prices")} for kind in server_types().values()],
        "load_balancer_types": [{key: balancer[key] for key in ("id", "name", "prices")}],
    }
