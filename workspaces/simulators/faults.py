"""What goes wrong in the simulated world, on purpose and reproducibly.

The registry, the aiohttp middleware that makes HTTP requests meet faults, and the control routes under `/faults`.
What a state-like fault (a lost node, a hung upgrade) does to a service lives in that service.
"""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import asdict, dataclass, fields
from fnmatch import fnmatchcase
from typing import Any

from aiohttp import web

from .journal import Entry, Journal

SERVICES = ("hetzner", "kubernetes", "ssh", "*")
ENDINGS = ("status", "refuse", "expired_token", "hang")
FOREVER = 3600.0
POLL = 0.1

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
type Target = str | Callable[[web.Request], str]


@dataclass
class Fault:
    """One thing that goes wrong. `target`, `method` and `path` are fnmatch patterns.

    For SSH the method is EXEC and the path is the command. `seconds` is the length of a latency or a hang, `rate` the
    chance (0 to 1) that a matching request is hit, `times` the number of hits left (None: without end).
    """

    id: str
    service: str
    target: str
    kind: str
    method: str = "*"
    path: str = "*"
    status: int = 500
    seconds: float = 1.0
    rate: float = 1.0
    times: int | None = None

    def matches(self, service: str, target: str) -> bool:
        """Whether this fault concerns that service and target and is not used up."""
        return self.service in (service, "*") and self.times != 0 and fnmatchcase(target, self.target)


class Faults:
    """The registry. With one seed, the same requests in the same order meet the same faults."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._faults: dict[str, Fault] = {}
        self._counter = 0
        self.changes = 0  # how often faults were added or removed
        self._error_bodies: dict[str, Callable[[int], object]] = {}

    def seed(self, seed: int) -> None:
        """Start the chance anew."""
        self._chance = random.Random(seed)

    def add(self, **described: Any) -> Fault:
        """Add a fault from its fields (`service`, `target` and `kind` at least) and give it an id.

        Raises ValueError, with a sentence, for a field that is unknown, missing or of the wrong type.
        """
        _check(described)
        self._counter += 1
        if described["kind"] == "hang":
            described.setdefault("seconds", FOREVER)
        fault = Fault(id=f"f{self._counter}", **described)
        self._faults[fault.id] = fault
        self.changes += 1
        return fault

    def remove(self, id: str) -> None:
        """Remove one fault; requests hanging in it are cut. Raises KeyError when there is none of that id."""
        del self._faults[id]
        self.changes += 1

    def clear(self) -> None:
        """Remove every fault."""
        self._faults.clear()
        self.changes += 1

    def all(self) -> list[Fault]:
        """Every fault, in the order of adding, also those used up."""
        return list(self._faults.values())

    def hit(
        self, service: str, target: str, method: str, path: str, kinds: Collection[str] | None = None
    ) -> Fault | None:
        """The fault this request meets, if it meets one: draws chance and counts down `times`."""
        for fault in self._faults.values():
            if kinds is not None and fault.kind not in kinds:
                continue
            if not (fault.matches(service, target) and fnmatchcase(method, fault.method)):
                continue
            if not fnmatchcase(path, fault.path):
                continue
            if fault.rate < 1 and self._chance.random() >= fault.rate:
                continue
            if fault.times is not None:
                fault.times -= 1
            return fault
        return None

    def active(self, service: str, target: str, kind: str) -> Fault | None:
        """The state-like fault (lost_node, budget, …) in force: no chance drawn, nothing counted."""
        matching = (fault for fault in self._faults.values() if fault.kind == kind and fault.matches(service, target))
        return next(matching, None)

    def register_error_body(self, service: str, error_body: Callable[[int], object]) -> None:
        """Tell how a service words an error: `error_body(status)` gives the JSON document of the answer."""
        self._error_bodies[service] = error_body

    def error_body(self, service: str, status: int) -> object:
        """The JSON document with which that service answers that status."""
        error_body = self._error_bodies.get(service)
        return error_body(status) if error_body else {"error": {"code": status}}

    def snapshot(self) -> dict[str, Any]:
        """Plain JSON for `restore`."""
        return {"counter": self._counter, "faults": [asdict(fault) for fault in self._faults.values()]}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Go on with the faults of a snapshot."""
        self._counter = snapshot["counter"]
        self._faults = {fault["id"]: Fault(**fault) for fault in snapshot["faults"]}


def _check(described: Mapping[str, Any]) -> None:
    types: dict[str, type | tuple[type, ...]] = {
        "service": str,
        "target": str,
        "kind": str,
        "method": str,
        "path": str,
        "status": int,
        "seconds": (int, float),
        "rate": (int, float),
        "times": (int, type(None)),
    }
    known = {field.name for field in fields(Fault)} - {"id"}
    unknown = set(described) - known
    if unknown:
        raise ValueError(f"unknown field: {', '.join(sorted(unknown))}")
    for name in ("service", "target", "kind"):
        if name not in described:
            raise ValueError(f"{name} is missing")
    for name, value in described.items():
        if isinstance(value, bool) or not isinstance(value, types[name]):
            raise ValueError(f"{name} is of the wrong type")
    if described["service"] not in SERVICES:
        raise ValueError(f"service is one of {', '.join(SERVICES)}")
    if not 0 <= described.get("rate", 1) <= 1:
        raise ValueError("rate is between 0 and 1")
    if not 400 <= described.get("status", 500) <= 599:
        raise ValueError("status is between 400 and 599")


def middleware(faults: Faults, journal: Journal, service: str, target: Target) -> Any:
    """The aiohttp middleware that lets requests of `service` meet faults and records each of them.

    `target` is the name, or a function that reads it from the request where one listener serves several.
    """

    @web.middleware
    async def meet(request: web.Request, handler: Handler) -> web.StreamResponse:
        name = target if isinstance(target, str) else target(request)
        entry = journal.record(service, name, request.method, request.path_qs, 0, await _body(request))
        slow = faults.hit(service, name, request.method, request.path, ("latency",))
        if slow:
            entry.fault = slow.kind
            await asyncio.sleep(slow.seconds)
        fault = faults.hit(service, name, request.method, request.path, ENDINGS)
        if fault:
            entry.fault = fault.kind
            response: web.StreamResponse = await _end(request, faults, fault, service)
            entry.status = response.status if fault.kind in ("status", "expired_token") else 0
            return response
        response = await _answer(request, handler, entry)
        lost = faults.hit(service, name, request.method, request.path, ("lost_answer",))
        if lost and request.transport is not None:
            entry.fault = lost.kind
            request.transport.abort()  # what was asked for is done, and nobody is told
        return response

    return meet


async def _answer(request: web.Request, handler: Handler, entry: Entry) -> web.StreamResponse:
    try:
        response = await handler(request)
    except web.HTTPException as raised:
        entry.status = raised.status
        raise
    except ConnectionError:
        raise  # the client has gone away
    except Exception:
        entry.status = 500
        raise
    entry.status = response.status
    return response


async def _end(request: web.Request, faults: Faults, fault: Fault, service: str) -> web.Response:
    if fault.kind in ("status", "expired_token"):
        status = fault.status if fault.kind == "status" else 401
        # An API server that turns requests away says when to come again.
        headers = {"Retry-After": "1"} if (service, status) == ("kubernetes", 429) else {}
        return web.json_response(faults.error_body(service, status), status=status, headers=headers)
    if fault.kind == "hang":
        await _hang(request, faults, fault)
    if request.transport is not None:
        request.transport.abort()
    return web.Response()  # never arrives: the connection is gone


async def _hang(request: web.Request, faults: Faults, fault: Fault) -> None:
    """Say nothing until the time is over, the fault is removed, or the client has gone away."""
    loop = asyncio.get_running_loop()
    end = loop.time() + fault.seconds
    while loop.time() < end and any(other is fault for other in faults.all()):
        if request.transport is None or request.transport.is_closing():
            return
        await asyncio.sleep(POLL)


async def _body(request: web.Request) -> object | None:
    if not request.can_read_body:
        return None
    raw = await request.read()  # aiohttp keeps it: the handler reads it again
    try:
        return json.loads(raw)  # type: ignore[no-any-return]
    except ValueError:
        return raw.decode(errors="replace")


def routes(faults: Faults) -> list[web.RouteDef]:
    """`GET|POST|DELETE /faults`, `DELETE /faults/{id}`, `POST /seed {"seed": n}`: the control of faults over HTTP."""

    async def listing(request: web.Request) -> web.Response:
        return web.json_response({"faults": [asdict(fault) for fault in faults.all()]})

    async def add(request: web.Request) -> web.Response:
        try:
            described = await request.json()
            if not isinstance(described, dict):
                raise ValueError("a fault is a JSON object")
            return web.json_response(asdict(faults.add(**described)), status=201)
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)

    async def clear(request: web.Request) -> web.Response:
        faults.clear()
        return web.Response(status=204)

    async def remove(request: web.Request) -> web.Response:
        try:
            faults.remove(request.match_info["id"])
        except KeyError:
            return web.json_response({"error": "there is no such fault"}, status=404)
        return web.Response(status=204)

    async def seed(request: web.Request) -> web.Response:
        try:
            faults.seed(int((await request.json())["seed"]))
        except (ValueError, KeyError, TypeError):
            return web.json_response({"error": "seed is a number"}, status=400)
        return web.Response(status=204)

    return [
        web.get("/faults", listing),
        web.post("/faults", add),
        web.delete("/faults", clear),
        web.delete("/faults/{id}", remove),
        web.post("/seed", seed),
    ]
