"""A project of the simulated cloud for a test: the real SDK, and the real ssh to its servers."""

import socket
import subprocess
import time
import uuid
from contextlib import contextmanager
from pathlib import Path

import hcloud
import pytest
from hcloud.images import Image
from hcloud.locations import Location
from hcloud.server_types import ServerType


class Cloud:
    """A project of its own in a world, its SDK, and the real ssh to its servers with the key pair of `directory`."""

    def __init__(self, world, directory, name="", **described):
        self.world, self.directory = world, Path(directory)
        self.name, self.token = name or f"p-{uuid.uuid4().hex[:8]}", described.get("token") or uuid.uuid4().hex * 2
        world.add({"hetzner_projects": [{"name": self.name, "token": self.token, **described}]})
        self.key = key_pair(self.directory / "key")

    @property
    def sdk(self):
        return hcloud.Client(token=self.token, api_endpoint=self.world.ready["hetzner_url"])

    def create(self, name="w1", *, keys=None, kind="ccx23", user_data=None, image="debian-13", **more):
        """Orders a server; gives it with its address. Does not wait."""
        if keys is None:
            keys = [self.sdk.ssh_keys.get_by_name("fleet") or self.sdk.ssh_keys.create("fleet", public(self.key))]
        made = self.sdk.servers.create(
            name=name,
            server_type=ServerType(name=kind),
            image=Image(name=image),
            location=Location(name="fsn1"),
            ssh_keys=keys,
            user_data=user_data,
            **more,
        )
        return made.server

    def up(self, name="w1", **more):
        """The same, and waits until it answers."""
        server = self.create(name, **more)
        until(lambda: self.answers(server))
        return server

    def status(self, server):
        return self.sdk.servers.get_by_id(server.id).status

    def answers(self, server):
        try:
            with socket.create_connection((address(server), self.world.ready["hetzner_ssh_port"]), 2) as connection:
                return connection.recv(8) == b"SSH-2.0-"
        except OSError:
            return False

    def ssh(self, server, command, *, key=None):
        """(exit code, output, errors) of a command."""
        options = ["-F", "/dev/null", "-o", "UserKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=no"]
        options += ["-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR"]
        port = str(self.world.ready["hetzner_ssh_port"])
        command = ["ssh", "-i", key or self.key, "-p", port, *options, f"root@{address(server)}", command]
        run = subprocess.run(command, capture_output=True, text=True, timeout=20)
        return run.returncode, run.stdout, run.stderr

    def boot_id(self, server):
        return self.ssh(server, "cat proc/sys/kernel/random/boot_id")[1]


def key_pair(file):
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "fleet", "-f", file], check=True)
    return file


def public(key):
    return key.with_suffix(".pub").read_text().strip()


def address(server):
    return server.public_net.ipv4.ip


def until(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


@contextmanager
def refused(code):
    with pytest.raises(hcloud.APIException) as caught:
        yield
    assert caught.value.code == code
