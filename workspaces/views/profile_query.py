"""What a reader asks of the compute profiles: filters, a location, a choice, as words of the address."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpRequest, QueryDict

from workspaces.models.price_list import PriceList, ProfileOffers
from workspaces.rules.ids import as_id

CORES: Final = (2, 4, 8, 16, 32)
MEMORY: Final = (4, 8, 16, 32, 64, 128)
ARCHITECTURES: Final = {"": "Both", "x86": "x86", "arm": "Arm"}


@dataclass(frozen=True, slots=True)
class ProfileQuery:
    """The filters (0 and empty: none), the location prices are shown for, and the chosen profile."""

    q: str = ""
    cores: int = 0
    memory: int = 0
    architecture: str = ""
    available: bool = False
    location: str = ""
    profile: UUID | None = None
    hostname: str = ""

    @property
    def is_filtered(self) -> bool:
        """Whether clearing the filters would show more."""
        return bool(self.q or self.cores or self.memory or self.architecture or self.available)

    def address(self, **changes: object) -> str:
        """The query string of this list with changes; what is as by default is left out."""
        values: dict[str, object] = {
            "q": self.q,
            "cores": self.cores,
            "memory": self.memory,
            "architecture": self.architecture,
            "available": "on" if self.available else "",
            "location": self.location,
            "profile": self.profile or "",
        }
        kept = {name: value for name, value in (values | changes).items() if value}
        return f"?{urlencode(kept)}" if kept else ""

    def all_of_them(self) -> str:
        """The address without the filters."""
        bare = ProfileQuery(location=self.location, profile=self.profile)
        return bare.address() or "?"

    def shows(self, offers: ProfileOffers) -> bool:
        """Whether the filters let the profile through."""
        profile = offers.profile
        if self.available and ((offer := offers.at(self.location)) is None or offer.available is not True):
            return False
        return (
            self.q.lower() in profile.name.lower()
            and profile.cores >= self.cores
            and profile.memory_gb >= self.memory
            and self.architecture in ("", profile.architecture)
        )

    def placed(self, prices: PriceList, usual: str) -> ProfileQuery:
        """With a location where something is sold: the one asked for, else the `usual` one, else the first."""
        places = locations_of(prices)
        wanted = [place for place in (self.location, usual, *places) if place in places]
        return replace(self, location=wanted[0] if wanted else "")


def locations_of(prices: PriceList) -> list[str]:
    """Every location at which a profile is or was sold, by name."""
    return sorted({offer.location for offers in prices.profiles for offer in offers.offers})


def parse(request: HttpRequest) -> ProfileQuery:
    """The query of an address; a word that means nothing is as good as none."""
    return _read(request.GET)


def parse_order(request: HttpRequest) -> ProfileQuery:
    """The same of the form that orders: the filters are not sent with it."""
    sent = _read(request.POST)
    return ProfileQuery(location=sent.location, profile=sent.profile, hostname=sent.hostname)


def _read(words: QueryDict) -> ProfileQuery:
    def word(name: str) -> str:
        return words.get(name, "").replace("\0", "").strip()[:100]

    architecture = word("architecture")
    return ProfileQuery(
        q=word("q"),
        cores=_number(word("cores")),
        memory=_number(word("memory")),
        architecture=architecture if architecture in ARCHITECTURES else "",
        available=bool(word("available")),
        location=word("location"),
        profile=as_id(word("profile")),
        hostname=word("hostname"),
    )


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
