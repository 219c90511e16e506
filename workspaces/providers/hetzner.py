"""Hetzner Cloud as the product sees it: plain values in and out, errors of `errors` and no others.

One instance is one token, so one project. Nothing is kept between calls and nothing is retried: who called decides.
What changes a server answers the id of an action, whose end is asked with `action`: a call that was accepted may still
fail. The values are in hetzner_values, what goes wrong in hetzner_errors.
Source: docs.hetzner.cloud; hcloud-python 2.27.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

import hcloud
import requests
from hcloud.images import Image
from hcloud.locations import Location as Place
from hcloud.placement_groups import PlacementGroup as Group
from hcloud.server_types import ServerType as Kind
from hcloud.servers import Server as Subject
from hcloud.ssh_keys import SSHKey

from .errors import Permanent
from .hetzner_errors import Once, translated
from .hetzner_values import Action, Location, Offer, PlacementGroup, Price, Pricing, Server, ServerType

__all__ = [
    "GROUP_ROOM", "Action", "HetznerCloud", "Location", "Offer", "PlacementGroup", "Price", "Pricing", "Server",
    "ServerType",
]  # fmt: skip

# Servers that a spread placement group takes.
GROUP_ROOM: Final = 10
# The most that a page of a list has.
_PER_PAGE: Final = 50


class HetznerCloud:
    """One project of the Hetzner Cloud. A call fails within about twice `timeout` seconds."""

    def __init__(self, token: str, endpoint: str, *, timeout: float = 10) -> None:
        self._client = hcloud.Client(
            token=token, api_endpoint=endpoint.rstrip("/"), application_name="loopback", timeout=timeout
        )
        # The SDK repeats time-outs, 429 and others five times, up to a minute apart, POST included, and offers no
        # setting for it; nor does it pass RateLimit-Reset on. It repeats only its own errors and requests.Timeout, so
        # an adapter that raises ours is both the end of that and the place where the headers are still there.
        session: requests.Session = self._client._client._session
        for scheme in ("https://", "http://"):
            session.mount(scheme, Once())

    # --- What is on offer ---------------------------------------------------------------------------------------------
    def server_types(self) -> list[ServerType]:
        """Every server type, those no longer or not now on offer too, with its offer per location."""
        with translated():
            return [ServerType.of(kind) for kind in self._client.server_types.get_all()]

    def locations(self) -> list[Location]:
        """Every location."""
        with translated():
            return [
                Location(one.id, one.name, one.city, one.country, one.network_zone)
                for one in self._client.locations.get_all()
            ]

    def pricing(self) -> Pricing:
        """The currency of every price, and what server types do not carry."""
        with translated():
            return Pricing.of(self._client.request("GET", "/pricing")["pricing"])

    # --- Servers ------------------------------------------------------------------------------------------------------
    def servers(self, label_selector: str = "") -> list[Server]:
        """Every server of the project, or those the label selector matches; all pages.

        Read from the documents: the SDK makes a dozen objects of each server, six times the work of the whole listing.
        """
        params = {"per_page": _PER_PAGE} | ({"label_selector": label_selector} if label_selector else {})
        found: list[Server] = []
        page: int | None = 1
        with translated():
            while page is not None:
                answer = self._client.request("GET", "/servers", params=params | {"page": page})
                found += [Server.of_document(one) for one in answer["servers"]]
                page = answer["meta"]["pagination"]["next_page"]
        return found

    def server(self, id: int) -> Server:
        """One server as it is now. Raises Permanent("not_found") when it is gone."""
        with translated():
            return Server.of(self._client.servers.get_by_id(id))

    def create_server(
        self,
        *,
        name: str,
        server_type: str,
        location: str,
        image: str,
        labels: Mapping[str, str],
        ssh_keys: Sequence[int],
        user_data: str,
        placement_group: int | None,
    ) -> tuple[Server, list[int]]:
        """Order a server, which costs from here on; it and the actions that bring it up. Names and ids, not objects.

        It may exist although this raises Temporary: look for its labels before asking again. Raises Permanent:
        no_capacity, quota, name_taken, configuration (something the project does not know).
        """
        with translated():
            made = self._client.servers.create(
                name=name,
                server_type=Kind(name=server_type),
                image=Image(name=image),
                location=Place(name=location),
                labels=dict(labels),
                ssh_keys=[SSHKey(id=id) for id in ssh_keys],
                user_data=user_data,
                placement_group=Group(id=placement_group) if placement_group else None,
            )
            return Server.of(made.server), [action.id for action in (made.action, *made.next_actions)]

    def update_server(self, id: int, *, name: str | None = None, labels: Mapping[str, str] | None = None) -> Server:
        """Rename a server or replace all of its labels, at once and without an action; returns it as it is then.

        Raises Permanent("name_taken") when another server of the project has the name.
        """
        with translated():
            changed = self._client.servers.update(
                Subject(id=id), name=name, labels=None if labels is None else dict(labels)
            )
            return Server.of(changed)

    def delete_server(self, id: int) -> int:
        """Delete a server and its disk for good. Raises Permanent("conflict") when it is protected."""
        with translated():
            return int(self._client.servers.delete(Subject(id=id)).id)

    def power_on(self, id: int) -> int:
        """Start a server; nothing happens to one that runs."""
        with translated():
            return int(self._client.servers.power_on(Subject(id=id)).id)

    def power_off(self, id: int) -> int:
        """Cut the power, whatever the system is doing."""
        with translated():
            return int(self._client.servers.power_off(Subject(id=id)).id)

    def shut_down(self, id: int) -> int:
        """Ask the system to shut down. The action is over when it was asked: watch the status for `off`."""
        with translated():
            return int(self._client.servers.shutdown(Subject(id=id)).id)

    def change_type(self, id: int, server_type: str, *, grow_disk: bool) -> int:
        """Make a server that is off another type and start it. A disk that has grown never shrinks again.

        Raises Permanent: no_capacity, quota, configuration (the type does not fit, or the server is not off).
        """
        kind = Kind(name=server_type)
        with translated():
            return int(self._client.servers.change_type(Subject(id=id), kind, upgrade_disk=grow_disk).id)

    def action(self, id: int) -> Action:
        """How far an action has come."""
        with translated():
            return Action.of(self._client.actions.get_by_id(id))

    def actions_of(self, id: int) -> list[Action]:
        """Every action on a server, those that are over too. Raises Permanent("not_found") when it is gone."""
        with translated():
            return [Action.of(one) for one in self._client.servers.get_actions(Subject(id=id), sort=["id"])]

    def recent_actions(self, pages: int) -> tuple[list[Action], bool]:
        """The newest actions on all servers of the project, the gone ones too, and whether these are all there are."""
        found: list[Action] = []
        with translated():
            for page in range(1, pages + 1):
                read = self._client.servers.actions.get_list(sort=["id:desc"], page=page, per_page=_PER_PAGE)
                found += [Action.of(one) for one in read.actions]
                if read.meta.pagination.next_page is None:
                    return found, True
        return found, False

    # --- What a server is ordered with --------------------------------------------------------------------------------
    def ssh_key(self, name: str, public_key: str) -> int:
        """The id of the project's SSH key with this text ("ssh-ed25519 AAAA…"), made under `name` when there is none.

        A project holds a key once, whatever it is called there. Raises Permanent("name_taken") when `name` is that of
        another key.
        """
        fingerprint = _fingerprint(public_key)
        keys = self._client.ssh_keys
        with translated():
            if known := keys.get_by_fingerprint(fingerprint):
                return int(known.id)
            try:
                return int(keys.create(name=name, public_key=public_key).id)
            except Permanent as error:
                # Somebody was quicker, or an answer of ours was lost on its way.
                if error.code != "name_taken" or not (known := keys.get_by_fingerprint(fingerprint)):
                    raise
                return int(known.id)

    def placement_groups(self) -> list[PlacementGroup]:
        """Every spread placement group; all pages."""
        with translated():
            return [
                PlacementGroup(group.id, group.name, dict(group.labels), len(group.servers))
                for group in self._client.placement_groups.get_all()
                if group.type == "spread"
            ]

    def placement_group(self, name: str, labels: Mapping[str, str] | None = None) -> int:
        """The id of the placement group of this name; without one it is made, as a spread group with `labels`."""
        groups = self._client.placement_groups
        with translated():
            if known := groups.get_by_name(name):
                return int(known.id)
            return int(groups.create(name=name, type="spread", labels=dict(labels or {})).placement_group.id)


def _fingerprint(public_key: str) -> str:
    """As Hetzner names keys: the MD5 of the key itself, in pairs. It tells keys apart and protects nothing."""
    digest = hashlib.md5(base64.b64decode(public_key.split()[1]), usedforsecurity=False).hexdigest()
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))
