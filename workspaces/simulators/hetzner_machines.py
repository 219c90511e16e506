"""What a server created in the simulated Hetzner Cloud boots with: its address, its system, who may log in.

Servers of the world file have no machine of their own: the host of the same name in the world is theirs.
"""

from collections.abc import Iterator
from typing import Final

import yaml

from .hetzner_catalogue import images
from .hetzner_project import Project
from .hetzner_protocol import Document

FIRST_ID: Final = 52_000_001
"""The first id of a world."""
FIRST_NET, NETS = 52, 200
RESERVED: Final = f"127.{FIRST_NET}.0.0"
"""An address no server has: holds the world's SSH port."""


def address_of(id: int) -> str:
    """An address of this machine that no other server of the world has, 127.52.0.1 for the first."""
    number = id - FIRST_ID + 1
    return f"127.{FIRST_NET + (number >> 16) % NETS}.{(number >> 8) % 256}.{number % 256}"


def machine_of(project: Project, id: int, body: Document) -> Document:
    """The machine of the new server that `body` asks for: address, image (its id) and public keys."""
    named = {str(one) for one in body.get("ssh_keys") or ()}
    uploaded = [key["public_key"] for key in project.records("ssh_keys") if {str(key["id"]), key["name"]} & named]
    return {"address": address_of(id), "keys": [*uploaded, *_keys_in(body.get("user_data") or "")]}


def system_of(image: int) -> str:
    """The name of the system on an image: "debian-13"."""
    return str(images()[image]["name"])


def _keys_in(user_data: str) -> Iterator[str]:
    """What cloud-init reads of a cloud-config: `ssh_authorized_keys`, also those of the user root."""
    if not user_data.startswith("#cloud-config"):
        return
    try:
        config = yaml.safe_load(user_data)
    except yaml.YAMLError:
        return
    if not isinstance(config, dict):
        return
    users = [user for user in config.get("users") or () if isinstance(user, dict) and user.get("name") == "root"]
    for described in (config, *users):
        yield from (str(key) for key in described.get("ssh_authorized_keys") or ())
