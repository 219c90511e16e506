"""Servers of the simulated Hetzner Cloud: listed, created, renamed. What is done to one: hetzner_commands.

Source: docs.hetzner.cloud, servers.
"""

import re
import secrets
import time
from typing import Any

from aiohttp import web

from .hetzner_catalogue import images, known_types, locations, server_types
from .hetzner_machines import machine_of
from .hetzner_project import Project, action_document, action_fails, project_of
from .hetzner_protocol import ApiError, Document, check_labels, field, invalid, listing, read_object, stamp, taken

HOSTNAME = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9.-]{0,61}[a-zA-Z0-9])?")
USER_DATA_MAX = 32 * 1024
GROUP_MAX = 10


def routes(prefix: str) -> list[web.RouteDef]:
    """The endpoints under /servers."""
    servers = f"{prefix}/servers"
    return [
        web.get(servers, _list),
        web.post(servers, _create),
        web.get(servers + "/{id}", _get),
        web.put(servers + "/{id}", _update),
    ]


def server_record(described: Document) -> Document:
    """A new server's record from a description that is known to be valid; not kept yet."""
    kind = known_types()[described["server_type"]]
    image = find_image(described.get("image", "debian-13"), kind["architecture"])
    return {
        "name": described["name"],
        "status": described.get("status", "running"),
        "created": stamp(time.time()),
        "server_type": kind["name"],
        "location": described.get("location", "fsn1"),
        "image": image["id"],
        "boots": 0,
        "machine": None,  # of a server that was created through the API: what it boots with, see `machines.py`
        "labels": described.get("labels", {}),
        "placement_group": described.get("placement_group"),
        "protection": {"delete": False, "rebuild": False},
        "primary_disk_size": kind["disk"],
    }


def find_image(name: str | int, architecture: str) -> Document:
    """A system image by name (of that architecture) or id. Raises ApiError 422."""
    for image in images().values():
        if str(name) == str(image["id"]) or (name == image["name"] and image["architecture"] == architecture):
            if image["architecture"] != architecture:
                raise invalid("image", f"image architecture is not {architecture}")
            return image
    raise invalid("image", "image not found")


def find_type(name: str | int) -> Document:
    """A server type by name or id. Raises ApiError 422."""
    for kind in server_types().values():
        if str(name) in (kind["name"], str(kind["id"])):
            return kind
    raise invalid("server_type", "server type not found")


def check_available(kind: Document, place: str) -> None:
    """Raises ApiError when that type cannot be had at that location today: 422 never, 412 not now."""
    offer = next((offer for offer in kind["locations"] if offer["name"] == place), None)
    if offer is None:
        raise invalid("location", f"server type {kind['name']} is not supported in {place}")
    if offer["deprecation"] and offer["deprecation"]["unavailable_after"] < stamp(time.time()):
        raise ApiError(422, "invalid_input", f"server type {kind['name']} is deprecated")
    if not offer["available"]:
        raise ApiError(412, "resource_unavailable", f"server type {kind['name']} is currently unavailable in {place}")


def server_document(project: Project, record: Document, busy: set[int]) -> Document:
    """A server as the API shows it now; `busy` are the ids locked. No `datacenter`: withdrawn 2026-07-01."""
    id, kind = record["id"], known_types()[record["server_type"]]
    group = project.tables["placement_groups"].get(record["placement_group"])
    prices = {price["location"]: price for price in kind["prices"]}  # the server may be where its type no longer is
    included = prices.get(record["location"], kind["prices"][0])["included_traffic"]
    # Addresses that belong to nobody: the benchmarking and the documentation range. A machine listens at its own.
    nobody, ipv6 = (
        f"198.{18 + (id >> 16) % 2}.{(id >> 8) % 256}.{id % 256}",
        f"2001:db8:{id >> 16:x}:{id % 65536:x}::/64",
    )
    ipv4 = record["machine"]["address"] if record["machine"] else nobody
    return {
        "id": id,
        "name": record["name"],
        "status": record["status"],
        "created": record["created"],
        "public_net": {
            "ipv4": {"id": id, "ip": ipv4, "blocked": False, "dns_ptr": f"{ipv4}.clients.example"},
            "ipv6": {"id": id, "ip": ipv6, "blocked": False, "dns_ptr": []},
            "floating_ips": [],
            "firewalls": [],
        },
        "private_net": [],
        "server_type": kind,
        "location": locations()[record["location"]],
        "image": images()[record["image"]],
        "iso": None,
        "rescue_enabled": False,
        "locked": id in busy,
        "backup_window": None,
        "outgoing_traffic": 0,
        "ingoing_traffic": 0,
        "included_traffic": included,
        "protection": record["protection"],
        "labels": record["labels"],
        "volumes": [volume["id"] for volume in project.records("volumes") if volume["server"] == id],
        "load_balancers": [],
        "primary_disk_size": record["primary_disk_size"],
        "placement_group": placement_group_document(project, group) if group else None,
    }


def placement_group_document(project: Project, group: Document) -> Document:
    """A placement group with the servers in it now."""
    inside = [server["id"] for server in project.records("servers") if server["placement_group"] == group["id"]]
    return group | {"servers": inside}


def _document(request: web.Request, record: Document) -> Document:
    project = project_of(request)
    return server_document(project, record, project.busy("server"))


def find_server(request: web.Request) -> Document:
    """The record of the server the path names. Raises ApiError 404."""
    return project_of(request).find("servers", request.match_info["id"], "server")


async def _list(request: web.Request) -> web.Response:
    project = project_of(request)
    busy = project.busy("server")
    records = project.records("servers")
    return listing(
        request, "servers", records, "name", "status", show=lambda record: server_document(project, record, busy)
    )


async def _get(request: web.Request) -> web.Response:
    return web.json_response({"server": _document(request, find_server(request))})


async def _create(request: web.Request) -> web.Response:
    project, body = project_of(request), await read_object(request)
    described = _described(project, body)
    fails = action_fails(request)
    starts = field(body, "start_after_create", bool, True)
    record = project.add("servers", server_record(described | {"status": "initializing"}))
    record["machine"] = machine_of(project, record["id"], body)
    resource = [("server", record["id"])]
    action = project.begin("create_server", resource, 2, fails=fails)
    following = [project.begin("start_server", resource, 3)] if starts and not fails else []
    if fails:
        project.later(2, "servers", record["id"], {"status": "off"})
    elif starts:
        project.later(2, "servers", record["id"], {"status": "starting"})
        project.later(3, "servers", record["id"], {"status": "running"})
    else:
        project.later(2, "servers", record["id"], {"status": "off"})
    document = {
        "server": _document(request, record),
        "action": action_document(action),
        "next_actions": [action_document(next_action) for next_action in following],
        "root_password": None if body.get("ssh_keys") else secrets.token_urlsafe(15),
    }
    return web.json_response(document, status=201)


def _described(project: Project, body: Document) -> Document:
    """The description of a server to be created, checked as the API checks it."""
    name = field(body, "name", str)
    if not HOSTNAME.fullmatch(name):
        raise invalid("name", "must be a valid hostname as per RFC 1123")
    kind = find_type(field(body, "server_type", (str, int)))
    image = find_image(field(body, "image", (str, int)), kind["architecture"])
    place = str(field(body, "location", (str, int), _usual_place(kind)))
    place = next((known for known, one in locations().items() if place in (known, str(one["id"]))), "")
    if not place:
        raise invalid("location", "location not found")
    if len(field(body, "user_data", str, "").encode()) > USER_DATA_MAX:
        raise invalid("user_data", "is too long")
    for absent in ("networks", "firewalls", "volumes"):
        if body.get(absent):
            raise invalid(absent, "not found")
    _check_keys(project, field(body, "ssh_keys", list, []))
    labels = check_labels(body.get("labels") or {})
    if any(server["name"] == name for server in project.records("servers")):
        raise taken("name", "server name is already used")
    if len(project.tables["servers"]) >= project.server_limit:
        limits = {"limits": [{"name": "server_limit"}]}
        raise ApiError(403, "resource_limit_exceeded", "server limit exceeded", limits)
    group = body.get("placement_group")
    if group is not None:
        found = project.find("placement_groups", group, "placement group")
        if len(placement_group_document(project, found)["servers"]) >= GROUP_MAX:
            raise ApiError(422, "placement_error", "could not place the server within the given placement group")
    check_available(kind, place)
    return {
        "name": name,
        "server_type": kind["name"],
        "image": image["id"],
        "location": place,
        "labels": labels,
        "placement_group": group,
    }


def _usual_place(kind: Document) -> str:
    available = (offer["name"] for offer in kind["locations"] if offer["available"])
    return str(next(available, kind["locations"][0]["name"]))


def _check_keys(project: Project, wanted: list[Any]) -> None:
    known = {str(value) for key in project.records("ssh_keys") for value in (key["id"], key["name"])}
    if any(str(key) not in known for key in wanted):
        raise invalid("ssh_keys", "SSH key not found")


async def _update(request: web.Request) -> web.Response:
    project, record, body = project_of(request), find_server(request), await read_object(request)
    name = field(body, "name", str, record["name"])
    if not HOSTNAME.fullmatch(name):
        raise invalid("name", "must be a valid hostname as per RFC 1123")
    if any(server["name"] == name and server is not record for server in project.records("servers")):
        raise taken("name", "server name is already used")
    labels = check_labels(body.get("labels", record["labels"]))
    record.update(name=name, labels=labels)
    return web.json_response({"server": _document(request, record)})
