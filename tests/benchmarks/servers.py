"""PostgreSQL, Valkey and the environment of a benchmark run. To be entered before Django reads its settings."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.fernet import Fernet

from loopback.embedded import Postgres, Valkey

ENVIRONMENT = {
    "DJANGO_SETTINGS_MODULE": "loopback.settings",
    "SECRET_KEY": "for-the-benchmarks-only",
    "ALLOWED_HOSTS": "testserver",
    "STATIC_FINDERS": "1",
    "INSECURE_COOKIES": "1",
    "LOG_LEVEL": "ERROR",
}


@contextmanager
def running() -> Iterator[None]:
    """Both servers, empty and without fsync (the disk is not what is measured), gone afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="loopback-benchmarks-"))
    directory.chmod(0o711)  # the server may have to be another user than root
    postgres, valkey = (Postgres(directory / "pg", durable=False), Valkey(directory / "valkey", durable=False))
    try:
        postgres.start()
        valkey.start()
        os.environ |= ENVIRONMENT | {
            "DATABASE_URL": postgres.url(),
            "REDIS_URL": valkey.url(),
            "LOOPBACK_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        }
        yield
    finally:
        valkey.stop()
        postgres.stop()
        shutil.rmtree(directory, ignore_errors=True)
