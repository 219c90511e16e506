"""One API server over HTTPS: a listener of its own, authentication, routing, and the wire forms of answers and
streams."""

import asyncio
import dataclasses
import json
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import unquote

import yaml
from aiohttp import web

from workspaces.simulators.clusters import discovery, errors
from workspaces.simulators.clusters.access import Access, User
from workspaces.simulators.clusters.api import Api
from workspaces.simulators.clusters.certificates import Authority
from workspaces.simulators.clusters.kinds import Resource
from workspaces.simulators.clusters.listing import Watch, listed
from workspaces.simulators.clusters.rendering import compact
from workspaces.simulators.clusters.requests import REVIEWS, Call, Place, locate, place_of, verb_of
from workspaces.simulators.clusters.reviews import review
from workspaces.simulators.faults import Faults, middleware
from workspaces.simulators.journal import Journal

HEALTH = ("/healthz", "/livez", "/readyz")
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
BODY_LIMIT = 3 << 20
NO_CHECK_TIME = ssl.VerifyFlags(0x200000)
"""X509_V_FLAG_NO_CHECK_TIME: API servers let an expired certificate through the handshake and answer 401."""


class Server:
    """Serves one cluster's API on 127.0.0.1; `port` 0 is any free one and is kept once known."""

    def __init__(
        self,
        target: str,
        api: Api,
        access: Access,
        authority: Authority,
        faults: Faults,
        journal: Journal,
        port: int = 0,
    ) -> None:
        self.target, self.api, self.access, self.authority = target, api, access, authority
        self.port = port
        self.version: Callable[[], str] = lambda: "v1.36.2"
        self.metrics: Callable[[], str] = lambda: ""
        self.admission: Callable[[Call], None] = lambda call: None
        self.deprecations: Callable[[Place], str] = lambda place: ""
        self._middleware = middleware(faults, journal, "kubernetes", target)
        self._runner: web.AppRunner | None = None
        self._watches: set[Watch] = set()

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def listening(self) -> bool:
        return self._runner is not None

    async def start(self) -> None:
        """Listens; on another port when the one kept is taken by somebody else. Does nothing when it listens
        already."""
        if self._runner is not None:
            return
        app = web.Application(middlewares=[self._middleware], client_max_size=BODY_LIMIT)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, keepalive_timeout=75)
        await runner.setup()
        try:
            await self._listen(runner, self.port)
        except OSError:
            await self._listen(runner, 0)
        self.port = runner.addresses[0][1]

    async def _listen(self, runner: web.AppRunner, port: int) -> None:
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=self._tls(), reuse_address=True).start()

    def _tls(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.authority.server_chain())
        context.load_verify_locations(cadata=self.authority.pem.decode())
        context.verify_mode = ssl.CERT_OPTIONAL
        context.verify_flags |= NO_CHECK_TIME
        return context

    async def stop(self) -> None:
        """Closes the listener and every watch: clients see refused connections until `start`."""
        runner, self._runner = self._runner, None
        for watch in list(self._watches):
            watch.stop()
        if runner is not None:
            for connection in list(runner.server.connections if runner.server else ()):
                if connection.transport is not None:
                    connection.transport.abort()  # a closing TLS handshake would keep the socket for seconds
            await runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._answer(request)
        except errors.ApiError as error:
            if error.delay:
                await asyncio.sleep(error.delay)
            return _respond(request, error.code, error.body(), error.warnings, error.headers)
        except errors.PageNotFound:
            return web.Response(status=404, text="404 page not found\n")

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        user = self._user(request)
        path = request.path
        place = place_of(path)
        if place is None:
            return self._path(request, user, path)
        if (place.group, place.plural) in REVIEWS and request.method == "POST":
            body = review(REVIEWS[place.group, place.plural], await request.text(), user, self.access)
            return _respond(request, 201, body)
        self._check_access(request, user, place)
        call = await _call_of(request, place, locate(self.api.store, place))
        return await self._resource(request, call, place)

    def _check_access(self, request: web.Request, user: User, place: Place) -> None:
        """RBAC, before anything is looked up; a list of one name by field selector counts as a request for that
        name."""
        verb = verb_of(request.method, place.name, request.query)
        name = place.name
        selector = request.query.get("fieldSelector", "")
        if not name and selector.startswith("metadata.name="):
            name = selector.removeprefix("metadata.name=")
        if not self.access.may(user, verb, dataclasses.replace(place, name=name)):
            raise errors.forbidden(user.name, verb, place, name)

    def _user(self, request: web.Request) -> User:
        certificate = request.transport.get_extra_info("peercert") if request.transport else None
        return self.access.authenticate(certificate, request.headers.get("Authorization", ""))

    def _path(self, request: web.Request, user: User, path: str) -> web.StreamResponse:
        """Everything that is not a resource: version, health, discovery, metrics."""
        if not self.access.may_read_path(user, path):
            raise errors.forbidden_path(user.name, _path_verb(request.method), path)
        if path in HEALTH:
            return web.Response(text="ok")
        bare = path.rstrip("/")
        if bare == "/version":
            if request.method != "GET":
                raise errors.method_not_allowed()
            return _respond(request, 200, discovery.version_info(self.version()))
        if path == "/metrics":
            return web.Response(body=self.metrics().encode(), headers={"Content-Type": METRICS_TYPE})
        document = self._discovery(bare)
        if document is None or request.method != "GET":
            raise errors.PageNotFound
        return _respond(request, 200, document)

    def _discovery(self, path: str) -> dict[str, Any] | None:
        resources = self.api.store.resources.values()
        parts = path.strip("/").split("/")
        if parts == ["api"]:
            return discovery.api_versions(self.endpoint)
        if parts == ["apis"]:
            return discovery.group_list(resources)
        if parts[0] == "apis" and len(parts) == 2:
            return discovery.group(resources, parts[1])
        if parts[0] == "apis" and len(parts) == 3:
            return discovery.resource_list(resources, parts[1], parts[2])
        if parts[0] == "api" and len(parts) == 2:
            return discovery.resource_list(resources, "", parts[1])
        return None

    async def _resource(self, request: web.Request, call: Call, place: Place) -> web.StreamResponse:
        warning = self.deprecations(place)
        warnings = [warning] if warning else []
        if call.verb == "watch":
            return await self._stream(request, Watch(self.api, call))
        if call.verb == "list":
            if call.accept and not any(form in call.accept for form in ("json", "yaml", "*/*", "protobuf")):
                raise errors.not_acceptable()
            return _respond(request, 200, listed(self.api, call), warnings)
        if call.subresource == "log":
            self.api.existing(call)
            return web.Response(text=f"{call.name} started\n")
        self.admission(call)
        answer = self.api.handle(call)
        return _respond(request, answer.status, answer.body, [*warnings, *answer.warnings])

    async def _stream(self, request: web.Request, watch: Watch) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        self._watches.add(watch)
        try:
            async for event in watch.events():
                await response.write(compact(event) + b"\n")
            with suppress(ConnectionError):
                await response.write_eof()
        except (ConnectionError, asyncio.CancelledError):
            pass  # the client went away
        finally:
            self._watches.discard(watch)
        return response


async def _call_of(request: web.Request, place: Place, resource: Resource) -> Call:
    return Call(
        method=request.method,
        path=request.path,
        resource=resource,
        namespace=place.namespace if resource.namespaced else "",
        name=unquote(place.name),
        subresource=place.subresource,
        query=request.query,
        content_type=request.headers.get("Content-Type", ""),
        accept=request.headers.get("Accept", ""),
        body=await request.text(),
        user_agent=request.headers.get("User-Agent", ""),
    )


def _respond(
    request: web.Request,
    status: int,
    body: dict[str, Any] | bytes,
    warnings: list[str] | None = None,
    headers: dict[str, str] | None = None,
) -> web.Response:
    if "application/yaml" in request.headers.get("Accept", "") and status < 400:
        document = json.loads(body) if isinstance(body, bytes) else body
        response = web.Response(status=status, text=yaml.safe_dump(document), content_type="application/yaml")
    else:
        content = body if isinstance(body, bytes) else compact(body)
        response = web.Response(status=status, body=content, headers={"Content-Type": "application/json"})
    for warning in warnings or ():
        escaped = warning.replace("\\", "\\\\").replace('"', '\\"')
        response.headers.add("Warning", f'299 - "{escaped}"')
    response.headers.update(headers or {})
    return response


def _path_verb(method: str) -> str:
    return {"GET": "get", "POST": "post", "PUT": "put", "PATCH": "patch", "DELETE": "delete"}.get(
        method, method.lower()
    )
