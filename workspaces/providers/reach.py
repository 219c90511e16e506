"""Whether a machine answers on its SSH port at all. No sign-in: that is `ansible.py`."""

from __future__ import annotations

import socket


def ssh_banner(address: str, port: int, *, timeout: float = 3.0) -> str:
    """ "" when an SSH server greets on `address`, else what happened instead, in a sentence."""
    try:
        with socket.create_connection((address, port), timeout=timeout) as connection:
            connection.settimeout(timeout)
            greeting = connection.recv(64)
    except TimeoutError:
        return f"No answer on port {port} within {timeout:.0f} s."
    except OSError as error:
        return f"Port {port} cannot be reached: {error.strerror or error}."
    return "" if greeting.startswith(b"SSH-") else f"Port {port} answers, but not as an SSH server."
