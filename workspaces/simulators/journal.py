"""The request log of the simulated world: who asked what, what was answered, which fault it met.

Every simulator records here, also requests that a fault swallowed. Kept in memory only and bounded: it is read by
tests and by people, never by the simulators themselves.
"""

import sys
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any

from aiohttp import web

READING = ("GET", "HEAD", "OPTIONS")
FILTERS = ("service", "target", "method", "path", "fault")


@dataclass(slots=True)
class Entry:
    """One request. `at` is UNIX time in seconds; `status` 0 means not answered (yet, or because of a fault)."""

    at: float
    service: str
    target: str
    method: str
    path: str
    status: int
    body: object | None
    fault: str | None


class Journal:
    """The last 200,000 requests, oldest first. `writes` counts those that may have changed something, `counts` all of
    them ever, by service and method."""

    def __init__(self, size: int = 200_000) -> None:
        self._entries: deque[Entry] = deque(maxlen=size)
        self.writes = 0
        self.counts: Counter[tuple[str, str]] = Counter()

    def record(
        self,
        service: str,
        target: str,
        method: str,
        path: str,
        status: int,
        body: object | None,
        fault: str | None = None,
    ) -> Entry:
        """Note one request. The entry may be completed later by the one who recorded it (a stream, a hang)."""
        # Names repeat in every entry: interned they cost a pointer each.
        service, target, method = sys.intern(service), sys.intern(target), sys.intern(method)
        entry = Entry(time.time(), service, target, method, path, status, body, fault)
        self._entries.append(entry)
        self.writes += method not in READING
        self.counts[service, method] += 1
        return entry

    def entries(self, **filters: str) -> list[dict[str, Any]]:
        """The entries whose service, target, method, path or fault match the fnmatch patterns given, oldest first.

        Raises ValueError for a filter of another name.
        """
        unknown = set(filters) - set(FILTERS)
        if unknown:
            raise ValueError(f"unknown filter: {', '.join(sorted(unknown))}")
        return [
            asdict(entry)
            for entry in self._entries
            if all(fnmatchcase(getattr(entry, name) or "", pattern) for name, pattern in filters.items())
        ]


def routes(journal: Journal) -> list[web.RouteDef]:
    """`GET /journal?service=&target=&method=&path=&fault=` → `{"entries": [...]}`; `GET /counts` → how many requests
    ever arrived, `{"kubernetes": {"GET": 12, …}, …}`."""

    async def listing(request: web.Request) -> web.Response:
        filters = {name: value for name, value in request.query.items() if value}
        try:
            return web.json_response({"entries": journal.entries(**filters)})
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)

    async def counts(request: web.Request) -> web.Response:
        found: dict[str, dict[str, int]] = {}
        for (service, method), number in journal.counts.items():
            found.setdefault(service, {})[method] = number
        return web.json_response(found)

    return [web.get("/journal", listing), web.get("/counts", counts)]
