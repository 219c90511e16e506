"""Reads a Kubernetes list to its end, page by page."""

from collections.abc import Callable
from typing import Any, Final

from kubernetes.client import ApiException

_PAGE: Final = 200
_EXPIRED: Final = 410


def every_item(read_page: Callable[..., Any], **arguments: Any) -> list[Any]:
    """All items of one snapshot, from a list call of the client (models) or of its CustomObjectsApi (dicts).

    A snapshot lives for minutes only. When it ends between two pages the reading begins again, once: what was read
    belongs to another moment. The second time the server's 410 is raised.
    """
    try:
        return _read(read_page, arguments)
    except ApiException as error:
        if error.status != _EXPIRED:
            raise
    return _read(read_page, arguments)


def _read(read_page: Callable[..., Any], arguments: dict[str, Any]) -> list[Any]:
    items: list[Any] = []
    following: str | None = None
    while True:
        page = read_page(**arguments, limit=_PAGE, _continue=following)
        if isinstance(page, dict):
            items += page["items"]
            following = page["metadata"].get("continue")
        else:
            items += page.items
            following = page.metadata.var_continue
        if not following:
            return items
