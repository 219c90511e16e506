"""The pages of a host: what it is and costs, what it can become, and what is lost with it."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta
from decimal import Decimal

import pytest

from tests import cast
from tests.views import price_rows
from tests.views.reading import text
from tests.views.sockets import no_outside  # noqa: F401
from tests.views.stopped_clock import clock  # noqa: F401
from workspaces.models import (
    PLATFORM,
    ComputeProfile,
    Host,
    Operation,
    PackageUpdate,
    ProfileLocation,
    ProviderAccount,
    Step,
    StepPlan,
    Workspace,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_outside", "empty_queues")]
HTMX = {"HX-Request": "true", "HX-Target": "order"}


@pytest.fixture
def alices(client, alice):
    return cast.sign_in(client, alice)


@pytest.fixture
def shelf(workspace):
    return price_rows.shelf(workspace)


@pytest.fixture
def host(workspace, shelf) -> Host:
    return workspace.hosts.order_by("name").first()


def url(host, page: str = "") -> str:
    return f"/workspaces/{host.workspace_id}/hosts/{host.pk}{page}"


def part(answer, name: str) -> str:
    """A section of the page by its heading, as it is read."""
    return text(answer).partition(f" {name} ")[2]


def hidden(answer, name: str) -> str:
    return re.search(rf'<input type="hidden" name="{name}" value="([^"]*)">', answer.content.decode())[1]


def possible(answer) -> list[str]:
    return re.findall(r'type="radio" name="profile" value="[^"]+" aria-label="([a-z0-9]+)"', answer.content.decode())


# --- Who sees them ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("who", "status"), [("alice", 200), ("bob", 200), ("victor", 403), ("root", 200)])
def test_everybody_here_sees_a_host_and_only_operators_change_it(client, request, who, status, host) -> None:
    cast.sign_in(client, request.getfixturevalue(who))
    page = client.get(url(host))
    assert page.status_code == 200
    for form in ("/resize", "/remove"):
        assert client.get(url(host, form)).status_code == status
        assert (url(host, form) in page.content.decode()) is (status == 200)


def test_for_a_stranger_and_under_another_workspace_it_does_not_exist(client, alice, charlie, host, metal) -> None:
    cast.sign_in(client, charlie)
    assert [client.get(url(host, page)).status_code for page in ("", "/resize", "/remove")] == [404, 404, 404]
    cast.sign_in(client, alice)
    elsewhere = f"/workspaces/{metal.pk}/hosts/{host.pk}"
    assert [client.get(elsewhere + page).status_code for page in ("", "/resize", "/remove")] == [404, 404, 404]
    assert client.post(f"{elsewhere}/remove", {"confirm_name": host.name}).status_code == 404
    assert client.get(f"/workspaces/{metal.pk}/hosts/{uuid.uuid4()}").status_code == 404


def test_the_overview_leads_to_every_host_and_to_another_one(client, alice, victor, host, catalogue_rows) -> None:
    page = cast.sign_in(client, alice).get(f"/workspaces/{host.workspace_id}").content.decode()
    for one in Host.objects.all():
        assert f'<a class="name mono" href="{url(one)}">{one.name}</a>' in page
    assert f'href="/workspaces/{host.workspace_id}/profiles">Add a host' in page
    page = cast.sign_in(client, victor).get(f"/workspaces/{host.workspace_id}").content.decode()
    assert "Add a host" not in page


# --- The page ---------------------------------------------------------------------------------------------------------
def test_it_tells_what_it_is_and_what_it_costs_by_which_clause(alices, host) -> None:
    answer = alices.get(url(host))
    shown = text(answer)
    assert "ledger-prod-w1 Ready Host of ledger-prod in fsn1." in shown
    assert "Profile ccx23 4 vCPU, 16 GB memory" in shown
    assert "Price €25.57 / month at most, with its IPv4 address. List €28.99" in shown
    assert "Disk 160 GB as the provider has told" in shown
    assert "Per month at most €28.49 €25.07 KF-2026-03, clause 2" in part(answer, "What it costs")
    assert "IPv4 address, per month €0.50 as list list price" in shown
    assert "net, as told today 14:25 UTC" in shown
    assert "Server 1001, running" in shown


def test_what_is_not_known_is_not_free(alices, host, metal) -> None:
    Host.objects.filter(pk=host.pk).update(profile="ccx99", disk_gb=None)
    shown = text(alices.get(url(host)))
    assert "Price Not known the provider has not told it" in shown
    assert "Disk Not known not seen yet" in shown
    assert "No price of ccx99 in fsn1 is known. Not known is not free." in shown
    other = text(alices.get(url(metal.hosts.first())))
    assert "Price Not known no provider account" in other
    assert "a machine of its own, not from a provider" in other


def test_a_host_not_seen_lately_is_not_green(alices, host, clock) -> None:  # noqa: F811
    clock.now += timedelta(hours=1)
    assert '<span class="status" data-tone="idle">Ready when last seen' in alices.get(url(host)).content.decode()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"provider_status": "gone"}, "Its server is gone: somebody has deleted it at the provider."),
        ({"provider_id": None}, "It has no server yet: its order is under way, or ended before there was one."),
        ({"ready": False, "ready_message": "Its kubelet is silent."}, "Its kubelet is silent."),
        ({"unschedulable": True}, "It is closed to new pods."),
        ({"ansible": {}}, "It cannot be managed: no address for SSH is stored."),
        ({"restart_needed": True}, "Installed updates need a restart"),
        ({"held_back": ["openssl"]}, "On hold although newer versions are there: openssl."),
        ({"node_name": ""}, "It has not joined the cluster."),
    ],
)
def test_what_a_person_has_to_know_stands_above(alices, host, fields, said) -> None:
    assert said not in text(alices.get(url(host)))
    Host.objects.filter(pk=host.pk).update(**fields)
    assert said in text(alices.get(url(host)))


def test_operations_about_it_and_on_it_and_no_others_are_listed(alices, host, workspace) -> None:
    for title, parameters, on in (
        ("Order it", {"host": str(host.pk)}, ""),
        ("Upgrade all", {}, host.name),
        ("Order another", {"host": str(uuid.uuid4())}, "ledger-prod-w2"),
    ):
        done = Operation.objects.create(
            workspace=workspace, kind="x", title=title, state="succeeded", parameters=parameters
        )
        Step.objects.create(operation=done, position=0, key="a", title="A", host=on)
    shown = part(alices.get(url(host)), "Operations about it or on it, newest first")
    assert "Order it" in shown
    assert "Upgrade all" in shown
    assert "Order another" not in shown


def test_the_packages_installed_last_are_listed(alices, host, workspace) -> None:
    done = Operation.objects.create(workspace=workspace, kind="x", title="Update", state="succeeded")
    Host.objects.filter(pk=host.pk).update(updated_at=cast.NOW - timedelta(days=2))
    PackageUpdate.objects.create(
        workspace=workspace, host=host, host_name=host.name, operation=done, package="openssl",
        from_version="3.0", to_version="3.1", installed_at=cast.NOW - timedelta(days=2),
    )  # fmt: skip
    shown = text(alices.get(url(host)))
    assert "Last updates 2 days ago" in shown
    assert "openssl 3.0 3.1" in shown


def test_the_page_costs_twelve_queries(alices, host, django_assert_max_num_queries) -> None:
    with django_assert_max_num_queries(12):
        answer = alices.get(url(host))
    assert len(answer.content) < 40_000


# --- Resizing ---------------------------------------------------------------------------------------------------------
def test_what_it_can_become_has_its_difference_and_the_rest_its_reason(alices, host, shelf) -> None:
    price_rows.place(shelf["ccx33"], "fsn1", available=False)
    answer = alices.get(url(host, "/resize"))
    assert possible(answer) == ["ccx43"]
    assert "ccx43 16 64 GB 360 GB €98.99 +€73.92" in text(answer)
    reasons = part(answer, "Not possible")
    assert "cax21 cax21 is arm, ledger-prod-w1 is x86: its system would not run." in reasons
    assert "ccx13 ccx13 has a disk of 80 GB and ledger-prod-w1 one of 160 GB, which never shrinks." in reasons
    assert "ccx33 Sold out in fsn1, available in hel1, nbg1." in reasons


def test_a_smaller_disk_leaves_the_way_to_smaller_profiles_open(alices, host) -> None:
    Host.objects.filter(pk=host.pk).update(disk_gb=80)
    answer = alices.get(url(host, "/resize"))
    assert possible(answer) == ["cpx22", "ccx13", "ccx33", "ccx43"]
    assert "ccx13 2 8 GB 80 GB €12.75 −€12.32" in text(answer)


def test_the_choice_says_what_happens_and_what_can_be_undone(alices, host, shelf) -> None:
    answer = alices.get(url(host, "/resize"), {"profile": shelf["ccx43"].pk})
    shown = part(answer, "What happens")
    assert "is closed to new pods and drained: its pods move to the other 2." in shown
    assert "It is shut down and off for some minutes while its server becomes ccx43." in shown
    assert "When the provider has no ccx43 left by then, it starts again as ccx23, as before." in shown
    assert "Its disk stays 160 GB, so that it can go back to a smaller profile." in shown
    assert (
        "Grow the disk too, to 360 GB This cannot be undone, and afterwards no smaller profile can be chosen." in shown
    )
    assert "ccx23 to ccx43: +€73.92 a month." in shown
    assert "Now €25.07 a month at most." in shown
    assert hidden(answer, "confirmed_price") == "98.9912"
    assert 'type="hidden" name="grow_disk"' not in answer.content.decode()


def test_growing_the_disk_says_that_there_is_no_way_back(alices, host, shelf) -> None:
    query = {"profile": shelf["ccx43"].pk, "grow_disk": "on"}
    answer = alices.get(url(host, "/resize"), query)
    assert "Its disk grows from 160 GB to 360 GB. That cannot be undone" in text(answer)
    assert "The disk grows to 360 GB for good." in text(answer)
    assert hidden(answer, "grow_disk") == "on"


def test_the_only_host_is_an_outage(alices, host, shelf) -> None:
    query = {"profile": shelf["ccx43"].pk}
    assert "This is an outage." not in text(alices.get(url(host, "/resize"), query))
    Host.objects.exclude(pk=host.pk).update(unschedulable=True)
    shown = text(alices.get(url(host, "/resize"), query))
    assert "This is an outage. ledger-prod-w1 is the only host of ledger-prod that can take pods." in shown
    assert "ledger-prod is out of service meanwhile." in shown


def test_a_machine_without_a_node_is_just_off(alices, metal, shelf) -> None:
    account = ProviderAccount.objects.get()
    Host.objects.filter(workspace=metal).update(
        provider_account=account, provider_id=None, profile="ccx23", location="fsn1", disk_gb=160
    )
    one = metal.hosts.first()
    Host.objects.filter(pk=one.pk).update(provider_id=77)
    shown = text(alices.get(url(one, "/resize"), {"profile": shelf["ccx43"].pk}))
    assert "off for some minutes while its server becomes ccx43, and what runs on it stops." in shown
    assert "drained" not in shown


def test_unknown_availability_is_said_and_never_a_promise(alices, host, shelf) -> None:
    ProfileLocation.objects.update(available=None)
    ProviderAccount.objects.update(profiles_error="The token was refused.")
    answer = alices.get(url(host, "/resize"), {"profile": shelf["ccx43"].pk})
    assert "The provider could not be asked with the token of kestrel-cloud." in text(answer)
    assert "ccx43 availability not known" in text(answer)
    assert "Whether it can be had now is not known. The operation asks first, and leaves the host as it is" in text(
        answer
    )


def test_the_profiles_are_those_of_the_account_the_host_is_on(alices, host, workspace) -> None:
    other = price_rows.account("other-cloud")
    price_rows.profile(other, "gpx9", disk_gb=900)
    Workspace.objects.update(provider_account=other)
    assert "gpx9" not in text(alices.get(url(host, "/resize")))
    assert "ccx43" in possible(alices.get(url(host, "/resize")))


def test_a_host_that_cannot_be_resized_says_why(alices, host, metal) -> None:
    Host.objects.filter(pk=host.pk).update(provider_id=None)
    shown = text(alices.get(url(host, "/resize")))
    assert "It cannot be resized now. ledger-prod-w1 has no server at the provider." in shown
    shown = text(alices.get(url(metal.hosts.first(), "/resize")))
    assert "customs-archive-1 belongs to no provider account." in shown


def test_htmx_gets_the_bar_and_what_happens(alices, host, shelf, django_assert_max_num_queries) -> None:
    query = {"profile": shelf["ccx43"].pk, "grow_disk": "on"}
    with django_assert_max_num_queries(13):
        answer = alices.get(url(host, "/resize"), query, headers=HTMX)
    body = answer.content.decode()
    assert body.startswith('<form class="savebar" id="order"')
    assert 'id="happens" hx-swap-oob="true"' in body
    assert "<main" not in body
    assert answer["HX-Replace-Url"] == url(host, f"/resize?profile={shelf['ccx43'].pk}&grow_disk=on")


def resize(client, host, chosen, **more):
    return client.post(url(host, "/resize"), {"profile": chosen.pk, "confirmed_price": "98.9912"} | more)


def test_a_resize_starts_with_the_confirmed_price(alices, host, shelf) -> None:
    answer = resize(alices, host, shelf["ccx43"], grow_disk="on")
    operation = Operation.objects.get()
    assert (answer.status_code, answer["Location"]) == (303, f"/operations/{operation.pk}")
    assert (operation.kind, operation.title) == (
        "host_resize",
        "Resize ledger-prod-w1 from ccx23 to ccx43, with its disk",
    )
    assert (operation.parameters["to"], operation.parameters["grow_disk"]) == ("ccx43", True)


def test_a_resize_at_another_price_shows_both(alices, host, shelf) -> None:
    price_rows.place(shelf["ccx43"], "fsn1", monthly=Decimal(120))
    answer = resize(alices, host, shelf["ccx43"])
    assert answer.status_code == 409
    assert "Confirmed was 98.9912, the price is €105.60 a month at most and €0.1587 an hour." in text(answer)
    assert hidden(answer, "confirmed_price") == "105.60"
    assert not Operation.objects.exists()


def test_a_resize_to_nothing_or_to_what_does_not_fit_is_refused(alices, host, shelf) -> None:
    assert alices.post(url(host, "/resize"), {}).status_code == 422
    assert resize(alices, host, shelf["ccx43"], confirmed_price="x").status_code == 422
    assert resize(alices, host, shelf["ccx43"], profile=uuid.uuid4()).status_code == 409
    answer = resize(alices, host, shelf["cax21"])
    assert answer.status_code == 409
    assert "The host was not resized cax21 is arm" in text(answer)
    running = Operation.start(host.workspace, "upgrade", "Upgrade it", [StepPlan("a", "A")], actor=PLATFORM)
    answer = resize(alices, host, shelf["ccx43"])
    assert answer.status_code == 409
    assert f'href="/operations/{running.pk}">Open the running operation' in answer.content.decode()


def test_five_hundred_profiles_cost_a_bounded_number_of_queries(alices, host, django_assert_max_num_queries) -> None:
    price_rows.crowd(ProviderAccount.objects.get(), profiles=500, locations=2, clauses=20)
    with django_assert_max_num_queries(15):
        answer = alices.get(url(host, "/resize"))
    assert answer.status_code == 200
    assert len(possible(answer)) > 100


# --- Removing ---------------------------------------------------------------------------------------------------------
def test_the_removal_names_what_is_lost_and_what_stops_costing(alices, host) -> None:
    shown = text(alices.get(url(host, "/remove")))
    assert "The server 1001 ccx23 in fsn1 Deleted at kestrel-cloud, with its address." in shown
    assert "Everything on its own disk 160 GB Nobody can bring it back." in shown
    assert "The node ledger-prod-w1 It is drained before: its pods move to the other 2 hosts." in shown
    assert "What stops costing €25.57 a month at most" in shown
    assert "Per month at most €25.07, by KF-2026-03, clause 2" in shown
    assert "Type ledger-prod-w1 to confirm" in shown


def test_its_typed_name_removes_it(alices, host) -> None:
    answer = alices.post(url(host, "/remove"), {"confirm_name": " ledger-prod-w1 "})
    operation = Operation.objects.get()
    assert (answer.status_code, answer["Location"]) == (303, f"/operations/{operation.pk}")
    assert (operation.kind, operation.title) == ("host_removal", "Remove host ledger-prod-w1")


@pytest.mark.parametrize("typed", ["", "ledger-prod-w2", "Ledger-prod-w1"])
def test_another_name_removes_nothing_and_says_so_at_the_field(alices, host, typed) -> None:
    answer = alices.post(url(host, "/remove"), {"confirm_name": typed})
    assert answer.status_code == 422
    body = answer.content.decode()
    assert 'id="confirm_name-error"' in body
    assert f'name="confirm_name" value="{typed}"' in body
    assert 'href="#confirm_name"' in body
    assert not Operation.objects.exists()


def test_the_last_host_has_no_form_and_is_not_removed(alices, host) -> None:
    Host.objects.exclude(pk=host.pk).delete()
    answer = alices.get(url(host, "/remove"))
    assert "It cannot be removed now. ledger-prod-w1 is the last host of ledger-prod" in text(answer)
    assert "confirm_name" not in answer.content.decode()
    assert alices.post(url(host, "/remove"), {"confirm_name": host.name}).status_code == 409
    assert not Operation.objects.exists()


def test_a_machine_without_an_account_is_left_as_it_is(alices, metal) -> None:
    one = metal.hosts.first()
    shown = text(alices.get(url(one, "/remove")))
    assert "The machine itself is left as it is." in shown
    assert "Nothing of the machine It is on no provider account and runs on." in shown
    assert "It is on no provider account, so no price is known." in shown
    assert alices.post(url(one, "/remove"), {"confirm_name": one.name}).status_code == 303


def test_a_host_that_never_got_a_server_can_be_removed(alices, host) -> None:
    Host.objects.filter(pk=host.pk).update(provider_id=None, node_name="")
    assert "There is none to delete as far as is known." in text(alices.get(url(host, "/remove")))
    assert alices.post(url(host, "/remove"), {"confirm_name": host.name}).status_code == 303


def test_an_open_operation_is_named_and_refuses(alices, host, workspace) -> None:
    running = Operation.start(workspace, "upgrade", "Upgrade it", [StepPlan("a", "A")], actor=PLATFORM)
    assert "Upgrade it is open." in text(alices.get(url(host, "/remove")))
    answer = alices.post(url(host, "/remove"), {"confirm_name": host.name})
    assert answer.status_code == 409
    assert f'href="/operations/{running.pk}">Open the running operation' in answer.content.decode()


def test_names_are_shown_as_text(alices, host) -> None:
    Host.objects.filter(pk=host.pk).update(name="<b>w1</b>", profile="<i>p</i>")
    ComputeProfile.objects.filter(name="ccx43").update(name="<u>c</u>")
    for page in ("", "/resize", "/remove"):
        body = alices.get(url(host, page)).content.decode()
        for tag in ("<b>w1</b>", "<i>p</i>", "<u>c</u>"):
            assert tag not in body, (page, tag)
