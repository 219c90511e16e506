"""Who changed what, as far as an API tells: the owner of an object's field, the action on a server. Never a guess."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from workspaces.providers.errors import ProviderError
from workspaces.providers.hetzner import Action, HetznerCloud
from workspaces.providers.managed_fields import Owner, owner_of, owners
from workspaces.rules.drift import (
    ACTIONS,
    CONTROL_PLANE_PATHS,
    NODE_PATHS,
    Actor,
    ActorOf,
    Difference,
    Done,
    explained_by,
    tells_of,
)

logger = logging.getLogger(__name__)

# Pages of actions that a look reads, and servers that it asks one by one when these did not tell: somebody who switches
# off a hundred servers must not use up the rate limit.
PAGES: Final = 4
ASKED_AT_MOST: Final = 20


def of_object(managed: Sequence[Mapping[str, Any]]) -> Callable[[tuple[str, ...]], Actor]:
    """Answers who owns a path of the object with this managedFields besides us; the document is read when asked."""
    read: list[tuple[Owner, ...]] = []

    def ask(path: tuple[str, ...]) -> Actor:
        if not read:
            read.append(owners(managed))
        owner = owner_of(read[0], path)
        return Actor(owner.manager, owner.at) if owner else Actor()

    return ask


def of_control_plane(managed: Sequence[Mapping[str, Any]]) -> ActorOf:
    """The same by the fields of a control plane, from `ControlPlane.managed`."""
    ask = of_object(managed)
    return lambda field: ask(CONTROL_PLANE_PATHS[field])


def of_node(managed: Sequence[Mapping[str, Any]]) -> ActorOf:
    """The same by the fields of a node, from `Node.managed`."""
    ask = of_object(managed)
    return lambda field: ask(NODE_PATHS[field])


def of_servers(
    cloud: HetznerCloud, servers: Mapping[str, int], *, pages: int = PAGES
) -> Callable[[UUID, Difference], Actor]:
    """Answers who changed a field of a host's server, by its actions; `servers`: the provider's ids by `ref`.

    The newest actions of the project are read when something is asked for the first time; where these do not reach back
    far enough, those of the one server. A name or a label is changed without an action: nobody is asked then.
    """
    recent: list[tuple[Mapping[int, list[Done]], bool]] = []
    asked: set[int] = set()

    def ask(_: UUID, one: Difference) -> Actor:
        server = servers.get(one.ref)
        if server is None or one.field not in ACTIONS:
            return Actor()
        if not recent:
            recent.append(_recent(cloud, pages))
        actions, complete = recent[0]
        told = [done for done in actions.get(server, ()) if done.succeeded and tells_of(done, one.field)]
        if told or complete or one.seen is None or len(asked) >= ASKED_AT_MOST:
            return explained_by(told, one.field)
        asked.add(server)
        return explained_by(_actions(cloud, server), one.field)

    return ask


def _recent(cloud: HetznerCloud, pages: int) -> tuple[Mapping[int, list[Done]], bool]:
    """The newest actions by server, and whether there are no others; when it cannot be asked, there are none."""
    found: dict[int, list[Done]] = defaultdict(list)
    try:
        actions, complete = cloud.recent_actions(pages)
    except ProviderError as error:
        logger.warning("Who changed servers could not be asked: %s", error.message)
        return found, True
    for one in actions:
        for server in one.servers:
            found[server].append(_done(one))
    return found, complete


def _actions(cloud: HetznerCloud, server: int) -> list[Done]:
    try:
        return [_done(one) for one in cloud.actions_of(server)]
    except ProviderError as error:
        logger.warning("Who changed server %s could not be asked: %s", server, error.message)
        return []


def _done(action: Action) -> Done:
    return Done(action.command, action.finished, action.status == "success", action.id)
