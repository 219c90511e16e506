"""The page on which a certificate authority is changed: what it costs is said before anything is asked."""

import uuid
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests import cast
from tests.views.accounts import make_old, sign_in_by_form
from tests.views.reading import text
from tests.views.sockets import no_outside  # noqa: F401
from workspaces.models import Event, Kubeconfig, Operation

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_outside", "empty_queues")]
WHY = "A laptop was stolen, ticket 4711"


@pytest.fixture
def workspace(workspace):
    workspace.hosts.update(ready=True, ansible={"ansible_host": "203.0.113.9"})
    workspace.control_plane_replicas = 1
    workspace.save()
    return workspace


def url(workspace):
    return f"/workspaces/{workspace.pk}/ca-rotation"


def recently(client, who):
    cache.clear()  # the rate limits of other tests are forgotten
    sign_in_by_form(client, who)
    return client


def handed_out(workspace, by, **fields):
    ends = timezone.now() + timedelta(days=200)
    values = {"state": "taken", "taken_at": timezone.now(), "reason": "CI of the shop", "certificate_until": ends}
    return Kubeconfig.objects.create(workspace=workspace, requested_by=by, **(values | fields))


def test_the_price_is_said_before_anything_is_typed(client, alice, workspace):
    handed_out(workspace, "Bob Berger")
    handed_out(workspace, "Gone Already", certificate_until=timezone.now() - timedelta(days=1))
    shown = text(cast.sign_in(client, alice).get(url(workspace)))
    assert "Every kubeconfig ends 1 known here Also those in pipelines, tools and laptops" in shown
    assert "Bob Berger 0 s ago CI of the shop" in shown
    assert "Gone Already" not in shown
    assert "The control plane restarts 1 replica The API is away meanwhile" in shown
    names = list(workspace.hosts.order_by("name").values_list("name", flat=True))
    assert f"{len(names)} hosts join again one after another" in shown
    assert f"Hosts that join again {', '.join(names)}" in shown
    assert "Pods keep running hosts are not drained" in shown
    assert "No way back" in shown


def test_with_two_replicas_the_api_is_not_said_to_be_away(client, alice, workspace):
    type(workspace).objects.update(control_plane_replicas=2)
    shown = text(cast.sign_in(client, alice).get(url(workspace)))
    assert "2 replicas Old and new API servers answer in turn" in shown
    assert "The API is away" not in shown


def test_it_begins_with_the_name_and_a_reason_and_leads_to_the_operation(client, alice, workspace):
    answer = recently(client, alice).post(url(workspace), {"confirm_name": workspace.name, "reason": WHY})
    operation = Operation.objects.get()
    assert (answer.status_code, answer["Location"]) == (303, f"/operations/{operation.pk}")
    assert (operation.kind, operation.requested_by) == ("ca_rotation", "Alice Ahrens")
    assert operation.title == f"Change the certificate authority of {workspace.name}"
    assert operation.parameters == {"reason": WHY}
    asked = Event.objects.acts().get(action="ca_rotation.asked")
    assert asked.summary == f"Asked to change the certificate authority of {workspace.name}: {WHY}"
    page = text(client.get(answer["Location"]))
    assert "Ask Kamaji for another certificate authority" in page
    assert "Join again" in page


def test_a_zero_character_in_the_reason_is_left_out(client, alice, workspace):
    recently(client, alice).post(url(workspace), {"confirm_name": workspace.name, "reason": "A \0leak"})
    assert Operation.objects.get().parameters == {"reason": "A leak"}


@pytest.mark.parametrize(
    ("sent", "field", "words"),
    [
        ({"confirm_name": "ledger", "reason": WHY}, "confirm_name", "Type the name of the workspace, ledger-prod"),
        ({"confirm_name": "ledger-prod", "reason": " "}, "reason", "Say why the authority is changed"),
    ],
)
def test_what_is_missing_is_said_at_its_field_and_what_was_typed_stays(client, alice, workspace, sent, field, words):
    answer = recently(client, alice).post(url(workspace), sent)
    html = answer.content.decode()
    assert answer.status_code == 422
    assert f'<a href="#{field}">{words}' in html
    assert f'id="{field}-error"' in html
    assert f'value="{sent["confirm_name"]}"' in html
    assert not Operation.objects.exists()


def test_a_host_that_is_not_ready_is_named_and_there_is_no_form(client, alice, workspace):
    host = workspace.hosts.order_by("name").first()
    type(host).objects.filter(pk=host.pk).update(ready=False)
    answer = recently(client, alice).get(url(workspace))
    assert f"It cannot be changed now. Not Ready when last seen: {host.name}." in text(answer)
    assert 'name="confirm_name"' not in answer.content.decode()
    refused = client.post(url(workspace), {"confirm_name": workspace.name, "reason": WHY})
    assert refused.status_code == 409


def test_beside_another_operation_it_does_not_begin(client, alice, workspace):
    running = Operation.objects.create(workspace=workspace, kind="upgrade", title="Upgrade", requested_by="Bob")
    recently(client, alice)
    assert "Upgrade is open." in text(client.get(url(workspace)))
    answer = client.post(url(workspace), {"confirm_name": workspace.name, "reason": WHY})
    assert answer.status_code == 409
    assert f"/operations/{running.pk}" in answer.content.decode()


def test_somebody_who_signed_in_long_ago_confirms_it_first(client, alice, workspace):
    recently(client, alice)
    make_old(client)
    answer = client.post(url(workspace), {"confirm_name": workspace.name, "reason": WHY})
    assert answer.status_code == 302
    assert "reauthenticate" in answer["Location"]
    assert not Operation.objects.exists()


def test_an_operator_may_not_and_for_a_stranger_it_does_not_exist(client, bob, charlie, workspace):
    assert cast.sign_in(client, bob).get(url(workspace)).status_code == 403
    assert cast.sign_in(client, charlie).get(url(workspace)).status_code == 404
    assert client.post(url(workspace), {}).status_code == 404
    assert client.get(f"/workspaces/{uuid.uuid4()}/ca-rotation").status_code == 404


def test_bare_metal_says_that_there_is_none(client, alice, metal):
    assert "This workspace has no Kubernetes." in text(cast.sign_in(client, alice).get(url(metal)))


def test_the_page_asks_few_questions_and_is_small(client, alice, workspace):
    for number in range(60):
        handed_out(workspace, f"Person {number}")
    cast.sign_in(client, alice)
    client.get(url(workspace))
    with CaptureQueriesContext(
        connection,
    ) as queries:
        answer = client.get(url(workspace))
    assert len(queries) <= 12, "\n".join(one["sql"][:160] for one in queries)
    assert len(answer.content) < 40_000
    assert "The newest 50 of 60." in text(answer)


def test_the_fleet_says_what_keeps_it_busy(client, alice, workspace):
    Operation.objects.create(
        workspace=workspace, kind="ca_rotation", title="Change", requested_by="Alice", state="running"
    )
    assert "Changing authority" in text(cast.sign_in(client, alice).get("/workspaces"))
