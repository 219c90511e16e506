"""Every address of the product, and who walks there: what `table.py` is compared with."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from allauth.account.internal.userkit import user_id_to_str
from django.db import transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from tests import cast
from workspaces.models import Account, ApiKey

PEOPLE = ("anonymous", "stranger", "viewer", "operator", "administrator", "staff", "root")
KEYS = ("viewer", "operator", "administrator", "stranger", "expired", "revoked")


@dataclass(frozen=True)
class Address:
    """One pattern of the address book, by its full name (`api:workspace`) or, without one, by its route."""

    name: str
    route: str
    pattern: URLPattern


@dataclass
class Walkers:
    """One client a person, signed in a moment ago, and one header a key."""

    people: dict[str, Client] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)


def addresses() -> Iterator[Address]:
    """All of them, depth first."""
    yield from _within(get_resolver(), "", "")


def _within(resolver: URLResolver, route: str, namespace: str) -> Iterator[Address]:
    for entry in resolver.url_patterns:
        path = route + str(entry.pattern)
        if isinstance(entry, URLResolver):
            inner = f"{namespace}{entry.namespace}:" if entry.namespace else namespace
            yield from _within(entry, path, inner)
        else:
            yield Address(f"{namespace}{entry.name}" if entry.name else path, path, entry)


def walkers(people: dict[str, Account | None], keys: dict[str, str]) -> Walkers:
    """Clients for all of `people`; None walks without signing in. Server errors are answers, not exceptions."""
    clients = {}
    for name, account in people.items():
        clients[name] = Client(raise_request_exception=False)
        if account is not None:
            cast.sign_in(clients[name], account)
            session = clients[name].session
            # As the sign-in form leaves it, without its rate limit: pages that need a recent sign-in open.
            session["account_authentication_methods"] = [{"method": "password", "at": time.time()}]
            session["account_authentication_methods_user"] = user_id_to_str(account)
            session.save()
    return Walkers(clients, keys)


def knock(send: Callable[[], HttpResponse]) -> HttpResponse:
    """Send a request whose changes are taken back, so that the next walker meets the same world."""
    with transaction.atomic():
        response = send()
        if response.streaming:
            b"".join(response.streaming_content)
        transaction.set_rollback(True)
    return response


def ask(client: Client, method: str, path: str, **extra: Any) -> HttpResponse:
    """What the client is answered; it stays signed in as it was, whatever it asked."""
    cookies = client.cookies.copy()
    response = knock(lambda: client.generic(method, path, **extra))
    client.cookies = cookies
    return response


def answers(clients: dict[str, Client], method: str, path: str, **extra: Any) -> dict[str, int]:
    """The status each person gets."""
    return {who: ask(client, method, path, **extra).status_code for who, client in clients.items()}


def key_answers(keys: dict[str, str], method: str, path: str, **extra: Any) -> dict[str, int]:
    """The status each key gets."""
    clients = {
        who: Client(raise_request_exception=False, headers={"authorization": f"Bearer {text}"})
        for who, text in keys.items()
    }
    return answers(clients, method, path, **extra)


def issue(name: str, *, role: str, by: Account, **fields: Any) -> str:
    """A key's text."""
    return ApiKey.issue(name=name, role=role, created_by=by, **fields)[1]
