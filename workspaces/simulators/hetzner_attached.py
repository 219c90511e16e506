"""The simulated Hetzner Cloud's volumes, load balancers and primary IPs: what hangs on servers and can outlive them."""

import time
from collections.abc import Iterable
from typing import Final

from aiohttp import web

from .hetzner_catalogue import load_balancer_type, locations
from .hetzner_project import Project, action_document, action_fails, project_of
from .hetzner_protocol import ApiError, Document, invalid, stamp

TABLES: Final = ("volumes", "load_balancers", "primary_ips")
_WORDS: Final = {"volumes": "volume", "load_balancers": "load balancer", "primary_ips": "primary IP"}


def routes(prefix: str) -> list[web.RouteDef]:
    """The endpoints that change them; reading is beside the other collections."""
    return [
        web.delete(prefix + "/{table:volumes|load_balancers|primary_ips}/{id}", _delete),
        web.post(prefix + "/volumes/{id}/actions/detach", _detach),
    ]


def seeded_record(project: Project, table: str, described: Document) -> Document:
    """The record of one of them from the description in a world file; servers are named, and have to be there."""
    record = {
        "name": described["name"],
        "labels": described.get("labels", {}),
        "created": stamp(time.time()),
        "location": described.get("location", "fsn1"),
        "protected": described.get("protected", False),
    }
    if table == "volumes":
        server = described.get("server")
        return record | {"size": described.get("size", 10), "server": _server(project, server) if server else None}
    if table == "load_balancers":
        targets = [_server(project, name) for name in described.get("servers", ())]
        return record | {"ipv4": described.get("ipv4", "203.0.112.10"), "targets": targets}
    server = described.get("server")
    return record | {
        "ip": described["ip"],
        "auto_delete": described.get("auto_delete", False),
        "assignee": _server(project, server) if server else None,
    }


def _server(project: Project, name: str) -> int:
    for server in project.records("servers"):
        if server["name"] == name:
            return int(server["id"])
    raise invalid("server", "server not found")


# --- As the API shows them --------------------------------------------------------------------------------------------
def volumes(project: Project) -> Iterable[Document]:
    """Every volume."""
    for volume in project.records("volumes"):
        yield _shown(volume, "protected") | {
            "location": locations()[volume["location"]],
            "linux_device": f"/dev/disk/by-id/scsi-0HC_Volume_{volume['id']}",
            "protection": {"delete": volume["protected"]},
            "status": "available",
            "format": "ext4",
        }


def load_balancers(project: Project) -> Iterable[Document]:
    """Every load balancer, with those of its targets that still exist."""
    for balancer in project.records("load_balancers"):
        present = [id for id in balancer["targets"] if id in project.tables["servers"]]
        yield {
            "id": balancer["id"],
            "name": balancer["name"],
            "public_net": {
                "enabled": True,
                "ipv4": {"ip": balancer["ipv4"], "dns_ptr": None},
                "ipv6": {"ip": None, "dns_ptr": None},
            },
            "private_net": [],
            "location": locations()[balancer["location"]],
            "load_balancer_type": load_balancer_type(),
            "protection": {"delete": balancer["protected"]},
            "labels": balancer["labels"],
            "created": balancer["created"],
            "services": [],
            "targets": [
                {"type": "server", "server": {"id": id}, "health_status": [], "use_private_ip": False} for id in present
            ],
            "algorithm": {"type": "round_robin"},
            "outgoing_traffic": 0,
            "ingoing_traffic": 0,
            "included_traffic": load_balancer_type()["prices"][0]["included_traffic"],
        }


def primary_ips(project: Project) -> Iterable[Document]:
    """Every primary IP; one whose server is gone is assigned to nobody, unless it went with it."""
    for address in project.records("primary_ips"):
        there = address["assignee"] in project.tables["servers"]
        if address["assignee"] and not there and address["auto_delete"]:
            continue
        yield _shown(address, "protected", "assignee") | {
            "location": locations()[address["location"]],
            "type": "ipv4",
            "blocked": False,
            "dns_ptr": [],
            "protection": {"delete": address["protected"]},
            "assignee_type": "server",
            "assignee_id": address["assignee"] if there else None,
        }


def _shown(record: Document, *hidden: str) -> Document:
    return {name: value for name, value in record.items() if name not in hidden}


# --- Changing them ----------------------------------------------------------------------------------------------------
async def _delete(request: web.Request) -> web.Response:
    project, table = project_of(request), request.match_info["table"]
    record = project.find(table, request.match_info["id"], _WORDS[table])
    if record["protected"]:
        raise ApiError(423, "protected", f"{_WORDS[table]} deletion is protected")
    if record.get("server") is not None:
        raise ApiError(422, "invalid_input", "volume is still attached to a server")
    if record.get("assignee") in project.tables["servers"]:
        raise ApiError(422, "invalid_input", "primary IP is still assigned to a server")
    if record["id"] in project.busy("volume"):
        raise ApiError(423, "locked", "volume is locked")
    del project.tables[table][record["id"]]
    return web.Response(status=204)


async def _detach(request: web.Request) -> web.Response:
    project = project_of(request)
    record = project.find("volumes", request.match_info["id"], "volume")
    if record["server"] is None:
        raise ApiError(422, "invalid_input", "volume is not attached to a server")
    if record["id"] in project.busy("volume"):
        raise ApiError(423, "locked", "volume is locked")
    fails = action_fails(request)
    resources = [("server", record["server"]), ("volume", record["id"])]
    action = project.begin("detach_volume", resources, 1, fails=fails)
    if not fails:
        project.later(1, "volumes", record["id"], {"server": None})
    return web.json_response({"action": action_document(action)}, status=201)
