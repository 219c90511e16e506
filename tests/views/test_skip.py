"""Leaving a host out of an operation: the form, what follows, and the half-upgraded cluster that it may leave."""

import re
import uuid
from datetime import timedelta

import django_rq
import pytest

from tests import cast
from tests.views import an_upgrade, operation_pages
from tests.views.operation_pages import DRAIN_1, HTMX, page, text
from tests.views.sockets import no_outside  # noqa: F401
from tests.views.stopped_clock import clock  # noqa: F401
from workspaces.models import PLATFORM, Event, Host, Operation, StepPlan

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_outside", "empty_queues")]


@pytest.fixture
def bobs(client, bob):
    return cast.sign_in(client, bob)


@pytest.fixture
def running(workspace, alice, catalogue_rows) -> Operation:
    """alice's upgrade, waiting for the drain of the first host."""
    return operation_pages.draining(workspace, alice)


@pytest.fixture
def failed(workspace, alice, catalogue_rows) -> Operation:
    """alice's upgrade, failed at the drain of the first host."""
    return operation_pages.not_drained(workspace, alice)


# --- Leaving a host out -----------------------------------------------------------------------------------------------
def leave_out(client, operation, host="ledger-prod-w2", reason="Its disk is failing", **more):
    return client.post(f"/operations/{operation.pk}/skip", {"host": host, "reason": reason} | more)


def choices(answer) -> list[str]:
    """The hosts of the form."""
    return re.findall(r"<option(?: selected)?>([\w-]+)</option>", answer.content.decode())


def test_a_host_is_left_out_and_the_page_says_by_whom_and_why(bobs, running, django_capture_on_commit_callbacks):
    assert choices(page(bobs, running)) == ["ledger-prod-w1", "ledger-prod-w2", "ledger-prod-w3"]
    with django_capture_on_commit_callbacks(execute=True):
        answer = leave_out(bobs, running)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/operations/{running.pk}")
    assert [job.args[0] for job in django_rq.get_queue("operations").get_jobs()] == [str(running.pk)]
    answer = page(bobs, running)
    shown = text(answer)
    assert "ledger-prod-w2 left as it is by Bob Berger: Its disk is failing" in shown
    assert "ledger-prod-w2 1.34.8 left out left out left out left out left out left out" in shown
    assert "Steps 7 of 24 done 6 left out" in shown
    assert "Hosts 0 of 3 done one at a time, 1 left out" in shown
    assert choices(answer) == ["ledger-prod-w1", "ledger-prod-w3"]
    chosen = text(page(bobs, running, host="ledger-prod-w2"))
    assert "Drain ledger-prod-w2 Left out by Bob Berger: Its disk is failing" in chosen
    assert Event.objects.get(action="operation.host_skipped").actor_name == "Bob Berger"


def test_a_closed_host_that_is_left_out_is_only_opened_again(bobs, running):
    assert leave_out(bobs, running, host="ledger-prod-w1").status_code == 303
    answer = page(bobs, running, host="ledger-prod-w1")
    assert "0:30 0:30 left out left out left out · waiting" in text(answer)
    assert choices(answer) == ["ledger-prod-w2", "ledger-prod-w3"]


def test_the_form_is_asked_for_with_the_host_chosen(bobs, running):
    answer = bobs.get(f"/operations/{running.pk}", {"leave": "ledger-prod-w3"}, **HTMX)
    assert answer.content.decode().startswith('<select class="select" id="id_host" name="host">')
    assert "<option selected>ledger-prod-w3</option>" in answer.content.decode()
    whole = page(bobs, running, leave="ledger-prod-w3").content.decode()
    assert '<dialog id="leave" aria-labelledby="leave-title" open>' in whole
    assert " open>" not in page(bobs, running, leave="nobody").content.decode()


@pytest.mark.parametrize(
    ("reason", "said"), [("", "Enter why the host is left out"), ("  ", "Enter why"), ("x" * 201, "at most 200")]
)
def test_without_a_reason_nothing_is_left_out_and_the_form_comes_back(bobs, running, reason, said):
    answer = leave_out(bobs, running, reason=reason)
    assert answer.status_code == 422
    assert "No host was left out" in text(answer)
    assert said in text(answer)
    body = answer.content.decode()
    assert '<dialog id="leave" aria-labelledby="leave-title" open>' in body
    assert "<option selected>ledger-prod-w2</option>" in body
    assert 'aria-describedby="reason-hint reason-error" aria-invalid="true"' in body
    assert not running.steps.filter(state="skipped").exists()


def test_a_host_at_which_a_worker_is_cannot_be_left_out(bobs, running):
    running.steps.filter(position=DRAIN_1).update(state="running")
    Operation.objects.filter(pk=running.pk).update(state="running", lease_token=uuid.uuid4())
    assert choices(page(bobs, running)) == ["ledger-prod-w2", "ledger-prod-w3"]
    running.steps.filter(host__in=["ledger-prod-w2", "ledger-prod-w3"]).update(state="done")
    # The next poll may bring a row with its button: the form is there already.
    assert '<dialog id="leave"' in page(bobs, running).content.decode()
    answer = leave_out(bobs, running, host="ledger-prod-w1")
    assert answer.status_code == 409
    assert "Nothing was changed A step on ledger-prod-w1 runs at this moment." in text(answer)


def test_a_host_at_which_a_worker_is_cannot_be_left_out_of_a_later_hop_either(bobs, workspace):
    steps = [StepPlan("drain", "Drain", host=host, stage="drain", hop=hop) for hop in (1, 2) for host in ("w1", "w2")]
    hops = [{"from": a, "to": b, "workers_move": True, "reason": ""} for a, b in (("1", "2"), ("2", "3"))]
    operation = Operation.start(workspace, "upgrade", "Up", steps, actor=PLATFORM, parameters={"hops": hops})
    assert choices(page(bobs, operation)) == ["w1", "w2"]
    operation.steps.filter(position=0).update(state="running")
    assert choices(page(bobs, operation)) == ["w2"]


def test_a_failed_operation_goes_on_without_the_host_in_one_go(bobs, failed):
    assert "Continue the operation with the other hosts" in text(page(bobs, failed))
    answer = leave_out(bobs, failed, host="ledger-prod-w1", **{"continue": "1"})
    assert answer.status_code == 303
    failed.refresh_from_db()
    assert failed.state == "pending"
    assert failed.steps.get(position=DRAIN_1).state == "skipped"
    actions = Event.objects.acts().filter(operation_id=failed.pk).order_by("pk").values_list("action", flat=True)
    assert list(actions)[-2:] == ["operation.host_skipped", "operation.retried"]


def test_a_failed_operation_may_leave_a_host_out_and_stay_ended(bobs, failed):
    assert leave_out(bobs, failed, host="ledger-prod-w1").status_code == 303
    failed.refresh_from_db()
    assert failed.state == "failed"
    assert django_rq.get_queue("operations").count == 0


def test_where_it_may_not_be_continued_no_host_is_left_out_either(bobs, alice, workspace, failed, clock):  # noqa: F811
    clock.now += timedelta(minutes=1)
    an_upgrade.started(workspace, alice, target="1.35.4")
    assert choices(page(bobs, failed)) == []
    answer = leave_out(bobs, failed, host="ledger-prod-w1", **{"continue": "1"})
    assert answer.status_code == 409
    assert not failed.steps.filter(state="skipped").exists()
    assert not Event.objects.filter(action="operation.host_skipped").exists()


def test_a_paused_operation_leaves_a_host_out_and_stays_paused(bobs, running):
    Operation.objects.filter(pk=running.pk).update(state="paused", lane="routine", window_opens_at=cast.NOW)
    running.steps.filter(position=DRAIN_1).update(state="pending", started_at=None)
    assert leave_out(bobs, running).status_code == 303
    running.refresh_from_db()
    assert running.state == "paused"
    assert django_rq.get_queue("operations").count == 0


def test_who_may_not_continue_leaves_no_host_out(client, victor, running):
    cast.sign_in(client, victor)
    assert "Leave out" not in text(page(client, running))
    assert leave_out(client, running).status_code == 403
    assert not running.steps.filter(state="skipped").exists()


# --- Half upgraded ----------------------------------------------------------------------------------------------------
def test_an_ended_operation_says_what_is_half_upgraded_and_where_it_is_finished(bobs, workspace, failed):
    assert "Half upgraded" not in text(page(bobs, failed))  # nothing has been seen to move yet
    workspace.observe_version("1.35.7")
    workspace.save()
    Host.objects.filter(name="ledger-prod-w1").update(kubelet_version="1.35.7")
    answer = page(bobs, failed)
    assert (
        "Half upgraded: the control plane runs 1.35.7, 2 of 3 hosts are not on it yet. "
        "Continuing this operation goes on with them; the version page of ledger-prod says how to finish."
    ) in text(answer)
    assert f'href="/workspaces/{workspace.pk}/version">version page' in answer.content.decode()
    Host.objects.update(kubelet_version="1.35.7")
    assert "Half upgraded" not in text(page(bobs, failed))


def test_one_that_succeeded_without_a_host_is_half_upgraded_too(bobs, workspace, running):
    workspace.observe_version("1.35.7")
    workspace.save()
    Host.objects.exclude(name="ledger-prod-w2").update(kubelet_version="1.35.7")
    assert "Half upgraded" not in text(page(bobs, running))  # it is under way
    Operation.objects.filter(pk=running.pk).update(state="succeeded", finished_at=cast.NOW)
    shown = text(page(bobs, running))
    assert "1 of 3 hosts is not on it yet. The version page of ledger-prod says how to finish." in shown
