"""Actions of the simulated Hetzner Cloud, as they are listed: of one resource, of one kind, by their ids.

What begins an action is beside what it does to (hetzner_commands, hetzner_zones). Actions are all that tells what was
done to a project and when; by whom, the vendor does not say. A change of name or labels is none.
"""

from collections.abc import Iterable

from aiohttp import web

from .hetzner_project import action_document, project_of
from .hetzner_protocol import ApiError, Document, listing
from .hetzner_servers import find_server
from .hetzner_zones import find_zone

ALL_ACTIONS_GONE = (
    "https://docs.hetzner.cloud/changelog#2025-01-30-listing-arbitrary-actions-in-the-actions-endpoint-is-removed"
)
SORTS = ("id", "command", "status", "started", "finished")


def routes(prefix: str) -> list[web.RouteDef]:
    """The endpoints that list actions; before those of servers and zones, of which none is called "actions"."""
    return [
        web.get(f"{prefix}/actions", _some),
        web.get(prefix + "/actions/{action}", _one),
        web.get(prefix + "/servers/actions", _of_servers),
        web.get(prefix + "/servers/actions/{action}", _one),
        web.get(prefix + "/zones/actions", _of_zones),
        web.get(prefix + "/zones/actions/{action}", _one),
        web.get(prefix + "/servers/{id}/actions", _of_a_server),
        web.get(prefix + "/servers/{id}/actions/{action}", _one_of_a_server),
        web.get(prefix + "/zones/{zone}/actions", _of_a_zone),
        web.get(prefix + "/zones/{zone}/actions/{action}", _one_of_a_zone),
    ]


async def _some(request: web.Request) -> web.Response:
    wanted = request.query.getall("id", [])
    if not wanted:
        raise ApiError(410, details={"announcement": ALL_ACTIONS_GONE})
    actions = project_of(request).records("actions")
    # The one list without pages.
    return web.json_response({"actions": [action_document(one) for one in actions if str(one["id"]) in wanted]})


async def _one(request: web.Request) -> web.Response:
    action = project_of(request).find("actions", request.match_info["action"], "action")
    return web.json_response({"action": action_document(action)})


async def _of_servers(request: web.Request) -> web.Response:
    return _of_a_kind(request, "server")


async def _of_zones(request: web.Request) -> web.Response:
    return _of_a_kind(request, "zone")


def _of_a_kind(request: web.Request, kind: str) -> web.Response:
    actions = project_of(request).records("actions")
    return _listed(request, [one for one in actions if any(resource["type"] == kind for resource in one["resources"])])


async def _of_a_server(request: web.Request) -> web.Response:
    return _of(request, "server", find_server(request))


async def _of_a_zone(request: web.Request) -> web.Response:
    return _of(request, "zone", find_zone(request))


async def _one_of_a_server(request: web.Request) -> web.Response:
    find_server(request)
    return await _one(request)


async def _one_of_a_zone(request: web.Request) -> web.Response:
    find_zone(request)
    return await _one(request)


def _of(request: web.Request, kind: str, record: Document) -> web.Response:
    resource = {"id": record["id"], "type": kind}
    return _listed(request, [one for one in project_of(request).records("actions") if resource in one["resources"]])


def _listed(request: web.Request, actions: Iterable[Document]) -> web.Response:
    shown = [action_document(action) for action in actions]
    return listing(request, "actions", shown, "id", "status", sorts=SORTS)
