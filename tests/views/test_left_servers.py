"""Left servers: told with their price and age, never as none when nobody could ask, deleted by name."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from tests import cast
from tests.views.commercial import account, contract, left, listed, on_account, text
from tests.views.sockets import no_outside  # noqa: F401
from tests.views.stopped_clock import clock  # noqa: F401
from workspaces.models import PLATFORM, Event, Host, LeftServer, Operation, StepPlan

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_outside", "empty_queues")]
PAGE = "/left-servers"


@pytest.fixture
def alices(client, alice):
    return cast.sign_in(client, alice)


@pytest.fixture
def cloud(db):
    """An account that knows the price of ccx23 in fsn1: 24.99 a month, and 0.50 for its address."""
    made = account()
    listed(made, "ccx23", hourly="0.0400", monthly="24.99", primary_ip=Decimal("0.50"))
    return made


def delete(client, server, name):
    return client.post(f"{PAGE}/{server.pk}/delete", {"confirm_name": name})


# --- The page ---------------------------------------------------------------------------------------------------------
def test_a_left_server_is_told_with_its_age_its_workspace_and_its_price(alices, cloud, workspace):
    contract("KF-2026-03", {"family": "ccx*"})
    left(cloud, workspace=workspace)
    said = text(alices.get(PAGE))
    # 88 % of 24.99 are 21.9912, and the address costs what the list says.
    assert "1 left server costs €22.49 a month at most. kestrel-cloud Looked at 42 s ago" in said
    assert (
        "ledger-prod-w9 ccx23 in fsn1, running, no. 4711 ledger-prod 12 Nov 2026 12 days ago 3 h ago "
        "last seen 42 s ago €25.49 €22.49 KF-2026-03, clause 1 Delete server ledger-prod-w9 "
        "Together a month €25.49 €22.49"
    ) in said


def test_a_price_that_is_not_known_is_named_and_in_no_sum(alices, cloud):
    left(cloud, "known")
    left(cloud, "unknown", provider_id=4712, profile="cx99")
    said = text(alices.get(PAGE))
    assert "2 left servers cost €25.49 a month at most, and 1 of them something that is not known." in said
    assert re.search(r"unknown cx99 in fsn1, .* not known not known Delete server", said)
    assert "Together a month, without 1 whose price is not known €25.49 €25.49" in said


def test_when_no_price_at_all_is_known_there_is_no_sum(alices):
    left(account())
    said = text(alices.get(PAGE))
    assert "1 left server , at prices that are not known." in said
    assert "Together" not in said
    assert "€" not in said


def test_nothing_left_says_when_it_was_last_looked(alices, cloud):
    said = text(alices.get(PAGE))
    assert "Nothing is left: every server under our labels belongs to a host." in said
    assert "kestrel-cloud Kestrel Freight None Today 14:31 42 s ago" in said


def test_an_account_that_could_not_be_asked_is_not_known_and_never_none(alices, cloud):
    since = cast.NOW - timedelta(hours=2)
    cloud.error_code, cloud.error_message, cloud.error_since = "unauthorized", "The token is refused.", since
    cloud.save()
    said = text(alices.get(PAGE))
    assert "Nothing left is known. 1 of 1 account is not known." in said
    assert "kestrel-cloud Last answered 42 s ago Not known since today 12:32 UTC." in said
    assert "The account could not be asked: The token is refused. Nothing was left when it was last answered." in said
    assert "Nothing is left" not in said
    assert " None " not in said
    left(cloud)
    assert "The token is refused. Below is what was seen before." in text(alices.get(PAGE))


def test_an_account_that_nobody_has_looked_at_is_not_known(alices):
    account(observed_at=None)
    said = text(alices.get(PAGE))
    assert "Not looked at yet Not known. Nobody has looked at this account yet." in said
    assert "Nothing is left" not in said


def test_an_old_look_says_nothing_about_now(alices, settings):
    settings.LOOPBACK_RECONCILE_SECONDS = 60
    account(observed_at=cast.NOW - timedelta(seconds=120))
    assert "kestrel-cloud Kestrel Freight None Today 14:30" in text(alices.get(PAGE))
    account("forgotten-cloud", observed_at=cast.NOW - timedelta(seconds=121))
    said = text(alices.get(PAGE))
    assert "1 of 2 accounts is not known." in said
    assert "forgotten-cloud Last answered 2 min ago Not known. Nobody has looked at this account for 2 min." in said
    looks = alices.get("/api/v1/left-servers").json()["items"]
    assert {look["name"]: look["known"] for look in looks} == {"kestrel-cloud": True, "forgotten-cloud": False}


def test_a_host_whose_server_is_gone_or_never_came_says_what_to_do(alices, cloud, workspace):
    on_account(workspace, cloud)
    Host.objects.filter(name="ledger-prod-w1").update(provider_status="gone")
    Host.objects.filter(name="ledger-prod-w2").update(provider_id=None)
    answer = alices.get(PAGE)
    said = text(answer)
    assert "2 hosts have no server." in said
    assert (
        "ledger-prod-w1 ccx23 in fsn1 ledger-prod Server gone The provider lists no. 100 no more Remove the host"
        in said
    )
    assert "ledger-prod-w2 ccx23 in fsn1 ledger-prod Never got a server No open order makes one Remove the host" in said
    assert "ledger-prod-w3" not in said
    host = Host.objects.get(name="ledger-prod-w1")
    assert f'href="/workspaces/{workspace.pk}/hosts/{host.pk}/remove"' in answer.content.decode()


def test_a_host_that_an_open_order_makes_is_not_missing_its_server(alices, cloud, workspace):
    on_account(workspace, cloud)
    host = Host.objects.get(name="ledger-prod-w2")
    Host.objects.filter(pk=host.pk).update(provider_id=None)
    order = Operation.start(
        workspace,
        "host_order",
        "Order host",
        [StepPlan("one", "One")],
        actor=PLATFORM,
        parameters={"host": str(host.pk)},
    )
    assert isinstance(order, Operation)
    assert "ledger-prod-w2" not in text(alices.get(PAGE))
    order.state = "failed"
    order.save()
    assert "ledger-prod-w2" in text(alices.get(PAGE))


def test_bare_metal_without_an_account_misses_no_server(alices, cloud, metal):
    assert "Never got a server" not in text(alices.get(PAGE))


def test_who_sees_what_of_whom(client, alice, bob, victor, charlie, root, cloud, workspace):
    customs = cast.kubernetes("rates", project=cast.project("Customs"), hosts=1)
    Host.objects.filter(workspace=customs).update(provider_account=cloud, provider_id=None)
    left(cloud, "of-customs", workspace=customs)
    left(cloud, "of-nobody", provider_id=4712, workspace=uuid4())
    left(account("fjord-cloud", "Fjordline"), "of-fjordline")
    expected = {
        alice: ["of-customs", "of-nobody", "rates-w1"],
        bob: ["of-customs", "of-nobody"],
        victor: ["of-customs", "of-nobody", "rates-w1"],
        charlie: ["of-fjordline"],
        root: ["of-customs", "of-nobody", "of-fjordline", "rates-w1"],
    }
    for who, names in expected.items():
        said = text(cast.sign_in(client, who).get(PAGE))
        found = [name for name in ("of-customs", "of-nobody", "of-fjordline", "rates-w1") if f"{name} " in said]
        assert sorted(found) == sorted(names), who
    # Bob operates another project: he is not told the workspace's name, and deletes nothing.
    said = text(cast.sign_in(client, bob).get(PAGE))
    assert re.search(r"of-customs ccx23 in fsn1, running, no\. 4711 a workspace that you do not see", said)
    assert "An administrator or operator of Kestrel Freight as a whole can delete them." in said
    assert "Delete server" not in said
    assert "Remove the host" not in text(cast.sign_in(client, victor).get(PAGE))


def test_the_navigation_counts_what_the_reader_sees(client, alice, bob, charlie, root, cloud):
    left(cloud)
    left(cloud, "second", provider_id=4712)
    left(account("fjord-cloud", "Fjordline"), "third")
    for who, count in ((alice, 2), (bob, 2), (charlie, 1), (root, 3)):
        page = cast.sign_in(client, who).get("/versions").content.decode()
        assert f'Left servers<span class="count" data-tone="warn">{count}</span>' in page, who
    LeftServer.objects.all().delete()
    assert "Left servers</a>" in client.get("/versions").content.decode()


def test_somebody_with_several_roles_counts_an_organization_once(client, bob, cloud):
    left(cloud)
    bob.memberships.create(organization=cast.organization("Kestrel Freight"), project=None, role="viewer")
    bob.memberships.create(organization=cast.organization("Fjordline"), project=None, role="viewer")
    assert 'data-tone="warn">1</span>' in cast.sign_in(client, bob).get("/versions").content.decode()


def test_fifty_accounts_cost_as_many_queries_as_one(alices, cloud, workspace, django_assert_max_num_queries):
    def fill(number):
        by = account(f"cloud-{number}")
        listed(by, "ccx23", hourly="0.04", monthly="24.99")
        left(by, f"left-{number}", workspace=workspace)

    fill(0)
    with django_assert_max_num_queries(14):
        alices.get(PAGE)
    for number in range(1, 50):
        fill(number)
    with django_assert_max_num_queries(14):
        answer = alices.get(PAGE)
    assert answer.content.decode().count("Delete server<") == 50
    assert len(answer.content) < 100_000


# --- Deleting ---------------------------------------------------------------------------------------------------------
def test_a_server_is_deleted_by_its_name_in_the_name_of_who_asked(alices, cloud, workspace):
    server = left(cloud, workspace=workspace)
    said = text(alices.get(f"{PAGE}/{server.pk}/delete"))
    assert "Delete ledger-prod-w9 A server of kestrel-cloud that no host has." in said
    assert "No longer paid €25.49 a month at most, list €25.49" in said
    assert "Type ledger-prod-w9 to confirm." in said
    answer = delete(alices, server, "ledger-prod-w9")
    assert (answer.status_code, answer["Location"]) == (303, PAGE)
    server.refresh_from_db()
    assert server.status == "deleting"
    assert Event.objects.acts().latest("id").actor_name == "Alice Ahrens"
    said = text(alices.get(PAGE))
    assert "Being deleted" in said
    assert "Delete server" not in said
    assert 'name="confirm_name"' not in alices.get(f"{PAGE}/{server.pk}/delete").content.decode()


def test_another_name_deletes_nothing_and_says_so_at_the_field(alices, cloud, workspace):
    server = left(cloud, workspace=workspace)
    answer = delete(alices, server, "ledger-prod-w8")
    assert answer.status_code == 422
    page = answer.content.decode()
    assert 'value="ledger-prod-w8"' in page
    assert 'aria-invalid="true"' in page
    assert "Type the name of the server, ledger-prod-w9, to confirm." in text(answer)
    server.refresh_from_db()
    assert server.status == "running"


def test_what_was_found_a_moment_ago_can_be_deleted_after_the_next_look_only(alices, cloud, workspace):
    server = left(cloud, workspace=workspace, first_seen_at=cast.NOW - timedelta(seconds=42))
    said = text(alices.get(PAGE))
    assert "Can be deleted after the next look" in said
    assert "Delete server" not in said
    said = text(alices.get(f"{PAGE}/{server.pk}/delete"))
    assert "It cannot be deleted here now. It was found left 42 s ago" in said
    answer = delete(alices, server, "ledger-prod-w9")
    assert answer.status_code == 409
    server.refresh_from_db()
    assert server.status == "running"


def test_a_server_of_another_installation_is_shown_and_not_offered(alices, cloud):
    server = left(cloud, workspace=uuid4())
    said = text(alices.get(PAGE))
    assert "Nothing here another installation may have made it" in said
    assert "Delete server" not in said
    assert "another installation may have made it" in text(alices.get(f"{PAGE}/{server.pk}/delete"))
    assert delete(alices, server, "ledger-prod-w9").status_code == 409


def test_deleting_needs_the_right_on_the_organization_as_a_whole(client, bob, victor, charlie, cloud, workspace):
    server = left(cloud, workspace=workspace)
    for who, status in ((bob, 403), (victor, 403), (charlie, 404)):
        cast.sign_in(client, who)
        assert client.get(f"{PAGE}/{server.pk}/delete").status_code == status, who
        assert delete(client, server, "ledger-prod-w9").status_code == status, who
    server.refresh_from_db()
    assert server.status == "running"
    olga = cast.account("olga@kestrel.example", "operator", on=cast.organization("Kestrel Freight"))
    cast.sign_in(client, olga)
    assert delete(client, server, "ledger-prod-w9").status_code == 303
