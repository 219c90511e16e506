"""What is done to a server of the simulated Hetzner Cloud: power, another type, protection, deletion.

Source: docs.hetzner.cloud, server actions. A shutdown's or reboot's action is over when the signal was sent: the
server's status follows later, or (reboot) does not move at all.
"""

from typing import Final, NamedTuple

from aiohttp import web

from .hetzner_catalogue import known_types
from .hetzner_project import action_document, action_fails, project_of
from .hetzner_protocol import ApiError, Document, field, invalid, read_object
from .hetzner_servers import check_available, find_server, find_type


class Command(NamedTuple):
    """What an action endpoint does: its command's name, phases until the action ends, status during and after, and
    whether the running system starts anew."""

    name: str
    phases: float
    during: str | None = None
    after: str | None = None
    after_phases: float = 0
    restarts: bool = False


COMMANDS: Final = {
    "poweron": Command("start_server", 1, "starting", "running", 1),
    "poweroff": Command("stop_server", 1, "stopping", "off", 1),
    "shutdown": Command("shutdown_server", 1, None, "off", 3),
    "reboot": Command("reboot_server", 1, restarts=True),
    "reset": Command("reset_server", 1, restarts=True),
}


def routes(prefix: str) -> list[web.RouteDef]:
    """The endpoints under /servers/{id} that begin actions."""
    server = prefix + "/servers/{id}"
    return [
        web.delete(server, _delete),
        web.post(server + "/actions/change_type", _change_type),
        web.post(server + "/actions/change_protection", _change_protection),
        web.post(server + "/actions/{command}", _command),
    ]


def _find_idle(request: web.Request) -> Document:
    record = find_server(request)
    if record["id"] in project_of(request).busy("server"):
        raise ApiError(423, "locked", "server is locked")
    return record


async def _delete(request: web.Request) -> web.Response:
    project, record = project_of(request), _find_idle(request)
    if record["protection"]["delete"]:
        raise ApiError(423, "protected", "server deletion is protected")
    fails = action_fails(request)
    action = project.begin("delete_server", [("server", record["id"])], 1, fails=fails)
    if not fails:
        project.forget_effects("servers", record["id"])
        record["status"] = "deleting"
        project.moved[record["id"]] = record
        project.later(1, "servers", record["id"], None)
        for volume in project.records("volumes"):
            if volume["server"] == record["id"]:
                project.later(1, "volumes", volume["id"], {"server": None})
    return web.json_response({"action": action_document(action)})


async def _command(request: web.Request) -> web.Response:
    command = COMMANDS.get(request.match_info["command"])
    if command is None:
        raise ApiError(404)
    project, record = project_of(request), _find_idle(request)
    fails = action_fails(request)
    action = project.begin(command.name, [("server", record["id"])], command.phases, fails=fails)
    if fails or (command.name == "shutdown_server" and _ignores(request)):
        return web.json_response({"action": action_document(action)}, status=201)
    if command.restarts and record["status"] == "running":
        project.later(command.phases, "servers", record["id"], {"boots": record["boots"] + 1})
    if command.after and record["status"] != command.after:
        project.forget_effects("servers", record["id"])
        record["status"] = command.during or record["status"]
        project.later(command.after_phases, "servers", record["id"], {"status": command.after})
    return web.json_response({"action": action_document(action)}, status=201)


def _ignores(request: web.Request) -> bool:
    """Whether a fault makes the system deaf to the button: the signal is sent, and nothing comes of it."""
    project = project_of(request)
    return project.faults.hit("hetzner", project.name, request.method, request.path, ("no_shutdown",)) is not None


async def _change_type(request: web.Request) -> web.Response:
    project, record, body = project_of(request), _find_idle(request), await read_object(request)
    grows = field(body, "upgrade_disk", bool)
    kind = find_type(field(body, "server_type", (str, int)))
    now = known_types()[record["server_type"]]
    if record["status"] != "off":
        raise ApiError(422, "server_not_stopped", "server must be stopped")
    fits = kind["architecture"] == now["architecture"] and kind["disk"] >= record["primary_disk_size"]
    if not fits or kind is now or kind["deprecated"]:
        raise ApiError(422, "invalid_server_type", "the server type does not fit for the given server or is deprecated")
    check_available(kind, record["location"])
    fails = action_fails(request)
    action = project.begin("change_server_type", [("server", record["id"])], 3, fails=fails)
    project.forget_effects("servers", record["id"])
    record["status"] = "migrating"
    changed = {
        "status": "running",
        "server_type": kind["name"],
        "primary_disk_size": kind["disk"] if grows else record["primary_disk_size"],
    }
    project.later(3, "servers", record["id"], {"status": "off"} if fails else changed)
    return web.json_response({"action": action_document(action)}, status=201)


async def _change_protection(request: web.Request) -> web.Response:
    project, record, body = project_of(request), _find_idle(request), await read_object(request)
    wanted = {name: field(body, name, bool, record["protection"][name]) for name in ("delete", "rebuild")}
    if wanted["delete"] != wanted["rebuild"]:
        raise invalid("rebuild", "must be equal to delete")
    action = project.begin("change_protection", [("server", record["id"])], 0)
    record["protection"] = wanted
    return web.json_response({"action": action_document(action)}, status=201)
