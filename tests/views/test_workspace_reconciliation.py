"""Reconciliation of one workspace: what is not as wanted and why, never green when blind, and who may decide."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests import cast, machinery
from tests.views import an_upgrade, reconciling
from tests.views.reading import text
from tests.views.sockets import no_outside  # noqa: F401
from tests.views.stopped_clock import clock  # noqa: F401
from workspaces.models import Look, Workspace
from workspaces.models.health import reassess

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_outside", "empty_queues")]
HTMX = {"HTTP_HX_REQUEST": "true"}
SINCE = cast.NOW - timedelta(minutes=41)


@pytest.fixture
def alices(client, alice):
    machinery.alive()
    return cast.sign_in(client, alice)


@pytest.fixture
def well(workspace) -> Workspace:
    """ledger-prod on an account, all loops answered 12 s ago."""
    reconciling.on_account(workspace, reconciling.account())
    cast.looked_at(workspace, cast.NOW - timedelta(seconds=12))
    return workspace


def page(client, workspace) -> str:
    answer = client.get(f"/workspaces/{workspace.pk}/reconciliation")
    assert answer.status_code == 200
    return text(answer)


def headline(client, workspace) -> tuple[str, str]:
    standing = client.get(f"/workspaces/{workspace.pk}/reconciliation").context["standing"]
    return standing.label, standing.tone


# --- The headline -----------------------------------------------------------------------------------------------------
def test_all_as_wanted_says_how_long_ago_that_was_seen(alices, well):
    assert headline(alices, well) == ("As wanted, seen 12 s ago", "ok")
    said = page(alices, well)
    assert "Everything is as wanted." in said
    assert "Drift None seen all is as wanted" in said


def test_the_oldest_of_the_quick_loops_is_how_long_ago_it_was_seen(alices, well):
    Look.objects.filter(kind="servers").update(succeeded_at=cast.NOW - timedelta(seconds=70))
    assert headline(alices, well) == ("As wanted, seen 1 min ago", "ok")


@pytest.mark.parametrize("kind", ["control_planes", "servers", "cluster"])
def test_it_is_not_green_when_one_loop_is_late(alices, well, kind):
    Look.objects.filter(kind=kind).update(succeeded_at=cast.NOW - timedelta(seconds=120))
    assert headline(alices, well) == ("Not seen for 2 min", "idle")
    said = page(alices, well)
    assert "Everything is as wanted." not in said
    assert "all is as wanted" not in said
    assert "Late at 14:31 Last answered 2 min ago." in said


def test_it_is_not_green_before_every_loop_has_answered(alices, well):
    Look.objects.filter(kind="cluster").update(succeeded_at=None, tried_at=None)
    assert headline(alices, well) == ("Not seen yet", "idle")
    assert "Not looked yet Has not answered yet." in page(alices, well)


def test_it_is_not_green_where_nothing_looks(alices, workspace):
    assert headline(alices, workspace) == ("Not seen yet", "idle")
    assert "Nothing is looked at here yet." in page(alices, workspace)


def test_a_loop_that_fails_again_and_again_is_reconciling_since_it_began(alices, well):
    reconciling.failing("servers", "credential", "The token is refused (401).", since=SINCE)
    assert headline(alices, well) == ("Reconciling for 41 min", "warn")
    said = page(alices, well)
    assert "Last success Today 13:50 UTC Cloud servers, 42 min ago, usually every 60 s" in said
    assert "Attempts since 14 failed next at 14:34:00, backing off" in said
    assert "Credential refused at 14:31 credential : The token is refused (401)." in said.replace(
        "credential:", "credential :"
    )
    assert "Last answered 42 min ago." in said


def test_one_failure_is_a_warning_of_its_loop_and_not_yet_of_the_workspace(alices, well):
    look = reconciling.failing("servers", "cloud_api", "503", since=cast.NOW, failures=1)
    Look.objects.filter(pk=look.pk).update(succeeded_at=cast.NOW - timedelta(seconds=30))
    assert headline(alices, well) == ("As wanted, seen 30 s ago", "ok")
    line = next(
        line for line in alices.get(f"/workspaces/{well.pk}/reconciliation").context["lines"] if line.look.error
    )
    assert (line.tone, line.word) == ("warn", "Vendor’s error, once so far")


def test_a_gated_workspace_says_since_when(alices, well):
    Workspace.objects.update(state="gated", state_since=SINCE, state_reason="Seeding has not converged.")
    assert headline(alices, well) == ("Gated for 41 min", "warn")


def test_a_workspace_that_nobody_looks_at_shows_its_state(alices, well):
    Workspace.objects.update(state="deleting")
    assert headline(alices, well) == ("Deleting", "busy")


def test_what_needs_attention_is_not_green(alices, well):
    Workspace.objects.update(attention="Not ready: ledger-prod-w2", attention_tone="bad")
    assert headline(alices, well) == ("Needs attention", "bad")


# --- Drift ------------------------------------------------------------------------------------------------------------
def test_drift_that_needs_a_decision_names_the_actor_and_offers_both(alices, well):
    row = reconciling.drift(
        well,
        actor="kubectl-edit",
        actor_at=cast.NOW - timedelta(hours=3, minutes=1),
        reason="More or fewer API servers may be somebody's intention.",
    )
    assert headline(alices, well) == ("Waits for a decision for 3 h", "warn")
    answer = alices.get(f"/workspaces/{well.pk}/reconciliation")
    said = text(answer)
    assert (
        "Control plane replicas 2 3 Today 11:32 3 h ago kubectl-edit Today 11:31 UTC needs a decision "
        "More or fewer API servers may be somebody&#x27;s intention. "
        "Set back replicas of Control plane to 2 Accept 3 as replicas of Control plane"
    ) in said
    assert "Drift 1 field 1 needs a decision" in said
    assert f'formaction="/workspaces/{well.pk}/drift/{row.pk}/decide"' in answer.content.decode()


def test_drift_that_is_repaired_by_itself_says_when_and_why_it_was_not_yet(alices, well):
    Look.objects.filter(kind="servers").update(due_at=cast.NOW + timedelta(seconds=40))
    reconciling.drift(
        well,
        "name",
        "ledger-prod-w1",
        "renamed",
        kind="host",
        subject="Server ledger-prod-w1",
        policy="repair",
        since=cast.NOW - timedelta(seconds=50),
        error="Hetzner Cloud answers 503.",
    )
    assert headline(alices, well) == ("Reconciling for 50 s", "warn")
    said = page(alices, well)
    assert (
        "Server ledger-prod-w1 name ledger-prod-w1 renamed Today 14:31 50 s ago unknown "
        "Set back at the next look, in 40 s. The last try failed: Hetzner Cloud answers 503."
    ) in said
    assert "1 field no decision is needed" in said
    assert "Accept" not in said


def test_drift_that_another_writer_fights_for_is_called_so(alices, well):
    reconciling.drift(well, fought=True, repairs=2, reason="Set back twice; argocd-controller changed it again.")
    said = page(alices, well)
    assert "fought by another writer Set back twice; argocd-controller changed it again. Set back" in said


def test_what_is_only_told_has_no_decision_where_none_would_be_taken(alices, well):
    why = "Nothing brings a deleted server back: order another host and remove this one."
    reconciling.drift(well, "gone", "ledger-prod-w1", None, kind="host", subject="Server w1", policy="tell", reason=why)
    line = alices.get(f"/workspaces/{well.pk}/reconciliation").context["open"][0]
    assert (line.choices, line.barred, line.happens, line.tag) == ((), (), why, "")
    assert "no decision is needed" in page(alices, well)


def test_a_higher_version_can_only_be_accepted(alices, well):
    reconciling.drift(well, "kubernetes_version", "1.34.8", "1.34.11", reason="No control plane goes back.")
    said = page(alices, well)
    assert "needs a decision No control plane goes back. Accept 1.34.11 as Kubernetes version of Control plane" in said
    assert "Set back Kubernetes" not in said


def test_what_a_protected_manifest_says_cannot_be_given_up(alices, well):
    seed = reconciling.seed(well, state="conflict", protected=True)
    reconciling.drift(well, "data.mode", "strict", "lax", kind="seed", ref=str(seed.pk), subject="ConfigMap baseline")
    said = page(alices, well)
    assert "Its manifest is protected: what differs from it cannot be accepted. Set back data.mode" in said
    assert "Accept lax" not in said


def test_nothing_is_decided_while_an_operation_runs(alices, alice, well, catalogue_rows):
    reconciling.drift(well)
    reconciling.drift(well, "name", "a", "b", kind="host", subject="Server a", policy="repair")
    an_upgrade.started(well, alice)
    said = page(alices, well)
    assert "It can be decided when the operation that runs has ended." in said
    assert "Set back when the operation that runs has ended." in said
    assert "Accept 3" not in said


def test_what_is_to_be_set_back_by_decision_says_who_decided(alices, well):
    reconciling.drift(well, decision="converge", decided_by="Bob Berger", decided_at=cast.NOW)
    said = page(alices, well)
    assert "Set back at the next look, in 48 s, as Bob Berger decided." in said
    assert "Accept" not in said
    assert headline(alices, well) == ("Reconciling for 3 h", "warn")


def test_a_decision_that_failed_may_be_taken_otherwise(alices, well):
    reconciling.drift(well, decision="converge", decided_by="Bob Berger", error="Forbidden.")
    assert "The last try failed: Forbidden. Set back replicas" in page(alices, well)


def test_what_has_ended_within_a_week_says_how(alices, well):
    day = timedelta(days=1)
    ended = {"since": cast.NOW - 2 * day, "ended_at": cast.NOW - day}
    reconciling.drift(well, ending="repaired", repairs=2, decision="converge", decided_by="Bob Berger", **ended)
    reconciling.drift(well, "paused", False, True, ending="accepted", decided_by="Alice Ahrens", **ended)
    reconciling.drift(well, "old", 1, 2, ending="gone", since=cast.NOW - 9 * day, ended_at=cast.NOW - 8 * day)
    said = page(alices, well)
    assert "replicas 2 3 unknown Set back, as Bob Berger decided, the second time Mon 23 Nov 14:32 UTC 24 h" in said
    assert "pause not paused paused unknown Accepted by Alice Ahrens" in said or "Accepted by Alice Ahrens" in said
    assert "Went away by itself" not in said
    assert headline(alices, well) == ("As wanted, seen 12 s ago", "ok")


def test_a_viewer_sees_drift_and_is_told_who_decides(client, victor, well):
    machinery.alive()
    reconciling.drift(well)
    said = page(cast.sign_in(client, victor), well)
    assert "needs a decision" in said
    assert "An operator or an administrator of Freight Core decides." in said
    assert "Accept" not in said
    assert "Reconcile now" not in said


# --- What is kept -----------------------------------------------------------------------------------------------------
def test_seeded_objects_say_their_state_who_holds_what_and_when_they_were_applied(alices, well):
    held = [{"field": "data.mode", "manager": "argocd-controller"}]
    reconciling.seed(well, "limits", "conflict", conflicts=held, message="Conflict with argocd-controller.", gates=True)
    reconciling.seed(well, "baseline", revision_of_manifest=4, revision=3)
    reconciling.seed(well, "fresh", "pending", revision=0, applied_at=None, state_since=None)
    reassess([well.pk], cast.NOW)
    said = page(alices, well)
    assert (
        "ConfigMap kube-system/limits v1 limits revision 1, gates Conflict data.mode is held by argocd-controller "
        "Today 09:32 Today 09:32"
    ) in said
    assert "kube-system/baseline v1 baseline revision 3 of 4 As wanted Today 09:32" in said
    assert "kube-system/fresh v1 fresh revision 1 Pending – never" in said
    assert said.index("kube-system/limits") < said.index("kube-system/fresh") < said.index("kube-system/baseline")


def test_what_was_seeded_is_not_as_wanted_when_nobody_has_looked_lately(alices, well):
    reconciling.seed(well)
    reassess([well.pk], cast.NOW)
    assert "revision 1 As wanted Today" in page(alices, well)
    Look.objects.filter(kind="seeding").update(succeeded_at=cast.NOW - timedelta(minutes=20))
    assert "revision 1 As wanted when last seen Today" in page(alices, well)


def test_dns_records_say_what_is_wanted_and_seen(alices, well):
    cloud = reconciling.account()
    reconciling.record(well, cloud, observed_value="2001:db8::1", observed_at=cast.NOW)
    reconciling.record(well, cloud, name="old", observed_value="", observed_at=cast.NOW, ttl=300)
    reconciling.record(well, cloud, name="@", type="TXT", value="v=1")
    cast.looked_at(well)
    said = page(alices, well)
    assert "gw.customs.example AAAA TTL of the zone 2001:db8::1 2001:db8::1 As wanted Today 14:32" in said
    assert "old.customs.example AAAA 300 s 2001:db8::1 not there Not there Today 14:32" in said
    assert "customs.example TXT TTL of the zone v=1 not seen yet Not seen yet –" in said


# --- The queue --------------------------------------------------------------------------------------------------------
def test_who_may_see_the_queue_sees_it_here(alices, well):
    reconciling.queue_of_six_hours(cast.NOW)
    said = page(alices, well)
    assert "Job queue whole platform, last 6 hours Queue" in said
    assert "Oldest waiting job None waits limit is 5 min" in said
    assert "reconcile 0 waiting, 0 at work, 1 worker" in said
    assert "09:00 6 1 min" in said


def test_who_may_not_see_the_queue_does_not(client, bob, well):
    machinery.alive()
    reconciling.queue_of_six_hours(cast.NOW)
    answer = cast.sign_in(client, bob).get(f"/workspaces/{well.pk}/reconciliation")
    assert "Job queue" not in text(answer)
    assert "Oldest waiting job" not in text(answer)
    assert "Seeding None no manifest fits this cluster" in text(answer)


# --- Diagnosis --------------------------------------------------------------------------------------------------------
def test_the_diagnosis_comes_first_with_its_checks_and_who_can_fix_it(alices, root, client, well):
    reconciling.failing("servers", "credential", "The token is refused (401).", since=SINCE)
    reassess([well.pk], cast.NOW)
    answer = alices.get(f"/workspaces/{well.pk}/reconciliation")
    said = text(answer)
    assert "Most likely cause: Hetzner Cloud refuses the token of account kestrel-cloud" in said
    assert "Who can fix it: The operator of the platform, by storing a valid credential." in said
    assert [(check.name, check.tone) for check in answer.context["diagnosis"].checks][:2] == [
        ("Cloud credentials", "bad"),
        ("Hetzner Cloud API", "idle"),
    ]
    # Alice cannot store a token; the operator of the platform is led to where it is done.
    assert 'id="next-step"' not in answer.content.decode()
    there = cast.sign_in(client, root).get(f"/workspaces/{well.pk}/reconciliation").content.decode()
    account = reconciling.account()
    assert f'id="next-step" href="/admin/workspaces/provideraccount/{account.pk}/change/"' in there


def test_a_dead_machinery_is_the_cause_for_whoever_may_not_see_the_queue_too(client, bob, well):
    Look.objects.update(succeeded_at=cast.NOW - timedelta(minutes=10))
    diagnosis = cast.sign_in(client, bob).get(f"/workspaces/{well.pk}/reconciliation").context["diagnosis"]
    assert diagnosis.cause == "no_worker"


def test_a_well_workspace_has_no_diagnosis(alices, well):
    assert alices.get(f"/workspaces/{well.pk}/reconciliation").context["diagnosis"] is None


# --- Refresh, bare metal, cost ----------------------------------------------------------------------------------------
def test_the_refresh_is_the_part_below_the_tabs_and_the_headline(alices, well):
    part = alices.get(f"/workspaces/{well.pk}/reconciliation", **HTMX).content.decode()
    assert part.lstrip().startswith('<div id="live"')
    assert "<html" not in part
    assert (
        '<span class="status" id="standing" data-tone="ok" hx-swap-oob="true">As wanted, seen 12 s ago</span>' in part
    )
    whole = alices.get(f"/workspaces/{well.pk}/reconciliation").content.decode()
    assert whole.count('id="standing"') == 1


def test_bare_metal_has_neither_control_plane_nor_seeding(alices, metal):
    cast.looked_at(metal)
    assert headline(alices, metal) == ("As wanted, seen 0 s ago", "ok")
    said = page(alices, metal)
    assert "Cluster and hosts 1 min" in said or "Cluster and hosts 60 s" in said
    assert "Seeding" not in said


def test_it_costs_at_most_fourteen_queries_and_a_hundred_kilobytes(alices, well, django_assert_max_num_queries):
    cloud = reconciling.account()
    for number in range(40):
        reconciling.drift(well, f"field{number}", "a" * 60, "b" * 60, reason="Somebody may want it so.", actor="helm")
        reconciling.seed(well, f"seed{number}", "conflict", conflicts=[{"field": "a", "manager": "b"}])
        reconciling.record(well, cloud, name=f"r{number}", observed_value="x", observed_at=cast.NOW)
    reconciling.queue_of_six_hours(cast.NOW)
    cast.looked_at(well)
    for look in Look.objects.all():
        reconciling.sampled(look, cast.NOW)
    reconciling.failing("servers", "credential", "The token is refused (401).", since=SINCE)
    reassess([well.pk], cast.NOW)
    with django_assert_max_num_queries(14):
        answer = alices.get(f"/workspaces/{well.pk}/reconciliation")
    assert answer.context["diagnosis"] is not None
    assert len(answer.content) < 100 * 1024
    with django_assert_max_num_queries(10):
        alices.get(f"/workspaces/{well.pk}/reconciliation", **HTMX)


def test_of_many_fields_the_first_thirty_are_shown_and_said_so(alices, well):
    for number in range(33):
        reconciling.drift(well, f"field{number}")
    answer = alices.get(f"/workspaces/{well.pk}/reconciliation")
    assert len(answer.context["open"]) == 30
    assert "30 fields, the first 30, what needs a decision first" in text(answer)


# --- Who sees it ------------------------------------------------------------------------------------------------------
def test_for_a_stranger_it_is_not_there(client, charlie, well):
    assert cast.sign_in(client, charlie).get(f"/workspaces/{well.pk}/reconciliation").status_code == 404
