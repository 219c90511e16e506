"""Hetzner Cloud as the product sees it: plain values in and out, errors of `errors` and no others.

One instance is one token, so one project. Nothing is kept between calls and nothing is retried: who called decides.
Source: docs.hetzner.cloud; hcloud-python 2.27.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import hcloud
import requests
from requests.adapters import HTTPAdapter

from .errors import Permanent, ProviderError, Temporary

# The bucket is refilled by a request a second (docs.hetzner.cloud, rate limiting), and RateLimit-Reset tells when it
# is full: up to an hour away. After a minute there is room enough for our few calls.
LONGEST_DELAY = 60.0


@dataclass(frozen=True, slots=True)
class Server:
    """A server: `status` in Hetzner's words (running, off, …), `created` in UTC."""

    id: int
    name: str
    status: str
    server_type: str
    location: str
    labels: Mapping[str, str]
    created: datetime


@dataclass(frozen=True, slots=True)
class Price:
    """What a server type costs at a location, net, in `currency()`. `included_traffic` in bytes a month."""

    hourly: Decimal
    monthly_cap: Decimal
    included_traffic: int
    traffic_per_tb: Decimal


@dataclass(frozen=True, slots=True)
class Offer:
    """A server type at one location: whether it can be ordered now, until when at all, and for how much."""

    location: str
    available: bool
    recommended: bool
    unavailable_after: datetime | None
    price: Price | None

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


@dataclass(frozen=True, slots=True)
class Location:
    """A place: `network_zone` is eu-central, us-east, us-west or ap-southeast; `country` an ISO 3166 code."""

    id: int
    name: str
    city: str
    country: str
    network_zone: str


class HetznerCloud:
    """One project of the Hetzner Cloud. A call fails within about twice `timeout` seconds."""

    def __init__(self, token: str, endpoint: str, *, timeout: float = 10) -> None:
        self._client = hcloud.Client(
            token=token, api_endpoint=endpoint.rstrip("/"), application_name="loopback", timeout=timeout
        )
        # The SDK repeats time-outs, 429 and others five times, up to a minute apart, POST included, and offers no
        # setting for it; nor does it pass RateLimit-Reset on. It repeats only its own errors and requests.Timeout, so
        # an adapter that raises ours is both the end of that and the place where the headers are still there.
        session: requests.Session = self._client._client._session
        for scheme in ("https://", "http://"):
            session.mount(scheme, _Once())

    def servers(self, label_selector: str = "") -> list[Server]:
        """Every server of the project, or those the label selector matches; all pages."""
        with _translated():
            found = self._client.servers.get_all(label_selector=label_selector or None)
            return [_server(server) for server in found]

    def server_types(self) -> list[ServerType]:
        """Every server type, those no longer or not now on offer too, with its offer per location."""
        with _translated():
            return [_server_type(kind) for kind in self._client.server_types.get_all()]

    def locations(self) -> list[Location]:
        """Every location."""
        with _translated():
            return [
                Location(one.id, one.name, one.city, one.country, one.network_zone)
                for one in self._client.locations.get_all()
            ]

    def currency(self) -> str:
        """The currency of every price, as an ISO 4217 code: server types do not carry it."""
        with _translated():
            return str(self._client.request("GET", "/pricing")["pricing"]["currency"])


def _server(server: Any) -> Server:
    return Server(
        id=server.id,
        name=server.name,
        status=server.status,
        server_type=server.server_type.name,
        location=server.location.name,
        labels=dict(server.labels),
        created=server.created.astimezone(UTC),
    )


def _server_type(kind: Any) -> ServerType:
    prices = {price["location"]: _price(price) for price in kind.prices}
    return ServerType(
        id=kind.id,
        name=kind.name,
        cores=int(kind.cores),
        memory=float(kind.memory),
        disk=int(kind.disk),
        architecture=kind.architecture,
        cpu_type=kind.cpu_type,
        storage_type=kind.storage_type,
        offers=tuple(
            Offer(
                location=offer.location.name,
                available=bool(offer.available),
                recommended=bool(offer.recommended),
                unavailable_after=offer.deprecation.unavailable_after if offer.deprecation else None,
                price=prices.get(offer.location.name),
            )
            for offer in kind.locations
        ),
    )


def _price(price: dict[str, Any]) -> Price:
    return Price(
        hourly=Decimal(price["price_hourly"]["net"]),
        monthly_cap=Decimal(price["price_monthly"]["net"]),
        included_traffic=int(price["included_traffic"]),
        traffic_per_tb=Decimal(price["price_per_tb_traffic"]["net"]),
    )


class _Once(HTTPAdapter):
    """Sends a request once, and turns whatever is not a success into an error of ours."""

    def send(self, *arguments: Any, **options: Any) -> requests.Response:
        try:
            response = super().send(*arguments, **options)
            if not response.ok:
                raise _refusal(response)
        except requests.RequestException as error:
            raise _unreachable(error) from error
        return response


def _refusal(response: requests.Response) -> ProviderError:
    """The error for an answer that is not a success: by the code of its envelope, else by its status."""
    status, envelope = response.status_code, _envelope(response)
    code, message = str(envelope.get("code", "")), str(envelope.get("message") or response.reason or status)
    said = f"Hetzner Cloud: {message} ({code or status})"
    if status == 429:
        return Temporary("rate_limit", said, delay=_until_reset(response.headers))
    if code == "resource_limit_exceeded":
        return Permanent("quota", said)
    if code == "maintenance" or status >= 500:
        return Temporary("cloud_api", said)
    if status in (401, 403):
        return Permanent("credential", said)
    if status == 404:
        return Permanent("not_found", said)
    if status in (409, 423) and code != "uniqueness_error":
        return Temporary("conflict", said)
    if status == 412:
        return Temporary("cloud_api", said)
    return Permanent("configuration", said)


def _envelope(response: requests.Response) -> dict[str, Any]:
    try:
        error = response.json()["error"]
    except (ValueError, KeyError, TypeError):
        return {}
    return error if isinstance(error, dict) else {}


def _until_reset(headers: Mapping[str, str]) -> float | None:
    try:
        seconds = float(headers["RateLimit-Reset"]) - time.time()
    except (KeyError, ValueError):
        return None
    return min(max(seconds, 1.0), LONGEST_DELAY)


def _unreachable(error: requests.RequestException) -> Temporary:
    # The text of requests' errors repeats the address only; the token travels in a header and is not in it.
    if isinstance(error, requests.Timeout):
        return Temporary("unreachable", "Hetzner Cloud did not answer in time.")
    return Temporary("unreachable", f"Hetzner Cloud could not be reached: {type(error).__name__}.")


@contextmanager
def _translated() -> Iterator[None]:
    """What the adapter could not see: a connection that broke in the middle of an answer, an answer not understood."""
    try:
        yield
    except ProviderError:
        raise
    except requests.RequestException as error:
        raise _unreachable(error) from error
    except (hcloud.HCloudException, LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise Temporary("cloud_api", f"Hetzner Cloud's answer was not understood: {type(error).__name__}.") from error
