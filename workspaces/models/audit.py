"""Who acts: told to PostgreSQL once for each request, job or command, so that its triggers can write it down.

Every change of a watched table becomes an event, whoever makes it (migration 0004 says which tables, and which columns
are observations or secrets). A change made without `acting` is recorded as the database user's. What people mean by
their changes, in a sentence, is `Event.record`.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from django.db import connection

if TYPE_CHECKING:
    from workspaces.models.api_key import ApiKey
    from workspaces.models.tenancy import Account


@dataclass(frozen=True)
class Actor:
    """Who acts. `name` is kept even when the account is gone."""

    kind: str  # "account", "api_key", "platform", "command", "anonymous"; triggers add "database"
    name: str
    account_id: uuid.UUID | None = None

    @classmethod
    def of(cls, account: Account) -> Actor:
        """A signed-in person."""
        return cls("account", str(account), account.pk)

    @classmethod
    def of_key(cls, key: ApiKey) -> Actor:
        """A script with an API key."""
        return cls("api_key", f"API key {key.name}", key.pk)

    @classmethod
    def of_command(cls, name: str) -> Actor:
        """Whoever runs a management command on a machine of the platform."""
        return cls("command", f"manage.py {name}")


PLATFORM = Actor("platform", "Loopback")
ANONYMOUS = Actor("anonymous", "Nobody signed in")


@dataclass(frozen=True)
class Acting:
    """One request, job or command: what happens in it belongs together."""

    actor: Actor
    request_id: uuid.UUID
    operation_id: uuid.UUID | None = None


_acting: ContextVar[Acting | None] = ContextVar("acting", default=None)


def current() -> Acting | None:
    """What is going on in this thread, if it was said."""
    return _acting.get()


@contextmanager
def acting(
    actor: Actor, *, operation_id: uuid.UUID | None = None, request_id: uuid.UUID | None = None
) -> Iterator[Acting]:
    """Attribute all changes within to `actor`. Enter it outside any transaction: a rollback would take it back."""
    now = Acting(actor, request_id or uuid.uuid4(), operation_id)
    token = _acting.set(now)
    _tell(now)
    try:
        yield now
    finally:
        _acting.reset(token)
        _tell(_acting.get())


def identified(actor: Actor) -> None:
    """The one who acts has become known while the request was already under way (an API key was read)."""
    before = _acting.get()
    if before is not None:
        now = replace(before, actor=actor)
        _acting.set(now)
        _tell(now)


def _tell(now: Acting | None) -> None:
    """Set the connection's `loopback.acting`. A connection that is not there, or broken, has nothing to be told."""
    if now is None and (connection.connection is None or connection.needs_rollback):
        return
    document = json.dumps(asdict(now), default=str) if now else ""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('loopback.acting', %s, false)", [document])
