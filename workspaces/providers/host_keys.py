"""SSH keys as text: those that a machine shows, seen before anybody signs in to it, and the public half of ours.

A key that is seen first is believed: nothing else tells it, since a server's user data is no place for a private key.
From then on no other is (`ansible.py`).
"""

import base64
import hashlib
import shutil
import subprocess
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from .errors import Permanent, Temporary

# One is pinned, so that the client asks for that one: the kind that every server has today first.
_KINDS: Final = ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "ssh-rsa")


def scan(address: str, port: int, *, timeout: float = 5.0) -> str:
    """The key that the machine shows now, as `ssh-keyscan` has it: "ssh-ed25519 AAAA…".

    Raises Temporary("unreachable") when no key can be had, Permanent("configuration") without ssh-keyscan.
    """
    program = shutil.which("ssh-keyscan")
    if not program:
        raise Permanent("configuration", "The program ssh-keyscan is missing here: install the package openssh-client.")
    command = [program, "-T", str(max(1, round(timeout))), "-p", str(port), "-t", "ed25519,ecdsa,rsa", "--", address]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=4 * timeout, check=False)
    except subprocess.TimeoutExpired:
        raise _shown_none(address, port) from None
    keys = dict(line.split()[1:3] for line in done.stdout.splitlines() if line and not line.startswith("#"))
    kind = next((kind for kind in _KINDS if kind in keys), next(iter(keys), ""))
    if not kind:
        raise _shown_none(address, port)
    return f"{kind} {keys[kind]}"


def fingerprint(key: str) -> str:
    """As ssh shows it: "SHA256:…"."""
    digest = hashlib.sha256(base64.b64decode(key.split()[1])).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def public_half(private_key: str) -> str:
    """The public key ("ssh-ed25519 AAAA…") of a private one in OpenSSH or PEM form, without a passphrase.

    Raises Permanent("credential") when it is none; the error quotes nothing of it.
    """
    text = (private_key.strip() + "\n").encode()
    load = (
        serialization.load_ssh_private_key
        if b"BEGIN OPENSSH PRIVATE KEY" in text
        else serialization.load_pem_private_key
    )
    try:
        key = load(text, password=None).public_key()
        encoded: bytes = key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Permanent("credential", "The stored SSH key cannot be read, or it has a passphrase.") from None
    return encoded.decode()


def _shown_none(address: str, port: int) -> Temporary:
    return Temporary("unreachable", f"The machine at {address}, port {port}, has not shown its host key yet.")
