"""DNS records as values: how one is written here and at the vendor, what makes two the same, and what differs. Pure.

A record of ours is one value; at the vendor it is a *record set* (name and type) that may hold several. Text is kept
here as it is meant, at the vendor in quoted pieces. Other values are written alike on both sides.
Source: RFC 1035 section 5 (names, character strings), RFC 5952 (IPv6); docs.hetzner.cloud, zone RRSets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

from workspaces.rules.drift import Difference, Policy

TTL: Final = (60, 2147483647)
APEX: Final = "@"
# What the vendor keeps, but the start of authority, which is its own.
TYPES: Final = (
    "A", "AAAA", "CAA", "CNAME", "DS", "HINFO", "HTTPS", "MX", "NS", "PTR", "RP", "SRV", "SVCB", "TLSA", "TXT",
)  # fmt: skip
# Types whose last word is the name of a host, with how many numbers come before it.
_NAMING: Final = {"CNAME": 0, "NS": 0, "PTR": 0, "MX": 1, "SRV": 3}
_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME: Final = re.compile(rf"@|(?:\*|{_LABEL})(?:\.{_LABEL})*")
_ZONE: Final = re.compile(rf"(?:{_LABEL}\.)+[a-z][a-z0-9-]{{0,61}}[a-z0-9]")
_HOST: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?", re.IGNORECASE)
_STRING: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
_STRINGS: Final = re.compile(rf"{_STRING.pattern}(?:\s+{_STRING.pattern})*")
_ESCAPE: Final = re.compile(r"\\(?:(\d{3})|(.))")
_PIECE: Final = 255

_NO_ZONE: Final = (
    "Its cloud account has no such zone. Who can fix: the owner of the cloud account, by creating the zone there; or "
    "the operator of the platform, by choosing the account that has it."
)
_SECONDARY: Final = (
    "It is a secondary zone, which nobody can write to. Who can fix: whoever runs the primary name servers of the zone."
)
_PROTECTED: Final = (
    "It is protected against changes. Who can fix: the owner of the cloud account, by lifting the protection of the "
    "record set."
)
_BEFORE: Final = "It was in the zone before it was kept here: somebody may rely on it. Accept it, or have it set."


@dataclass(frozen=True, slots=True)
class Record:
    """A record that is kept for a workspace. `ref` is its key; `ttl` in seconds, None: as the zone says.

    One that `is_new` has never been seen as wanted: what is there under its name is somebody's, and not drift of ours.
    """

    ref: str
    zone: str
    name: str
    type: str
    value: str
    ttl: int | None = None
    is_new: bool = False

    @property
    def subject(self) -> str:
        """What a person calls it."""
        full = self.zone if self.name == APEX else f"{self.name}.{self.zone}"
        return f"DNS record {full} {self.type}"[:300]


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone at the vendor; `ttl` in seconds is that of record sets without their own."""

    id: int
    name: str
    mode: str
    ttl: int

    @property
    def is_writable(self) -> bool:
        """Whether its records are changed here, and not copied from elsewhere."""
        return self.mode == "primary"


@dataclass(frozen=True, slots=True)
class RecordSet:
    """A record set at the vendor, its values as the vendor writes them; `ttl` None: as the zone says."""

    name: str
    type: str
    values: tuple[str, ...]
    ttl: int | None = None
    protected: bool = False


# --- Comparing --------------------------------------------------------------------------------------------------------
def differences(record: Record, zone: Zone | None, seen: RecordSet | None) -> list[Difference]:
    """What is not as wanted: `zone` (there is none), `records` (seen None: missing) and `ttl` (seconds in force)."""
    if zone is None:
        return [_difference(record, "zone", record.zone, None, "tell", _NO_ZONE)]
    policy, reason = _policy(record, zone, seen)
    wanted = as_kept(record.type, at_vendor(record.type, record.value))
    if seen is None:
        return [_difference(record, "records", [wanted], None, policy, reason)]
    found = []
    if {canonical(record.type, value, zone.name) for value in seen.values} != {_canonical(record, zone)}:
        values = sorted(as_kept(record.type, value) for value in seen.values)
        found.append(_difference(record, "records", [wanted], values, policy, reason))
    if (record.ttl or zone.ttl) != (seen.ttl or zone.ttl):
        found.append(_difference(record, "ttl", record.ttl or zone.ttl, seen.ttl or zone.ttl, policy, reason))
    return found


def _policy(record: Record, zone: Zone, seen: RecordSet | None) -> tuple[Policy, str]:
    if not zone.is_writable:
        return "tell", _SECONDARY
    if seen is not None and seen.protected:
        return "decide", _PROTECTED
    if seen is not None and record.is_new:
        return "decide", _BEFORE
    return "repair", ""


def _difference(record: Record, field: str, wanted: object, seen: object, policy: Policy, reason: str) -> Difference:
    return Difference("dns", record.ref, record.subject, field, wanted, seen, policy=policy, reason=reason)


def _canonical(record: Record, zone: Zone) -> str:
    return canonical(record.type, at_vendor(record.type, record.value), zone.name)


def canonical(type: str, value: str, zone: str) -> str:
    """A value of the vendor's as it is the same for all ways to write it; `zone` completes names within it."""
    if type == "TXT":
        return as_kept(type, value)
    if type in ("A", "AAAA"):
        return _address(type, value)
    words = value.split()
    if type in _NAMING and words:
        words[-1] = _absolute(words[-1], zone)
    return " ".join(words)


def _address(type: str, value: str) -> str:
    """An address as everybody writes it; anything else as it is."""
    try:
        return str(IPv4Address(value.strip()) if type == "A" else IPv6Address(value.strip()))
    except AddressValueError:
        return value.strip()


def _absolute(name: str, zone: str) -> str:
    """The full name, with its dot at the end. A name without that dot is one within the zone."""
    name = name.lower()
    if name == APEX:
        return f"{zone}."
    return name if name.endswith(".") else f"{name}.{zone}."


def zone_name(text: str) -> str:
    """A zone's name as the vendor has it: lower case, without the dot at the end."""
    return text.strip().lower().removesuffix(".")


def record_name(text: str) -> str:
    """The name of a record set as the vendor has it: lower case."""
    return text.strip().lower()


# --- Writing ----------------------------------------------------------------------------------------------------------
def at_vendor(type: str, value: str) -> str:
    """A value of ours as the vendor wants it."""
    if type == "TXT":
        return _quoted(value)
    return _address(type, value) if type in ("A", "AAAA") else " ".join(value.split())


def as_kept(type: str, value: str) -> str:
    """A value of the vendor's as it is written here: text without its quotes, in one piece."""
    value = value.strip()
    if type != "TXT" or not _STRINGS.fullmatch(value):
        return value
    return "".join(_ESCAPE.sub(_unescaped, piece) for piece in _STRING.findall(value))


def _quoted(text: str) -> str:
    # The SDK's own format_txt_record cuts after it has escaped, and so may part a quote from its backslash; a
    # backslash it does not escape at all.
    pieces = [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)] or [""]
    escaped = [piece.replace("\\", r"\\").replace('"', r"\"") for piece in pieces]
    return " ".join(f'"{piece}"' for piece in escaped)


def _unescaped(match: re.Match[str]) -> str:
    number, character = match.groups()
    return chr(int(number)) if number else character


# --- What can be kept -------------------------------------------------------------------------------------------------
def problems(record: Record) -> dict[str, str]:
    """What the vendor would not take, by field in a sentence each; the names are expected to be in lower case."""
    found = {}
    if not _ZONE.fullmatch(record.zone):
        found["zone"] = "Enter the name of a zone, such as customs.example."
    if said := _wrong_name(record):
        found["name"] = said
    if record.type not in TYPES:
        found["type"] = f"Choose one of {', '.join(TYPES)}."
    elif said := _wrong_value(record):
        found["value"] = said
    if record.ttl is not None and not TTL[0] <= record.ttl <= TTL[1]:
        found["ttl"] = f"Enter {TTL[0]} to {TTL[1]} seconds, or nothing for what the zone says."
    return found


def _wrong_name(record: Record) -> str:
    if record.name == record.zone:
        return "Enter @ for the zone itself."
    if record.name.endswith((".", f".{record.zone}")):
        return "Enter the name within the zone: without the name of the zone, and without a dot at the end."
    if not _NAME.fullmatch(record.name):
        return "Enter lower-case letters, digits, hyphens, underscores and dots; @ is the zone itself."
    if record.type == "CNAME" and record.name == APEX:
        return "The zone itself cannot be an alias (CNAME): it has other records."
    return ""


def _wrong_value(record: Record) -> str:
    match record.type:
        case "A":
            return "" if _is_address(IPv4Address, record.value) else "Enter an IPv4 address, such as 203.0.113.7."
        case "AAAA":
            return "" if _is_address(IPv6Address, record.value) else "Enter an IPv6 address, such as 2001:db8::7."
        case "TXT":
            return _wrong_text(record.value)
    return _wrong_host(record) if record.type in _NAMING else ""


def _is_address(kind: type[IPv4Address] | type[IPv6Address], text: str) -> bool:
    try:
        return not getattr(kind(text.strip()), "scope_id", None)
    except AddressValueError:
        return False


def _wrong_text(text: str) -> str:
    if _STRINGS.fullmatch(text):
        return "Enter the text without quotes around it: they are added."
    if not text.isascii() or not text.isprintable():
        return "Enter letters, digits, spaces and signs of ASCII, in one line."
    return ""


def _wrong_host(record: Record) -> str:
    """Numbers first where the type has any, then a host: absolute with its dot, or a name within the zone."""
    *numbers, host = record.value.split() or [""]
    if len(numbers) != _NAMING[record.type] or not all(number.isdecimal() for number in numbers):
        example = {"MX": "10 mail.example.net.", "SRV": "0 5 443 gw.example.net."}.get(record.type, "gw.example.net.")
        return f"Enter it as in {example}"
    if host != APEX and not _HOST.fullmatch(host):
        return "Enter the name of a host: absolute with a dot at the end, or one within the zone."
    if host.lower() == record.zone or host.lower().endswith(f".{record.zone}"):
        return f"End it with a dot: without one it is a name within {record.zone}."
    return ""
