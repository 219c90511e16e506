"""The demo's data directory: one demo at a time, secrets made once, private files, and what a reset removes."""

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.fernet import Fernet

LOCK = "demo.lock"
# All that the demo makes there, besides the lock. Nothing else in the directory is ever touched.
CONTENTS = (
    "accounts.json",
    "bytecode",
    "demo.json",
    "fleet.json",
    "logs",
    "postgres",
    "postgres.lock",
    "postgres.new",
    "secrets.json",
    "valkey",
    "valkey.lock",
    "world",
)


class DemoError(Exception):
    """The demo cannot start here; the message is a sentence for the person at the terminal."""


@contextmanager
def only_one(directory: Path) -> Iterator[None]:
    """Hold the directory for this process. Raises DemoError when another demo does."""
    # Root's database server may run as nobody, who has to pass; the files themselves are closed to others.
    directory.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
    with (directory / LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoError(f"Another demo is running in {directory}.") from None
        yield


def prepare(directory: Path, *, reset: bool) -> None:
    """Remove what must not be taken for this run's, and with `reset` everything that an earlier run has made."""
    (directory / "demo.json").unlink(missing_ok=True)
    if reset:
        for name in CONTENTS:
            path = directory / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    (directory / "logs").mkdir(mode=0o700, exist_ok=True)


def secrets_of(directory: Path) -> dict[str, str]:
    """SECRET_KEY and LOOPBACK_ENCRYPTION_KEYS, made at the first start and kept."""
    file = directory / "secrets.json"
    if not file.exists():
        made = {"SECRET_KEY": secrets.token_urlsafe(50), "LOOPBACK_ENCRYPTION_KEYS": Fernet.generate_key().decode()}
        write_private(file, json.dumps(made))
    kept: dict[str, str] = json.loads(file.read_text())
    return kept


def write_private(file: Path, text: str) -> None:
    """Write the whole file or nothing, readable by this user only."""
    temporary = file.with_name(f"{file.name}.{os.getpid()}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(text)
    temporary.replace(file)
