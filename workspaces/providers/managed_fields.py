"""Who owns which fields of a Kubernetes object, as its API server keeps it in metadata.managedFields.

An entry stands for one manager and one way of writing (Apply, or Update for everything else); its time is when the set
of its fields last changed, or a value in it. It says who has a field, not who had it before.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

OURS: Final = "loopback"

_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Owner:
    """One manager and the leaves it owns. `at` is in UTC; `operation` is "Apply" or "Update".

    A path is the names from the top, ("spec", "replicas"). An element of a list is one part as the API writes it:
    `k:{"name":"web"}` by its key, `v:"a"` by its value. The part "." at the end means that something is there (a map,
    an element), without any of what is in it.
    """

    manager: str
    operation: str
    at: datetime | None
    paths: frozenset[tuple[str, ...]]

    def owns(self, path: tuple[str, ...]) -> bool:
        """Whether the manager owns the field: itself, something in it, or the whole that it is a part of."""
        return any(owned == path[: len(owned)] or path == owned[: len(path)] for owned in self.paths)


def owners(managed: Sequence[Mapping[str, Any]]) -> tuple[Owner, ...]:
    """Every entry of an object's metadata.managedFields, in their order; what is not readable is left out."""
    return tuple(
        Owner(
            str(entry.get("manager") or ""),
            str(entry.get("operation") or ""),
            _time(entry.get("time")),
            frozenset(_leaves(entry["fieldsV1"])),
        )
        for entry in managed
        if isinstance(entry.get("fieldsV1"), Mapping)
    )


def owner_of(owners: Iterable[Owner], path: tuple[str, ...], *, besides: str = OURS) -> Owner | None:
    """The one who wrote the field last, as far as the API tells; the manager `besides` is not asked for."""
    found = [owner for owner in owners if owner.manager != besides and owner.owns(path)]
    return max(found, key=lambda owner: owner.at or _LONG_AGO, default=None)


def _leaves(fields: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, below in fields.items():
        path = (*above, name.removeprefix("f:"))
        if isinstance(below, Mapping) and below:
            yield from _leaves(below, path)
        else:
            yield path


def _time(written: Any) -> datetime | None:
    """RFC 3339, or the datetime that a typed client has made of it."""
    try:
        at = written if isinstance(written, datetime) else datetime.fromisoformat(str(written))
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
