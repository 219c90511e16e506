"""Which deprecated APIs a tenant's clients still ask for, out of the API server's /metrics text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_METRIC: Final = "apiserver_requested_deprecated_apis{"
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


def _unescaped(escape: re.Match[str]) -> str:
    return _ESCAPED.get(escape[1], escape[1])
