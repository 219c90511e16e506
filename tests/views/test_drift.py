"""Deciding about drift on the page: who may, what it does, and why not."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest

from tests import cast, machinery
from tests.views import an_upgrade, reconciling
from tests.views.reading import text
from tests.views.sockets import no_outside  # noqa: F401
from tests.views.stopped_clock import clock  # noqa: F401
from workspaces.models import Drift, Event, Look, Workspace

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_outside", "empty_queues")]


@pytest.fixture
def bobs(client, bob):
    machinery.alive()
    return cast.sign_in(client, bob)


@pytest.fixture
def row(workspace) -> Drift:
    """Replicas of ledger-prod: 2 wanted, 3 seen."""
    cast.looked_at(workspace)
    Workspace.objects.update(wanted={"kubernetes_version": "1.34.8", "replicas": 2, "paused": False})
    return reconciling.drift(workspace)


def decide(client, row, decision, **options):
    return client.post(f"/workspaces/{row.workspace_id}/drift/{row.pk}/decide", {"decision": decision}, **options)


def test_accepting_makes_what_is_seen_the_value_that_is_wanted(bobs, bob, row):
    answer = decide(bobs, row, "accept", follow=True)
    assert answer.redirect_chain == [(f"/workspaces/{row.workspace_id}/reconciliation", 303)]
    assert "Control plane, replicas: 3 is wanted from now on." in answer.content.decode()
    assert Workspace.objects.get().wanted["replicas"] == 3
    row.refresh_from_db()
    assert (row.decision, row.ending, row.decided_by) == ("accept", "accepted", "Bob Berger")
    assert Event.objects.get(action="drift.accepted").actor_id == bob.pk
    assert "Accepted by Bob Berger" in text(answer)


def test_setting_back_is_left_to_the_next_look_which_is_due_at_once(bobs, row):
    answer = decide(bobs, row, "converge", follow=True)
    assert "Control plane, replicas: the next look sets it back to 2." in answer.content.decode()
    assert "Set back at the next look, as Bob Berger decided." in text(answer)
    assert Look.objects.get(kind="control_planes").due_at == cast.NOW
    row.refresh_from_db()
    assert (row.decision, row.ended_at) == ("converge", None)
    assert Workspace.objects.get().wanted["replicas"] == 2


def test_what_somebody_has_decided_already_is_not_decided_again(bobs, row):
    Drift.objects.update(decision="converge", decided_by="Alice Ahrens")
    answer = decide(bobs, row, "accept")
    assert answer.status_code == 409
    assert "Nothing was changed. Alice Ahrens has decided already: to be set back." in text(answer)
    assert Workspace.objects.get().wanted["replicas"] == 2
    assert not Event.objects.filter(action__startswith="drift.").exists()


def test_while_an_operation_runs_nothing_is_decided(bobs, alice, row, catalogue_rows):
    an_upgrade.started(row.workspace, alice)
    answer = decide(bobs, row, "accept")
    assert answer.status_code == 409
    assert "Nothing was changed." in text(answer)
    assert Drift.objects.get().decision == ""


@pytest.mark.parametrize("decision", ["", "ignore", "converge\0"])
def test_a_decision_that_is_none_is_refused(bobs, row, decision):
    answer = decide(bobs, row, decision)
    assert answer.status_code == 422
    assert "Nothing was changed. Choose whether it is accepted or set back." in text(answer)
    assert Drift.objects.get().decision == ""


def test_a_viewer_may_not_and_a_stranger_finds_nothing(client, victor, charlie, row):
    assert decide(cast.sign_in(client, victor), row, "accept").status_code == 403
    assert decide(cast.sign_in(client, charlie), row, "accept").status_code == 404
    assert Drift.objects.get().decision == ""


def test_drift_of_another_workspace_is_not_decided_through_ones_own(bobs, row):
    elsewhere = reconciling.drift(cast.kubernetes("rates", project=cast.project("Customs")))
    answer = bobs.post(f"/workspaces/{row.workspace_id}/drift/{elsewhere.pk}/decide", {"decision": "accept"})
    assert answer.status_code == 404
    assert bobs.post(f"/workspaces/{row.workspace_id}/drift/{uuid.uuid4()}/decide").status_code == 404
    elsewhere.refresh_from_db()
    assert elsewhere.decision == ""


def test_what_has_ended_meanwhile_is_told(bobs, row):
    Drift.objects.update(ended_at=cast.NOW - timedelta(seconds=5), ending="gone")
    answer = decide(bobs, row, "accept")
    assert answer.status_code == 409
    assert "Nothing was changed. This is not different any more: went away by itself." in text(answer)


def test_looking_is_no_way_to_decide(bobs, row):
    assert bobs.get(f"/workspaces/{row.workspace_id}/drift/{row.pk}/decide").status_code == 405
