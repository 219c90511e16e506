"""Which deprecated APIs a tenant's clients still ask for, out of the API server's /metrics text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

_METRIC: Final = "apiserver_requested_deprecated_apis{"
_STARTED: Final = re.compile(r"^process_start_time_seconds (\S+)", re.MULTILINE)
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ESCAPE: Final = re.compile(r"\\(.)")
_ESCAPED: Final = {"n": "\n"}


@dataclass(frozen=True, order=True)
class DeprecatedApi:
    """An API that was asked for. `group` is "" for core; `removed_release` "1.37" is the minor without it.

    An empty `removed_release` means that no removal is planned: it is no reason to stop an upgrade. The server does not
    know who asked; its own controllers do too.
    """

    group: str
    version: str
    resource: str
    removed_release: str


@dataclass(frozen=True)
class DeprecatedUse:
    """The deprecated APIs asked for, sorted, and `since` when this is known, in UTC.

    `since` is the latest start among the API servers met: each counts from its own. None when one did not say.
    """

    apis: tuple[DeprecatedApi, ...]
    since: datetime | None


def read(metrics: str) -> Iterator[DeprecatedApi]:
    """From the Prometheus text format (thousands of other lines, labels in any order, values with escapes)."""
    for line in metrics.splitlines():
        if not line.startswith(_METRIC):
            continue
        labels = {name: _ESCAPE.sub(_unescaped, value) for name, value in _LABEL.findall(line)}
        yield DeprecatedApi(
            group=labels.get("group", ""),
            version=labels.get("version", ""),
            resource=labels.get("resource", ""),
            removed_release=labels.get("removed_release", ""),
        )


def started_at(metrics: str) -> datetime | None:
    """When the process that wrote the text began, in UTC; None when it does not say so in a time that can be read."""
    found = _STARTED.search(metrics)
    try:
        return datetime.fromtimestamp(float(found[1]), UTC) if found else None
    except (ValueError, OverflowError, OSError):
        return None


def _unescaped(escape: re.Match[str]) -> str:
    return _ESCAPED.get(escape[1], escape[1])
