"""Every address × everybody, against the table written by hand; and what is not yours looks like what is not there."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import pytest
from django.http import HttpResponse

from tests.access import table
from tests.access.walking import KEYS, PEOPLE, Walkers, addresses, answers, ask, key_answers

pytestmark = pytest.mark.django_db
UNKNOWN = UUID("00000000-0000-4000-8000-00000000dead")
CSRF_TOKEN = re.compile(rb"(?<=[\"'; ])\w{64}(?=[\"'&])")  # masked anew for every answer
ROUTES = {address.route for address in addresses()}


def kind_of(route: str) -> str:
    """What the last id of a route is an id of: the word of `things` under which it is found."""
    for pattern, kind in table.KINDS:
        if match := re.search(pattern, route):
            return kind or match["kind"]
    raise LookupError(f"table.KINDS does not say what the ids of {route} are.")


def path_of(row: table.Row, things: dict[str, Any], *, unknown: bool = False) -> str:
    """The address with real ids, or with ids that nothing has."""
    route = row.route

    def fill(match: re.Match[str]) -> str:
        return str(UNKNOWN) if unknown else id_of(things[kind_of(route[: match.end()])])

    path = table.PATHS.get(route) or re.sub(r"<(?:\w+:)?(\w+)>", fill, route)
    return f"/{path}{named(table.QUERIES.get(row.key, ''), things)}"


def named(text: str, things: dict[str, Any]) -> str:
    """The text with ids in place of `{words}`."""
    return text.format_map({word: id_of(thing) for word, thing in things.items()})


def id_of(thing: Any) -> str:
    """Its key, or the word itself."""
    return str(getattr(thing, "pk", thing))


def body_of(row: table.Row, things: dict[str, Any]) -> dict[str, Any]:
    """What a client sends besides the address."""
    if row.method == "GET":
        return {}
    form = "application/json" if row.is_api else "application/x-www-form-urlencoded"
    return {"data": named(table.BODIES.get(row.key, ""), things), "content_type": form}


def test_every_address_has_a_row_and_every_row_an_address() -> None:
    assert {row.route for row in table.ROWS} == ROUTES
    assert len({row.key for row in table.ROWS}) == len(table.ROWS)


@pytest.mark.parametrize("row", table.ROWS, ids=lambda row: row.key)
def test_everybody_gets_what_the_table_says(row: table.Row, walking: Walkers, things: dict[str, Any]) -> None:
    path, body = path_of(row, things), body_of(row, things)
    assert answers(walking.people, row.method, path, **body) == dict(zip(PEOPLE, row.people, strict=True))
    if row.is_api:
        assert key_answers(walking.keys, row.method, path, **body) == dict(zip(KEYS, row.keys, strict=True))


@pytest.mark.parametrize("route", sorted({row.route for row in table.ROWS if row.ours}))
def test_a_method_without_a_row_is_not_there(route: str, walking: Walkers, things: dict[str, Any]) -> None:
    rows = [row for row in table.ROWS if row.route == route]
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - {row.method for row in rows}:
        response = ask(walking.people["root"], method, path_of(rows[0], things))
        assert (method, response.status_code) == (method, 405)


def seen(response: HttpResponse) -> tuple[int, bytes, dict[str, str]]:
    """All that an answer tells, but for the request's own id, the moment, and the mask of the CSRF token."""
    headers = {name: value for name, value in response.headers.items() if name not in ("X-Request-ID", "Date")}
    return response.status_code, CSRF_TOKEN.sub(b"TOKEN", response.content), headers


@pytest.mark.parametrize(
    "row", [row for row in table.ROWS if "<uuid" in row.route and (row.ours or row.is_api)], ids=lambda row: row.key
)
def test_what_is_anothers_looks_like_what_is_not_there(
    row: table.Row, walking: Walkers, things: dict[str, Any]
) -> None:
    stranger, body = walking.people["stranger"], body_of(row, things)
    theirs = seen(ask(stranger, row.method, path_of(row, things), **body))
    nobodys = seen(ask(stranger, row.method, path_of(row, things, unknown=True), **body))
    assert theirs[0] == 404
    assert theirs == nobodys


@pytest.mark.parametrize(("route", "parameter", "kind"), table.FILTERS)
def test_a_filter_that_names_what_is_anothers_answers_like_one_that_names_nothing(
    route: str, parameter: str, kind: str, walking: Walkers, things: dict[str, Any]
) -> None:
    def answer(value: object) -> tuple[int, bytes]:
        response = ask(walking.people["stranger"], "GET", f"/{route}?{parameter}={value}")
        content = response.content.replace(str(value).encode(), b"VALUE")
        return response.status_code, CSRF_TOKEN.sub(b"TOKEN", content)

    assert answer(things[kind].pk) == answer(UNKNOWN)


def test_a_key_opens_neither_console_nor_admin(walking: Walkers, things: dict[str, Any]) -> None:
    header = {"authorization": f"Bearer {walking.keys['administrator']}"}
    client = walking.people["anonymous"]
    for path in ("/workspaces", f"/workspaces/{things['workspace'].pk}", "/admin/"):
        assert client.get(path, headers=header).status_code == 302
