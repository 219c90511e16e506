"""The early pytest plugin: a real PostgreSQL and a real Valkey for the test run, before Django reads its settings.

The controller (or the only process) starts and stops them; xdist's workers inherit the addresses and take a Redis
database of their own, as pytest-django takes a PostgreSQL database for each. A DATABASE_URL or REDIS_URL given from
outside is used instead.
"""

import os
import shutil
import signal
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography.fernet import Fernet

from loopback.embedded import EmbeddedError, Postgres, Valkey
from loopback.programs import MissingProgram

ENVIRONMENT = {
    "SECRET_KEY": "for-the-tests-only",
    "ALLOWED_HOSTS": "testserver,127.0.0.1,localhost",
    "STATIC_FINDERS": "1",
    "INSECURE_COOKIES": "1",
    # Playwright's synchronous interface runs an event loop in the main thread, where Django then refuses to work.
    "DJANGO_ALLOW_ASYNC_UNSAFE": "1",
    "LOG_LEVEL": "WARNING",
    # The world of the tests is quick, so waiting for it and giving up on it are quick too.
    "LOOPBACK_LEASE_SECONDS": "3",
    "LOOPBACK_POLL_SECONDS": "0.2",
    "LOOPBACK_PATIENCE_SECONDS": "20",
    "LOOPBACK_CONTROL_PLANE_DEADLINE": "60",
    "LOOPBACK_DRAIN_DEADLINE": "60",
    "LOOPBACK_NODE_DEADLINE": "60",
    "LOOPBACK_PLAYBOOK_TIMEOUT": "90",
    "LOOPBACK_RECONCILE_SECONDS": "2",
    "LOOPBACK_VENDOR_TIMEOUT": "3",
}


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Prepare the environment before pytest-django loads the settings."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker:
        os.environ["REDIS_URL"] = _with_database(os.environ["REDIS_URL"], int(worker.removeprefix("gw")) + 1)
        return
    # A run that is terminated cleans up as one that is interrupted.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("LOOPBACK_ENCRYPTION_KEYS", Fernet.generate_key().decode())
    try:
        _start_servers(early_config)
    except (EmbeddedError, MissingProgram) as error:
        raise pytest.UsageError(str(error)) from None


def _start_servers(config: pytest.Config) -> None:
    """Start what is not given, and have pytest stop it at the end, however it ends."""
    directory = Path(tempfile.mkdtemp(prefix="loopback-tests-"))
    config.add_cleanup(lambda: shutil.rmtree(directory, ignore_errors=True))
    # The server may have to be another user than root.
    directory.chmod(0o711)
    if "DATABASE_URL" not in os.environ:
        postgres = Postgres(directory / "postgres", durable=False)
        config.add_cleanup(postgres.stop)
        postgres.start()
        os.environ["DATABASE_URL"] = postgres.url()
    if "REDIS_URL" not in os.environ:
        valkey = Valkey(directory / "valkey", durable=False)
        config.add_cleanup(valkey.stop)
        valkey.start()
        os.environ["REDIS_URL"] = valkey.url()


def _with_database(url: str, number: int) -> str:
    """The same server, another database: `unix:///path?db=N` or `redis://host:port/N`."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return f"unix://{parts.path}?db={number}"
    return parts._replace(path=f"/{number}").geturl()
