"""`manage.py check`: what would only be noticed at night is said at start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register


@register()
def encryption_keys(**_: Any) -> list[CheckMessage]:
    """Credentials can be sealed and opened."""
    if not settings.LOOPBACK_ENCRYPTION_KEYS:
        return [
            Warning(
                "LOOPBACK_ENCRYPTION_KEYS is empty: no credential can be stored or used.",
                hint="Set it to one or more Fernet keys, newest first.",
                id="loopback.W001",
            )
        ]
    try:
        [Fernet(key) for key in settings.LOOPBACK_ENCRYPTION_KEYS]
    except ValueError:
        return [Error("LOOPBACK_ENCRYPTION_KEYS holds something that is not a Fernet key.", id="loopback.E001")]
    return []


@register()
def playbooks(**_: Any) -> list[CheckMessage]:
    """The operator's own playbooks, if any, are where the setting says."""
    if settings.LOOPBACK_PLAYBOOKS and not Path(settings.LOOPBACK_PLAYBOOKS).is_dir():
        return [Error(f"LOOPBACK_PLAYBOOKS is no directory: {settings.LOOPBACK_PLAYBOOKS}", id="loopback.E002")]
    return []
