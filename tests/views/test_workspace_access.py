"""The access page of a workspace and the page of one kubeconfig: who sees what, asking, waiting, and taking it once."""

import re
import uuid
from datetime import timedelta

import django_rq
import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests import cast
from tests.views.accounts import make_old, sign_in_by_form
from tests.views.reading import text
from tests.views.sockets import no_outside  # noqa: F401
from workspaces.models import ApiKey, Event, Kubeconfig, Membership, Workspace

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_outside", "empty_queues")]
DOCUMENT = "apiVersion: v1\nkind: Config\nusers: [the-secret-of-the-cluster]\n"
WHY = "Restore drill, ticket 4711"


def recently(client, who):
    """Signed in with the password, just now."""
    cache.clear()  # the rate limits of other tests are forgotten
    sign_in_by_form(client, who)
    return client


def url(workspace) -> str:
    return f"/workspaces/{workspace.pk}/access"


def made(workspace, by, state="ready", **fields) -> Kubeconfig:
    values = {"fetched_at": timezone.now(), "certificate_until": timezone.now() + timedelta(days=364, hours=1)}
    if state == "ready":
        values["document"] = DOCUMENT
    if state == "taken":
        values["taken_at"] = timezone.now()
    values |= {"workspace": workspace, "requested_by": str(by), "requested_by_id": by.pk, "reason": WHY, "state": state}
    return Kubeconfig.objects.create(**(values | fields))


def page_of(one) -> str:
    return f"/workspaces/{one.workspace_id}/kubeconfigs/{one.pk}"


def without_tokens(answer) -> str:
    return re.sub(r"[A-Za-z0-9]{64}", "token", answer.content.decode())


# --- Who sees the access page -----------------------------------------------------------------------------------------
def test_an_administrator_reads_who_has_access_and_through_what(client, alice, bob, victor, workspace):
    ApiKey.issue(name="ci", organization=workspace.project.organization, role="viewer", created_by=alice)
    shown = text(cast.sign_in(client, alice).get(url(workspace)))
    assert "People 3 and 0 platform administrators API keys 1 can be used now" in shown
    total = "21"
    assert f"Alice Ahrens alice@kestrel.example Administrator Kestrel Freight {total} of {total}" in shown
    assert "may export a kubeconfig" in shown
    assert f"Bob Berger bob@kestrel.example Operator Freight Core 13 of {total}" in shown
    assert f"victor@kestrel.example Viewer Kestrel Freight 2 of {total}" in shown
    assert re.search(r"ci lb_\w{8}… Viewer Kestrel Freight Never", shown)


def test_an_operator_reads_it_too_and_who_can_export(client, alice, bob, workspace):
    answer = cast.sign_in(client, bob).get(url(workspace))
    assert "Alice Ahrens" in text(answer)
    assert "Only an administrator of Freight Core can export a kubeconfig." in text(answer)
    assert 'name="reason"' not in answer.content.decode()


def test_a_viewer_reads_a_sentence_instead_of_people_keys_and_kubeconfigs(client, alice, victor, workspace):
    made(workspace, alice, "taken")
    shown = text(cast.sign_in(client, victor).get(url(workspace)))
    assert "Who has access is shown to operators and administrators of Freight Core." in shown
    assert "Alice" not in shown
    assert WHY not in shown
    assert "What taking access back does" in shown


def test_for_a_stranger_nothing_of_it_exists(client, alice, charlie, workspace):
    one = made(workspace, alice)
    recently(client, charlie)
    nowhere = f"/workspaces/{uuid.uuid4()}"
    for ending in ("/access", f"/kubeconfigs/{one.pk}"):
        theirs = client.get(f"/workspaces/{workspace.pk}{ending}")
        assert theirs.status_code == 404
        assert without_tokens(theirs) == without_tokens(client.get(nowhere + ending))
    assert client.post(url(workspace), {"reason": WHY}).status_code == 404
    assert client.post(f"{page_of(one)}/document").status_code == 404
    assert Kubeconfig.objects.get().state == "ready"


def test_somebody_with_two_roles_is_one_person_with_the_rights_of_both(client, alice, bob, workspace):
    Membership.objects.create(account=bob, organization=workspace.project.organization, role="viewer")
    shown = text(cast.sign_in(client, alice).get(url(workspace)))
    assert "People 2 and" in shown
    assert "bob@kestrel.example Operator Viewer Freight Core Kestrel Freight 13 of 21" in shown


def test_people_and_keys_of_other_projects_and_those_that_ended_are_not_listed(client, alice, workspace):
    other = cast.project("Freight Labs")
    cast.account("lara@kestrel.example", "operator", on=other)
    cast.account("gone@kestrel.example", "operator", on=cast.project(), is_active=False)
    organization = workspace.project.organization
    for name, fields in {
        "narrowed elsewhere": {"project": other},
        "ended": {"expires_at": timezone.now() - timedelta(days=1)},
        "revoked": {"revoked_at": timezone.now()},
        "this project": {"project": workspace.project},
    }.items():
        ApiKey.issue(name=name, organization=organization, role="viewer", created_by=alice, **fields)
    shown = text(cast.sign_in(client, alice).get(url(workspace)))
    assert "People 1 and" in shown
    assert "this project lb_" in shown
    for absent in ("lara", "gone@", "narrowed elsewhere", "ended lb_", "revoked lb_"):
        assert absent not in shown


def test_kubeconfigs_are_listed_with_who_when_why_and_until_when_they_work(client, alice, workspace):
    made(workspace, alice, "taken")
    made(workspace, alice, "taken", certificate_until=timezone.now() - timedelta(days=3), reason="Old work")
    made(workspace, alice, "failed", failure="No.", reason="Never had")
    shown = text(cast.sign_in(client, alice).get(url(workspace)))
    assert "Kubeconfigs outside 1 handed out, certificate not ended" in shown
    assert "1 of 3 may still be in use" in shown
    assert re.search(r"Restore drill, ticket 4711 Handed out 0 s ago .* in 364 days", shown)
    assert re.search(r"Old work Ended 0 s ago \d+ Nov \d+ 3 days ago|Old work Ended .* 3 days ago", shown)
    assert "Never had Not fetched not handed out" in shown


def test_the_page_says_what_taking_back_can_do_and_offers_no_revoking_of_a_certificate(client, alice, workspace):
    made(workspace, alice, "taken")
    answer = cast.sign_in(client, alice).get(url(workspace))
    shown = text(answer)
    assert "A kubeconfig of a ServiceAccount Within seconds" in shown
    assert "A kubeconfig with a client certificate Not possible It works until its certificate ends." in shown
    assert "An upgrade No effect It issues a new kubeconfig. Those handed out before stay valid." in shown
    main = answer.content.decode().partition("<main")[2].partition("</main>")[0]
    assert re.findall(r'<form[^>]* action="([^"]+)"', main) == [url(workspace)]


def test_bare_metal_has_people_and_keys_but_no_kubeconfig(client, alice, metal):
    recently(client, alice)
    answer = client.get(url(metal))
    assert "Alice Ahrens" in text(answer)
    assert "kubeconfig" not in text(answer).lower().replace("export a kubeconfig with full rights in the cluster", "")
    answer = client.post(url(metal), {"reason": WHY})
    assert answer.status_code == 409
    assert "customs-archive has no Kubernetes, so there is no kubeconfig." in text(answer)


def test_the_number_of_queries_does_not_grow_with_people_keys_and_kubeconfigs(client, alice, workspace):
    cast.sign_in(client, alice)
    client.get(url(workspace))
    with CaptureQueriesContext(connection) as few:
        client.get(url(workspace))
    for number in range(20):
        cast.account(f"p{number}@kestrel.example", "viewer", on=cast.project())
        ApiKey.issue(name=f"k{number}", organization=workspace.project.organization, role="viewer", created_by=alice)
        made(workspace, alice, "taken")
    with CaptureQueriesContext(connection) as many:
        client.get(url(workspace))
    assert len(many) == len(few) <= 22


# --- Asking -----------------------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_asking_goes_to_the_page_of_the_kubeconfig_and_wakes_a_worker(client, alice, workspace):
    answer = recently(client, alice).post(url(workspace), {"reason": f" {WHY} "})
    one = Kubeconfig.objects.get()
    assert (answer.status_code, answer["Location"]) == (303, page_of(one))
    assert (one.reason, one.requested_by, one.requested_by_id) == (WHY, "Alice Ahrens", alice.pk)
    assert django_rq.get_queue("ticks").count == 1
    act = Event.objects.acts().get(action="kubeconfig.requested")
    assert (act.actor_name, act.workspace_id) == ("Alice Ahrens", workspace.pk)
    assert "A worker reads it from the management cluster" in text(client.get(page_of(one)))


@pytest.mark.parametrize(
    ("reason", "said"),
    [("", "Enter what the kubeconfig is for"), ("  ", "Enter what the kubeconfig is for"), ("x" * 201, "at most 200")],
)
def test_without_a_reason_nothing_is_asked_for(client, alice, workspace, reason, said):
    answer = recently(client, alice).post(url(workspace), {"reason": reason})
    assert answer.status_code == 422
    assert said in text(answer)
    assert not Kubeconfig.objects.exists()


def test_a_second_one_at_the_same_time_is_refused_with_the_way_to_the_first(client, alice, workspace):
    recently(client, alice).post(url(workspace), {"reason": WHY})
    one = Kubeconfig.objects.get()
    assert "Your kubeconfig of ledger-prod is still being fetched." in text(client.get(url(workspace)))
    answer = client.post(url(workspace), {"reason": WHY})
    assert answer.status_code == 409
    assert f'href="{page_of(one)}"' in answer.content.decode()
    assert Kubeconfig.objects.count() == 1


@pytest.mark.parametrize("who", ["bob", "victor"])
def test_whoever_may_not_export_is_refused_with_who_may(client, request, alice, who, workspace):
    recently(client, request.getfixturevalue(who))
    one = made(workspace, alice)
    assert client.post(url(workspace), {"reason": WHY}).status_code == 403
    assert client.get(page_of(one)).status_code == 403
    answer = client.post(f"{page_of(one)}/document")
    assert answer.status_code == 403
    assert "only as administrator of Freight Core" in answer.content.decode()
    assert Kubeconfig.objects.get().state == "ready"


def test_who_signed_in_long_ago_confirms_it_first_for_asking_and_for_taking(client, alice, workspace):
    recently(client, alice)
    make_old(client)
    one = made(workspace, alice)
    for address in (url(workspace), f"{page_of(one)}/document"):
        answer = client.post(address, {"reason": WHY}, headers={"Referer": f"http://testserver{url(workspace)}"})
        assert answer.status_code == 302
        assert answer["Location"].startswith("/accounts/reauthenticate/?next=%2Fworkspaces%2F")
    assert Kubeconfig.objects.get().state == "ready"


# --- Waiting and taking -----------------------------------------------------------------------------------------------
def test_it_is_handed_out_once_as_a_file_that_nothing_keeps(client, alice, workspace):
    one = made(workspace, alice)
    shown = recently(client, alice).get(page_of(one))
    assert "It can be downloaded once, until" in text(shown)
    assert "the-secret" not in shown.content.decode()
    answer = client.post(f"{page_of(one)}/document")
    assert answer.status_code == 200
    assert answer.content.decode() == DOCUMENT
    assert answer["Content-Type"] == "application/yaml; charset=utf-8"
    assert answer["Content-Disposition"] == 'attachment; filename="ledger-prod.kubeconfig.yaml"'
    assert answer["Cache-Control"] == "no-store"
    one.refresh_from_db()
    assert (one.state, one.document.token) == ("taken", "")
    assert Event.objects.acts().filter(action="kubeconfig.taken").count() == 1
    again = client.post(f"{page_of(one)}/document")
    assert again.status_code == 409
    assert "It was handed out already, and erased here." in text(again)
    assert "Handed out today" in text(client.get(page_of(one)))


def test_another_administrator_sees_it_and_cannot_take_it(client, alice, root, workspace):
    one = made(workspace, alice)
    recently(client, root)
    assert "Only Alice Ahrens can take it: they asked for it." in text(client.get(page_of(one)))
    answer = client.post(f"{page_of(one)}/document")
    assert answer.status_code == 403
    assert "Only Alice Ahrens may take it" in text(answer)
    assert "the-secret" not in answer.content.decode()


def test_who_has_lost_the_right_meanwhile_gets_nothing(client, alice, workspace):
    one = made(workspace, alice)
    Membership.objects.filter(account=alice).update(role="operator")
    assert recently(client, alice).post(f"{page_of(one)}/document").status_code == 403
    assert Kubeconfig.objects.get().state == "ready"


def test_the_page_asks_again_only_while_something_follows(client, alice, workspace):
    one = made(workspace, alice, "requested", fetched_at=None, certificate_until=None)
    cast.sign_in(client, alice)
    htmx = {"HX-Request": "true"}

    def poll(seen: str) -> tuple[int, str]:
        answer = client.get(f"{page_of(one)}?seen={seen}", headers=htmx)
        return answer.status_code, answer.content.decode()

    assert poll("requested")[0] == 204
    Kubeconfig.objects.update(state="ready", document=DOCUMENT, fetched_at=timezone.now())
    status, body = poll("requested")
    assert (status, "Download kubeconfig" in body, "?seen=ready" in body) == (200, True, True)
    assert "the-secret" not in body
    assert "<html" not in body
    assert poll("ready")[0] == 204
    Kubeconfig.objects.update(state="taken", document="", taken_at=timezone.now())
    status, body = poll("ready")
    assert (status, "hx-get" in body, "and erased here" in body) == (286, False, True)


def test_one_whose_time_is_over_is_not_offered_although_it_is_not_erased_yet(client, alice, workspace):
    one = made(workspace, alice, fetched_at=timezone.now() - timedelta(minutes=11))
    shown = text(recently(client, alice).get(page_of(one)))
    assert "It was not taken within 10 minutes, and erased." in shown
    assert "Download" not in shown
    assert client.post(f"{page_of(one)}/document").status_code == 409


def test_a_failure_is_shown_with_its_sentence_and_the_way_to_ask_again(client, alice, workspace):
    one = made(workspace, alice, "failed", failure="management cluster mgmt-fsn1: refused.")
    answer = cast.sign_in(client, alice).get(page_of(one))
    assert "management cluster mgmt-fsn1: refused. Nothing was handed out. Ask again" in text(answer)


def test_a_kubeconfig_is_found_under_its_own_workspace_only(client, alice, workspace):
    one = made(workspace, alice)
    other = cast.kubernetes("other", hosts=0)
    assert cast.sign_in(client, alice).get(f"/workspaces/{other.pk}/kubeconfigs/{one.pk}").status_code == 404


def test_names_that_could_leave_the_header_are_quoted(client, alice, workspace):
    Workspace.objects.update(name='odd "name"\r\n')
    one = made(workspace, alice)
    answer = recently(client, alice).post(f"{page_of(one)}/document")
    assert answer.status_code == 200
    assert "\n" not in answer["Content-Disposition"]


# --- Taking one back --------------------------------------------------------------------------------------------------
def revoke(client, one):
    return client.post(f"/workspaces/{one.workspace_id}/kubeconfigs/{one.pk}/revoke")


@pytest.fixture
def revocable(workspace, alice) -> Kubeconfig:
    return Kubeconfig.objects.create(
        workspace=workspace,
        kind="service_account",
        service_account="loopback-1",
        requested_by=str(alice),
        requested_by_id=alice.pk,
        reason="CI of the shop",
        state="taken",
        taken_at=timezone.now(),
        certificate_until=timezone.now() + timedelta(days=90),
    )


def test_a_kubeconfig_that_can_be_revoked_is_asked_for_by_its_kind(client, alice, workspace):
    recently(client, alice).post(url(workspace), {"reason": WHY, "kind": "service_account"})
    assert Kubeconfig.objects.get().kind == "service_account"


def test_revoking_is_asked_of_a_worker_and_not_called_done_before(client, alice, workspace, revocable):
    shown = text(recently(client, alice).get(url(workspace)))
    assert "Revoke the kubeconfig of" in shown
    answer = revoke(client, revocable)
    assert (answer.status_code, answer["Location"]) == (303, url(workspace))
    revocable.refresh_from_db()
    assert (revocable.revoked_at, revocable.revoked_by) == (None, str(alice))
    assert "Being revoked" in text(client.get(url(workspace)))
    Kubeconfig.objects.filter(pk=revocable.pk).update(revocation_failure="tenant ledger-prod: it did not answer.")
    shown = text(client.get(url(workspace)))
    assert "Not revoked yet tenant ledger-prod: it did not answer. It is tried again every minute." in shown
    Kubeconfig.objects.filter(pk=revocable.pk).update(revoked_at=timezone.now(), revocation_failure="")
    assert "Revoked" in text(client.get(url(workspace)))
    assert "opens nothing any more" in text(client.get(page_of(revocable)))


def test_one_with_a_certificate_is_refused_with_what_would_help(client, alice, workspace, revocable):
    Kubeconfig.objects.filter(pk=revocable.pk).update(kind="admin")
    answer = revoke(recently(client, alice), revocable)
    assert answer.status_code == 409
    assert "until the certificate authority of the cluster is changed." in text(answer)
    assert "Revoke the kubeconfig of" not in text(client.get(url(workspace)))


def test_revoking_needs_the_right_and_a_recent_sign_in(client, alice, bob, charlie, workspace, revocable):
    assert revoke(recently(Client(), bob), revocable).status_code == 403
    assert revoke(recently(Client(), charlie), revocable).status_code == 404
    assert revoke(cast.sign_in(client, alice), revocable).status_code == 302
    revocable.refresh_from_db()
    assert revocable.revocation_asked_at is None
