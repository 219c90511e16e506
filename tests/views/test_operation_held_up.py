"""The page of an operation: what holds it up, when it ends, its hops, and what its preflight found."""

import inspect
import re
from datetime import timedelta
from pathlib import Path

import pytest

from tests import cast
from tests.views import an_upgrade, operation_pages
from tests.views.operation_pages import DRAIN_1, KUBEADM_2, page, poll, seen, text
from tests.views.sockets import no_outside  # noqa: F401
from tests.views.stopped_clock import clock  # noqa: F401
from workspaces.models import PLATFORM, Actor, Operation, StepPlan
from workspaces.rules.preflight import CODES
from workspaces.rules.trouble import WHO_CAN_FIX
from workspaces.views.causes import in_words

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_outside", "empty_queues")]


@pytest.fixture
def bobs(client, bob):
    return cast.sign_in(client, bob)


@pytest.fixture
def running(workspace, alice, catalogue_rows) -> Operation:
    """alice's upgrade, waiting for the drain of the first host."""
    return operation_pages.draining(workspace, alice)


# --- What holds it up -------------------------------------------------------------------------------------------------
def held_up(operation, **fields):
    operation.steps.filter(position=DRAIN_1).update(
        cause="budget_never_yields", who_can_fix="The owners of shop/web: add a replica.", **fields
    )


def test_a_waiting_step_says_why_and_who_can_fix_it_in_its_row_and_after_a_minute_at_the_top(bobs, running):
    held_up(running, started_at=cast.NOW - timedelta(seconds=59))
    row = (
        "Drain ledger-prod-w1 2 pods left Cause: a disruption budget never allows an eviction. "
        "Who can fix it: The owners of shop/web: add a replica. since 14:31"
    )
    assert row in text(page(bobs, running))
    assert "Waiting for" not in text(page(bobs, running))
    held_up(running, started_at=cast.NOW - timedelta(minutes=4))
    shown = text(page(bobs, running))
    assert (
        "Waiting for 4 min: Drain ledger-prod-w1. 2 pods left Cause: a disruption budget never allows an eviction. "
        "Who can fix it: The owners of shop/web: add a replica." in shown
    )
    running.steps.filter(position=DRAIN_1).update(state="running")
    Operation.objects.filter(pk=running.pk).update(state="running")
    assert "Waiting for" not in text(page(bobs, running))


def test_a_new_cause_alone_is_brought_by_the_next_poll(bobs, running):
    said = seen(page(bobs, running))
    held_up(running)
    assert "Cause: a disruption budget never allows an eviction." in text(poll(bobs, running, said))


def test_every_code_that_can_hold_up_a_step_has_words():
    diagnosis = Path(inspect.getsourcefile(in_words)).parents[1] / "operations" / "diagnosis.py"
    codes = re.findall(r'Finding\(\s*"(\w+)"', diagnosis.read_text())
    assert {"paused", "budget_blocks", "image_cannot_be_pulled"} <= set(codes)
    without = {code for code in [*codes, *WHO_CAN_FIX, *CODES] if in_words(code) == code.replace("_", " ")}
    assert without == set()
    assert (in_words("hosts_reachable"), in_words("new_code"), in_words("")) == (
        "the check “Hosts answer over SSH” does not pass",
        "new code",
        "",
    )


# --- When it ends -----------------------------------------------------------------------------------------------------
def test_below_ten_upgrades_the_end_is_not_known_yet(bobs, running, workspace):
    an_upgrade.measured(cast.kubernetes("measured"), 9)
    assert "Expected end Not known yet 9 of 10 upgrades measured" in text(page(bobs, running))


def test_the_end_is_told_from_the_upgrades_measured_until_a_host_of_its_own_is_done(bobs, running, workspace):
    an_upgrade.measured(cast.kubernetes("measured"), 10, host=400)
    # 30 s for kubeadm, 30 s to close it, and 18 min 30 s at its drain: the first host is over its time. Two are left.
    shown = text(page(bobs, running))
    assert "Expected end 14:45 UTC from 10 upgrades measured" in shown
    assert shown.count("about 6:40") == 2
    an_upgrade.at(running, KUBEADM_2, "running", state="running", started_at=cast.NOW - timedelta(seconds=345))
    # The first took 180 s; the second has run for 15 s, the third has not begun.
    shown = text(page(bobs, running))
    assert "Expected end 14:37 UTC from the time of host 1" in shown
    assert shown.count("about 3:00") == 1


def test_hosts_that_are_left_out_need_no_time(bobs, running, alice):
    an_upgrade.at(running, KUBEADM_2, "running", state="running", started_at=cast.NOW - timedelta(seconds=345))
    assert running.skip_host("ledger-prod-w3", "Replaced on Friday", Actor.of(alice)) is None
    assert "Expected end 14:34 UTC from the time of host 1" in text(page(bobs, running))


@pytest.mark.parametrize("fields", [{"state": "paused"}, {"state": "failed"}, {"stop_requested_at": cast.NOW}])
def test_what_does_not_run_to_its_end_has_no_expected_end(bobs, running, fields):
    an_upgrade.measured(cast.kubernetes("measured"), 10)
    Operation.objects.filter(pk=running.pk).update(**fields)
    assert "Expected end" not in text(page(bobs, running))


# --- Several hops -----------------------------------------------------------------------------------------------------
def test_each_hop_has_its_heading_its_steps_and_its_hosts_and_says_where_they_wait(bobs, alice, catalogue_rows):
    hopping = an_upgrade.at(an_upgrade.through(cast.kubernetes("hopping", hosts=2), alice), 11, "running")
    shown = text(page(bobs, hopping))
    first, second = shown.index("Hop 1 of 2: 1.34.8 to 1.35.7"), shown.index("Hop 2 of 2: 1.35.7 to 1.36.2")
    assert "Hosts wait in this hop." in shown[first:second]
    assert "Wait until kubeadm-config names 1.35.7 0:30" in shown[first:second]
    assert "hopping-w1" not in shown[first:second]
    assert "Set the control plane to 1.36.2 0:30" in shown[second:]
    assert "Steps on hopping-w1" in shown[second:]
    assert "Running, hop 2 of 2, host 1 of 2: Close hopping-w1 to new pods." in shown


def test_a_host_that_moves_in_two_hops_is_shown_in_the_one_that_runs(bobs, alice, workspace):
    def on_w1(hop):
        return [StepPlan("drain", f"Drain in hop {hop}", host="w1", stage="drain", hop=hop)]

    hops = [{"from": a, "to": b, "workers_move": True, "reason": ""} for a, b in (("1", "2"), ("2", "3"))]
    operation = Operation.start(
        workspace, "upgrade", "Up", [*on_w1(1), *on_w1(2)], actor=PLATFORM, parameters={"hops": hops}
    )
    assert "Steps on w1 Drain in hop 1" in text(page(bobs, operation))
    operation.steps.filter(hop=1).update(state="done")
    body = page(bobs, operation).content.decode()
    assert "Steps on w1 Drain in hop 2" in text(page(bobs, operation))
    assert body.count('id="host"') == 1


# --- The preflight ----------------------------------------------------------------------------------------------------
def test_the_preflight_is_a_line_that_opens_to_its_checks(bobs, running):
    an_upgrade.checked(running, disruption_budgets="fail", control_plane_replicas="fail", hosts_reachable="cannot_tell")
    shown = text(page(bobs, running))
    assert "Preflight: 10 passed, 1 failed, 1 warning, 1 cannot tell, checked 14:10 UTC" in shown
    assert "Hosts answer over SSH Cannot tell Evidence of hosts_reachable." in shown
    assert "Who can fix it: Who sees to hosts_reachable." in shown


def test_a_risk_that_was_taken_is_counted_apart_with_who_took_it(bobs, running, alice):
    an_upgrade.checked(running, disruption_budgets="fail")
    running.accept_risks(["disruption_budgets"], Actor.of(alice))
    running.save()
    shown = text(page(bobs, running))
    assert "Preflight: 12 passed, 1 accepted by Alice Ahrens, checked 14:10 UTC" in shown
    assert "Evidence of disruption_budgets. Alice Ahrens takes this risk." in shown


def test_one_that_was_looked_at_another_day_says_which(bobs, running):
    an_upgrade.checked(running, at=cast.NOW - timedelta(days=1))
    assert "Preflight: 13 passed, checked Mon 23 Nov 14:32 UTC" in text(page(bobs, running))


@pytest.fixture
def stopped_by_checks(workspace, alice, catalogue_rows) -> Operation:
    """alice's upgrade, failed at its preflight."""
    failed = an_upgrade.at(
        an_upgrade.started(workspace, alice),
        0,
        "failed",
        state="failed",
        finished_at=cast.NOW,
        error_code="preflight_failed",
        error_message="Two checks do not pass.",
    )
    an_upgrade.checked(failed, version_skew="fail", nodes_ready="fail", control_plane_replicas="fail")
    return failed


def test_what_stops_it_is_listed_and_what_may_be_risked_has_a_box(bobs, stopped_by_checks):
    answer = page(bobs, stopped_by_checks)
    shown = text(answer)
    assert "What stops it 2 checks" in shown
    assert "Take the risk: Every host is Ready" in shown
    assert "The new version serves every kubelet failed Evidence of version_skew. ledger-prod-w2" in shown
    assert "Who can fix it: Who sees to version_skew. Nobody may take this risk." in shown
    assert re.findall(r'name="accept" value="(\w+)"', answer.content.decode()) == ["nodes_ready"]
    assert 'id="retry-button" form="continue"' in answer.content.decode()


def test_a_risk_is_taken_with_the_continuing(bobs, stopped_by_checks):
    answer = bobs.post(f"/operations/{stopped_by_checks.pk}/retry", {"accept": ["nodes_ready", "disruption_budgets"]})
    assert answer.status_code == 303
    stopped_by_checks.refresh_from_db()
    assert stopped_by_checks.accepted_risks == {"nodes_ready", "disruption_budgets"}
    assert {risk["by"] for risk in stopped_by_checks.parameters["accepted_risks"]} == {"Bob Berger"}
    assert "What stops it" not in text(page(bobs, stopped_by_checks))


def test_a_risk_that_nobody_may_take_continues_nothing(bobs, stopped_by_checks):
    answer = bobs.post(f"/operations/{stopped_by_checks.pk}/retry", {"accept": ["nodes_ready", "version_skew"]})
    assert answer.status_code == 409
    assert "Nothing was changed No risk that can be taken: version_skew." in text(answer)
    stopped_by_checks.refresh_from_db()
    assert (stopped_by_checks.state, stopped_by_checks.accepted_risks) == ("failed", frozenset())


def test_what_stops_only_automatic_work_says_so(bobs, stopped_by_checks):
    Operation.objects.filter(pk=stopped_by_checks.pk).update(lane="routine", window_opens_at=cast.NOW)
    stopped_by_checks.preflights.all().delete()
    an_upgrade.checked(stopped_by_checks, capacity="cannot_tell")
    answer = page(bobs, stopped_by_checks)
    assert "It stops automatic work only: nobody is there to answer for it." in text(answer)
    assert 'name="accept"' not in answer.content.decode()


def test_a_viewer_reads_what_stops_it_without_boxes(client, victor, stopped_by_checks):
    answer = page(cast.sign_in(client, victor), stopped_by_checks)
    assert "What stops it 2 checks" in text(answer)
    assert 'name="accept"' not in answer.content.decode()
