"""The simulated Hetzner Cloud's catalogue and lesser collections: what is mostly listed and hardly ever changed.

SSH keys and placement groups can be made too: what a server is ordered with.
"""

import base64
import binascii
import hashlib
import time
from collections.abc import Callable, Iterable

from aiohttp import web

from . import hetzner_attached
from .hetzner_catalogue import images, locations, pricing, server_types
from .hetzner_project import Project, project_of
from .hetzner_protocol import ApiError, Document, check_labels, field, invalid, listing, read_object, stamp, taken
from .hetzner_servers import placement_group_document

CHANGELOG = "https://docs.hetzner.cloud/changelog"
DATACENTERS_GONE = f"{CHANGELOG}#2026-06-02-datacenters-deprecated"

type Read = Callable[[Project], Iterable[Document]]


def routes(prefix: str) -> list[web.RouteDef]:
    """The endpoints of the catalogue, of the lesser collections, and the ones that are gone."""
    return [
        *_collection(prefix, "server_types", "server type", lambda _: server_types().values(), "name"),
        *_collection(prefix, "locations", "location", lambda _: locations().values(), "name"),
        *_collection(prefix, "images", "image", lambda _: images().values(), "name", "type", "architecture", "status"),
        *_collection(prefix, "ssh_keys", "SSH key", lambda project: project.records("ssh_keys"), "name", "fingerprint"),
        *_collection(prefix, "placement_groups", "placement group", _placement_groups, "name", "type"),
        *_collection(prefix, "volumes", "volume", hetzner_attached.volumes, "name", "status"),
        *_collection(prefix, "load_balancers", "load balancer", hetzner_attached.load_balancers, "name"),
        *_collection(prefix, "primary_ips", "primary IP", hetzner_attached.primary_ips, "name", "ip"),
        web.post(f"{prefix}/ssh_keys", _create_ssh_key),
        web.post(f"{prefix}/placement_groups", _create_placement_group),
        web.delete(prefix + "/{table:ssh_keys|placement_groups}/{id}", _delete),
        web.get(f"{prefix}/pricing", _pricing),
        web.route("*", prefix + "/datacenters{rest:.*}", _datacenters),
    ]


def _collection(prefix: str, nouns: str, what: str, read: Read, *filters: str) -> list[web.RouteDef]:
    async def every(request: web.Request) -> web.Response:
        return listing(request, nouns, read(project_of(request)), *filters)

    async def one(request: web.Request) -> web.Response:
        id = request.match_info["id"]
        for document in read(project_of(request)):
            if str(document["id"]) == id:
                return web.json_response({nouns.removesuffix("s"): document})
        raise ApiError(404, "not_found", f"{what} with ID '{id}' not found")

    return [web.get(f"{prefix}/{nouns}", every), web.get(f"{prefix}/{nouns}/{{id}}", one)]


def seeded_record(table: str, described: Document) -> Document:
    """The record of an SSH key or placement group from the description in a world file."""
    record = {"name": described["name"], "labels": described.get("labels", {}), "created": stamp(time.time())}
    if table == "ssh_keys":
        return record | {"fingerprint": described["fingerprint"], "public_key": described["public_key"]}
    return record | {"type": "spread"}


def _placement_groups(project: Project) -> Iterable[Document]:
    return (placement_group_document(project, group) for group in project.records("placement_groups"))


async def _create_ssh_key(request: web.Request) -> web.Response:
    project, body = project_of(request), await read_object(request)
    name, public_key = field(body, "name", str), field(body, "public_key", str).strip()
    fingerprint, labels = _fingerprint(public_key), check_labels(body.get("labels") or {})
    for key in project.records("ssh_keys"):
        if key["name"] == name:
            raise taken("name", "SSH key name is already used")
        if key["fingerprint"] == fingerprint:
            raise taken("public_key", "SSH key with the same fingerprint already exists")
    described = {"name": name, "labels": labels, "fingerprint": fingerprint, "public_key": public_key}
    key = project.add("ssh_keys", seeded_record("ssh_keys", described))
    return web.json_response({"ssh_key": key}, status=201)


def _fingerprint(public_key: str) -> str:
    """MD5 of the key, in pairs. Raises ApiError 422 for what is no public key of OpenSSH."""
    kind, _, rest = public_key.partition(" ")
    try:
        blob = base64.b64decode(rest.partition(" ")[0], validate=True)
    except (binascii.Error, ValueError):
        blob = b""
    if blob[4 : 4 + len(kind)] != kind.encode() or not kind:  # the blob begins with the length of its kind, and that
        raise invalid("public_key", "is not a valid SSH public key")
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))


async def _create_placement_group(request: web.Request) -> web.Response:
    project, body = project_of(request), await read_object(request)
    name, labels = field(body, "name", str), check_labels(body.get("labels") or {})
    if field(body, "type", str) != "spread":
        raise invalid("type", "must be one of spread")
    if any(group["name"] == name for group in project.records("placement_groups")):
        raise taken("name", "placement group name is already used")
    group = project.add("placement_groups", seeded_record("placement_groups", {"name": name, "labels": labels}))
    document = placement_group_document(project, group)
    return web.json_response({"placement_group": document, "action": None}, status=201)


async def _delete(request: web.Request) -> web.Response:
    project, table = project_of(request), request.match_info["table"]
    record = project.find(table, request.match_info["id"], table.removesuffix("s").replace("_", " "))
    del project.tables[table][record["id"]]
    return web.Response(status=204)


async def _pricing(request: web.Request) -> web.Response:
    return web.json_response({"pricing": pricing()})


async def _datacenters(request: web.Request) -> web.Response:
    raise ApiError(410, details={"announcement": DATACENTERS_GONE})
