"""The key pairs of the hosts: a host key each, and the one client key of the world."""

from pathlib import Path

import asyncssh

from workspaces.simulators.hosts.machine import Machine


def host_key(machine: Machine) -> asyncssh.SSHKey:
    """The machine's own ed25519 key, made at the first time."""
    return key_in(machine.root / "etc/ssh/ssh_host_ed25519_key")


def key_in(file: Path) -> asyncssh.SSHKey:
    """The ed25519 key in that file; made, readable by its owner only, when there is none."""
    if file.exists():
        return asyncssh.read_private_key(file)
    key = asyncssh.generate_private_key("ssh-ed25519")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_bytes(key.export_private_key())
    return key


def public(key: asyncssh.SSHKey) -> str:
    """As authorized_keys and known_hosts have it, without a comment: "ssh-ed25519 AAAA…"."""
    return " ".join(key.export_public_key().decode().split()[:2])
