"""No secret leaves where it is kept: not on any page, in any answer of the API, in any log line or event."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.db import connection
from django.test import Client

from tests import cast
from tests.access import table
from tests.access.test_walk import path_of
from tests.access.walking import KEYS, PEOPLE, Walkers, ask
from workspaces.models import (
    PLATFORM,
    Account,
    ApiKey,
    CalendarFeed,
    Event,
    Integration,
    Invitation,
    Kubeconfig,
    ProviderAccount,
    SshKey,
)

pytestmark = pytest.mark.django_db
KUBECONFIG, TOKEN, SSH_KEY = "kubeconfig-plover-7f3a", "hetzner-token-xyzzy-91c2", "ssh-private-plugh-0b5e"
INTEGRATION, EXPORTED, PASSWORD = "grafana-secret-frotz-c41d", "exported-kubeconfig-nitfol-2e", cast.PASSWORD


@pytest.fixture
def secrets(walking: Walkers, things: dict[str, Any], alice: Account) -> set[str]:
    """Everything secret in the database, in the clear and as it is stored."""
    workspace, organization = things["workspace"], things["organization"]
    cluster = workspace.management_cluster
    cluster.kubeconfig = KUBECONFIG
    cluster.save()
    account = ProviderAccount.objects.create(organization=organization, name="kestrel", token=TOKEN)
    key = SshKey.objects.create(name="planted", private_key=SSH_KEY)
    integration = Integration.objects.create(workspace=workspace, kind="grafana", name="planted", secret=INTEGRATION)
    exported = Kubeconfig.objects.create(workspace=workspace, requested_by="Alice", state="ready", document=EXPORTED)
    Authenticator.objects.create(user=alice, type="recovery_codes", data={"seed": "seed-of-codes-yomin-55"})
    feed = CalendarFeed.make(things["project"], PLATFORM)
    sealed = {cluster.kubeconfig, account.token, key.private_key, integration.secret, exported.document}
    hashes = {
        *ApiKey.objects.values_list("digest", flat=True),
        *Invitation.objects.values_list("digest", flat=True),
        *CalendarFeed.objects.values_list("digest", flat=True),
        *Account.objects.exclude(password__startswith="!").values_list("password", flat=True),
    }
    clear = {
        KUBECONFIG,
        TOKEN,
        SSH_KEY,
        INTEGRATION,
        EXPORTED,
        PASSWORD,
        things["token"],
        feed,
        "seed-of-codes-yomin-55",
    }
    return clear | {one.token for one in sealed} | hashes | set(walking.keys.values())


def found_in(text: str, secrets: set[str]) -> set[str]:
    """Those secrets that stand in `text`."""
    return {secret for secret in secrets if secret in text}


@pytest.mark.parametrize("who", ["administrator", "root"])
def test_no_page_and_no_answer_shows_a_secret(
    who: str, secrets: set[str], walking: Walkers, things: dict[str, Any]
) -> None:
    leaks, pages = {}, 0
    for row in table.ROWS:
        if row.method == "GET" and "token" not in row.route and row.people[PEOPLE.index(who)] == 200:
            response = ask(walking.people[who], "GET", path_of(row, things))
            text = (b"" if response.streaming else response.content).decode(errors="replace")
            pages += 1
            if found := found_in(text, secrets):
                leaks[row.key] = found
    assert leaks == {}
    assert pages > (30 if who == "administrator" else 100)


def test_no_answer_to_a_key_shows_a_secret(secrets: set[str], walking: Walkers, things: dict[str, Any]) -> None:
    client = Client(headers={"authorization": f"Bearer {walking.keys['administrator']}"})
    answered = 0
    for row in table.ROWS:
        if row.is_api and row.method == "GET" and row.keys[KEYS.index("administrator")] == 200:
            text = ask(client, "GET", path_of(row, things)).content.decode()
            assert found_in(text, secrets) == set()
            answered += 1
    assert answered > 10


def test_no_event_holds_a_secret_whatever_happens_to_the_rows_that_do(
    secrets: set[str], walking: Walkers, things: dict[str, Any]
) -> None:
    with connection.cursor() as cursor:
        for table_name, column in (
            ("workspaces_managementcluster", "kubeconfig"),
            ("workspaces_provideraccount", "token"),
            ("workspaces_sshkey", "private_key"),
            ("workspaces_integration", "secret"),
        ):
            cursor.execute(f"UPDATE {table_name} SET {column} = {column} || 'x'")
        cursor.execute("DELETE FROM workspaces_integration")
        cursor.execute("DELETE FROM workspaces_kubeconfig")
        cursor.execute("DELETE FROM mfa_authenticator")
    deleted = Event.objects.filter(action="integration.deleted")
    assert [event.changes["secret"] for event in deleted] == ["changed", "changed"]
    assert found_in(repr(list(Event.objects.values())), secrets) == set()


def test_a_calendar_feed_tells_no_secret_and_its_address_stands_in_no_log_line(
    secrets: set[str], walking: Walkers, things: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    secret = CalendarFeed.make(things["project"], PLATFORM)
    response = ask(walking.people["anonymous"], "GET", f"/calendars/{secret}.ics")
    assert response.status_code == 200
    assert found_in(response.content.decode(), secrets | {secret}) == set()
    lines = "\n".join(record.getMessage() for record in caplog.records if not record.name.startswith("django.db"))
    assert secret not in lines


def test_no_log_line_holds_a_secret(
    secrets: set[str], walking: Walkers, things: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    for row in table.ROWS:
        if row.ours or row.is_api:
            ask(walking.people["administrator"], row.method, path_of(row, things))
    lines = "\n".join(record.getMessage() for record in caplog.records if not record.name.startswith("django.db"))
    assert lines
    # The address of an invitation is its secret; the web server's own access log is off.
    assert found_in(lines, secrets - {things["token"]}) == set()
