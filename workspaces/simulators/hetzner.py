"""The simulated Hetzner Cloud: one listener, many projects told apart by their tokens.

The endpoints live in hetzner_servers, hetzner_commands, hetzner_zones, hetzner_actions, hetzner_attached and
hetzner_collections; how the API speaks in hetzner_protocol. Besides the faults every HTTP service knows (see
faults.py), these are understood: resource_limit, maintenance and sold_out (answers of the API), token_readonly (the
same, to what is no GET), action_failed (the action begun ends in an error),
no_shutdown (the action of a shutdown succeeds, and the server goes on running as if its system did not listen).
Paths in faults begin with /v1; the target is the project's name, "" for a token nobody knows.
"""

import secrets
import string
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from . import (
    hetzner_actions,
    hetzner_attached,
    hetzner_catalogue,
    hetzner_collections,
    hetzner_commands,
    hetzner_servers,
    hetzner_zones,
)
from .faults import Faults, middleware
from .hetzner_machines import FIRST_ID
from .hetzner_project import PROJECT, Project
from .hetzner_protocol import ApiError, Bucket, Document, error_body
from .hetzner_servers import server_record
from .hetzner_zones import zone_record
from .journal import Journal
from .listening import LOCAL, listen

PREFIX = "/v1"
SERVER_LIMIT, RATE_LIMIT = 250, 3600
TOKEN_CHARACTERS = string.ascii_letters + string.digits
SEEDED = ("servers", "ssh_keys", "placement_groups", *hetzner_attached.TABLES, "zones")
LIMITED: Final = {"limits": [{"name": "server_limit"}]}
READ_ONLY: Final = ApiError(401, "token_readonly", "the token is only allowed to perform GET requests")
SPOKEN: Final = {
    "token_readonly": READ_ONLY,
    "resource_limit": ApiError(403, "resource_limit_exceeded", "server limit exceeded", LIMITED),
    "maintenance": ApiError(403, "maintenance", "cannot perform operation due to maintenance"),
    "sold_out": ApiError(412, "resource_unavailable", "the requested resource is currently unavailable"),
}

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Hetzner:
    """Projects and their listener. A phase (of a server being created, stopped, …) takes `phase_seconds`."""

    def __init__(self, faults: Faults, journal: Journal, state_dir: Path, phase_seconds: float) -> None:
        self._faults, self._journal, self._phase = faults, journal, phase_seconds
        self._projects: dict[str, Project] = {}
        self._last_id = FIRST_ID - 1
        self._strangers = Bucket(RATE_LIMIT)
        self._port = 0
        self._runner: web.AppRunner | None = None
        self.follow: Callable[[], None] = lambda: None  # called before anything is answered
        hetzner_catalogue.sell({})
        hetzner_catalogue.set_terms({})
        faults.register_error_body("hetzner", error_body)

    async def start(self) -> None:
        """Serve, on the port of before when there was one."""
        meet = middleware(self._faults, self._journal, "hetzner", self._target)
        app = web.Application(middlewares=[meet, self._speak])
        app.on_response_prepare.append(self._sign)
        for module in (
            hetzner_actions,
            hetzner_servers,
            hetzner_commands,
            hetzner_zones,
            hetzner_attached,
            hetzner_collections,
        ):
            app.add_routes(module.routes(PREFIX))
        self._runner, self._port = await listen(app, self._port)

    async def stop(self) -> None:
        """Close the listener."""
        if self._runner:
            await self._runner.cleanup()

    async def add(self, spec: Document) -> None:
        """Add projects, and in them servers, zones, …, whose names were never there.

        A project: name, token (invented when absent), read_only, read_only_token (a second token), server_limit,
        rate_limit, and lists: servers, ssh_keys, placement_groups, volumes, load_balancers, primary_ips, zones (with
        rrsets).
        What is sold: `hetzner_types` and `hetzner_pricing`, see `hetzner_catalogue.py`.
        Raises ValueError or KeyError for what cannot exist.
        """
        if "hetzner_types" in spec:
            hetzner_catalogue.sell(spec["hetzner_types"])
        if "hetzner_pricing" in spec:
            hetzner_catalogue.set_terms(spec["hetzner_pricing"])
        for described in spec.get("hetzner_projects", ()):
            project = self._projects.get(described["name"])
            if project is None:
                project = self._projects[described["name"]] = self._project(described)
            for table in SEEDED:
                for thing in described.get(table, []):
                    self._seed(project, table, thing)

    def _project(self, described: Document) -> Project:
        token = described.get("token") or "".join(secrets.choice(TOKEN_CHARACTERS) for _ in range(64))
        tokens = {token: described.get("read_only", False)}
        if described.get("read_only_token"):
            tokens[described["read_only_token"]] = True
        limits = {
            "server_limit": described.get("server_limit", SERVER_LIMIT),
            "rate_limit": described.get("rate_limit", RATE_LIMIT),
        }
        whole = {"name": described["name"], "tokens": tokens, **limits}
        return Project(whole, self._phase, self._new_id, self._faults)

    def _seed(self, project: Project, table: str, described: Document) -> None:
        """Once only: what a client deleted since does not come back when the same world is added again."""
        mark = f"{table}/{described['name']}"
        if mark in project.seeded or any(record["name"] == described["name"] for record in project.records(table)):
            return
        try:
            if table == "servers":
                record = server_record(described)
            elif table == "zones":
                record = zone_record(described)
            elif table in hetzner_attached.TABLES:
                record = hetzner_attached.seeded_record(project, table, described)
            else:
                record = hetzner_collections.seeded_record(table, described)
        except ApiError as error:
            raise ValueError(f"{mark}: {error.message}") from error
        project.add(table, record)
        project.seeded.append(mark)

    @property
    def projects(self) -> Iterable[Project]:
        """Every project."""
        return self._projects.values()

    def ready(self) -> dict[str, Any]:
        """`hetzner_url` (for `api_endpoint=`) and the projects with a token each."""
        projects = [{"name": project.name, "token": next(iter(project.tokens))} for project in self._projects.values()]
        return {"hetzner_url": f"http://{LOCAL}:{self._port}{PREFIX}", "hetzner_projects": projects}

    def snapshot(self) -> Document:
        """Plain JSON for `restore`."""
        projects = [project.snapshot() for project in self._projects.values()]
        head = {"port": self._port, "last_id": self._last_id, "sold": hetzner_catalogue.changes()}
        return head | {"projects": projects}

    def restore(self, snapshot: Document) -> None:
        """Go on from a snapshot; before `start`."""
        self._port, self._last_id = snapshot["port"], snapshot["last_id"]
        sold = snapshot.get("sold", {})
        hetzner_catalogue.sell(sold.get("hetzner_types", {}))
        hetzner_catalogue.set_terms(sold.get("hetzner_pricing", {}))
        for saved in snapshot["projects"]:
            self._projects[saved["name"]] = Project.restore(saved, self._phase, self._new_id, self._faults)

    def _new_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def _owner(self, request: web.Request) -> tuple[Project | None, bool]:
        """The project of the request's token, and whether the token may only read."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        for project in self._projects.values():
            if scheme == "Bearer" and token in project.tokens:
                return project, project.tokens[token]
        return None, True

    def _target(self, request: web.Request) -> str:
        project, _ = self._owner(request)
        return project.name if project else ""

    async def _sign(self, request: web.Request, response: web.StreamResponse) -> None:
        project, _ = self._owner(request)
        response.headers.update((project.bucket if project else self._strangers).headers())
        response.headers["X-Correlation-Id"] = secrets.token_hex(8)

    @web.middleware
    async def _speak(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            self._admit(request)
            response = await handler(request)
            self.follow()
            return response
        except ApiError as error:
            return web.json_response(error.document(), status=error.status)
        except web.HTTPException as error:
            return web.json_response(error_body(error.status), status=error.status)

    def _admit(self, request: web.Request) -> None:
        """Raises ApiError for a request that has no right, no request left, or meets a fault the API speaks of."""
        project, read_only = self._owner(request)
        bucket = project.bucket if project else self._strangers
        if not bucket.take():
            raise ApiError(429, message=f"limit of {bucket.limit} requests per hour reached")
        if project is None:
            raise ApiError(401)
        reads = request.method == "GET"
        if read_only and not reads:
            raise READ_ONLY
        kinds = SPOKEN.keys() - {"token_readonly"} if reads else SPOKEN.keys()
        fault = self._faults.hit("hetzner", project.name, request.method, request.path, kinds)
        if fault:
            raise SPOKEN[fault.kind]
        self.follow()
        project.settle()
        request[PROJECT] = project
