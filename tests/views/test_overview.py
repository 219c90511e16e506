"""The overview: how a workspace is, what runs next and why, what needs a person; and asking for a look now."""

import re
import uuid
from datetime import timedelta

import django_rq
import pytest

from tests import cast
from tests.views import an_upgrade
from tests.views.reading import text
from tests.views.sockets import no_outside  # noqa: F401
from tests.views.stopped_clock import clock  # noqa: F401
from workspaces.models import PLATFORM, Advisory, Event, Hold, Host, Look, MaintenancePlan, Workspace

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_outside")]
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def alices(client, alice):
    return cast.sign_in(client, alice)


def without_tokens(answer) -> str:
    """The document without its CSRF token, which differs with every answer."""
    return re.sub(r"[A-Za-z0-9]{64}", "token", answer.content.decode())


def page(client, workspace) -> str:
    answer = client.get(f"/workspaces/{workspace.pk}")
    assert answer.status_code == 200
    return text(answer)


# --- Who sees it ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("who", ["alice", "bob", "victor", "root"])
def test_members_see_the_workspace(client, request, who, workspace, catalogue_rows):
    cast.sign_in(client, request.getfixturevalue(who))
    assert client.get(f"/workspaces/{workspace.pk}").status_code == 200


def test_for_a_stranger_it_looks_as_if_it_did_not_exist(client, charlie, workspace):
    cast.sign_in(client, charlie)
    theirs, random = client.get(f"/workspaces/{workspace.pk}"), client.get(f"/workspaces/{uuid.uuid4()}")
    assert theirs.status_code == random.status_code == 404
    assert without_tokens(theirs) == without_tokens(random)


def test_an_operator_of_another_project_does_not_see_it(client, bob):
    cast.sign_in(client, bob)
    other = cast.kubernetes("customs-gateway", project=cast.project("Customs"))
    assert client.get(f"/workspaces/{other.pk}").status_code == 404


def test_whoever_is_not_signed_in_is_asked_to(client, workspace):
    assert client.get(f"/workspaces/{workspace.pk}").headers["Location"].startswith("/accounts/login/")


def test_a_viewer_is_offered_nothing_that_is_refused(client, victor, workspace, catalogue_rows):
    cast.sign_in(client, victor)
    shown = page(client, workspace)
    assert "Reconcile now" not in shown
    assert "Upgrade Kubernetes" not in shown
    assert "See schedule" in shown
    assert "Activity" not in shown  # the trail needs audit.view


# --- Facts ------------------------------------------------------------------------------------------------------------
def test_the_facts_of_a_kubernetes_workspace(alices, workspace, catalogue_rows):
    shown = page(alices, workspace)
    assert "Kubernetes 1.34.8 1.35.7 is available" in shown
    assert "Hosts 3 of 3 ready all can be managed" in shown
    assert "Next maintenance Wed 02:00 UTC in 11 h 28 min, 03:00 in Berlin" in shown
    assert "Reconciled 0 s ago" in shown


def test_the_facts_of_bare_metal(alices, metal, catalogue_rows):
    shown = page(alices, metal)
    assert "Bare metal in hel1" in shown
    assert "Hosts 2 of 2 ready" in shown
    assert "Debian GNU/Linux 13 (trixie)" in shown
    assert "Kubernetes version" not in shown
    assert "Kubernetes" not in shown.partition("What runs next")[0].partition("Overview")[2]


def test_what_runs_next_and_why_for_both_lanes(alices, workspace, catalogue_rows):
    shown = page(alices, workspace)
    assert "Today 22:00 to 23:00 priority hour 23:00 in Berlin Kubernetes 1.34.8 to 1.34.11" in shown
    assert "1.34.11 is marked as a security release." in shown
    assert "Wed 02:00 to 03:00 03:00 in Berlin Operating system updates on 3 hosts" in shown
    assert "Operating system updates are on." in shown


def test_a_host_says_what_updates_left_undone(alices, workspace):
    Host.objects.filter(name="ledger-prod-w1").update(restart_needed=True, held_back=["containerd", "runc"])
    shown = page(alices, workspace)
    assert shown.count("Installed updates need a restart, which the next run does.") == 1
    assert "On hold although newer versions are there: containerd, runc." in shown


def test_a_hold_and_an_advisory_are_part_of_the_forecast(alices, alice, workspace, catalogue_rows):
    Advisory.objects.create(name="DSA-6001", severity="high", packages=["openssl"])
    Hold.objects.create(
        project=workspace.project,
        reason="Quarter end",
        set_by=alice,
        set_at=cast.NOW,
        expires_at=cast.NOW + timedelta(days=2),
    )
    shown = page(alices, workspace)
    assert "Would run: Security updates DSA-6001 on 3 hosts" in shown
    assert "Freight Core is held until Thu 26 Nov 14:32 UTC: Quarter end" in shown


def test_a_hold_on_another_project_does_not_count(alices, alice, workspace, catalogue_rows):
    Hold.objects.create(
        project=cast.project("Customs"),
        reason="Quarter end",
        set_by=alice,
        set_at=cast.NOW,
        expires_at=cast.NOW + timedelta(days=2),
    )
    assert "Quarter end" not in page(alices, workspace)


def test_a_plan_that_is_off_says_since_when_and_by_whom(alices, workspace, catalogue_rows):
    MaintenancePlan.objects.update(enabled=False, disabled_by="M. Osei", disabled_at=cast.NOW - timedelta(hours=5))
    shown = page(alices, workspace)
    assert "Next maintenance Off since today 09:32 UTC, by M. Osei" in shown
    assert "Maintenance is off. An administrator can switch it on." in shown


# --- Health -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("seen", "words"), [(None, "Not seen yet"), (timedelta(minutes=12), "Not seen for 12 min")])
def test_what_has_not_been_seen_lately_is_never_green(alices, workspace, seen, words, catalogue_rows):
    Workspace.objects.update(
        observed_at=seen and cast.NOW - seen,
        conditions=[{"type": "hosts", "value": "true", "reason": "ready", "message": "3 of 3 ready.", "since": None}],
    )
    answer = alices.get(f"/workspaces/{workspace.pk}")
    assert f'<h1>ledger-prod</h1><span class="status" data-tone="idle">{words}</span>' in answer.content.decode()
    assert 'data-tone="ok"' not in answer.content.decode().partition("<main")[2]
    assert "Ready when last seen" in text(answer)


def test_a_host_that_is_not_ready_or_cannot_be_managed_says_so(alices, workspace, catalogue_rows):
    Host.objects.filter(name="ledger-prod-w1").update(ready=False, ready_message="Kubelet stopped posting node status.")
    Host.objects.filter(name="ledger-prod-w2").update(ansible={}, unschedulable=True)
    Host.objects.filter(name="ledger-prod-w3").update(ready=None, node_name="", provider_id=7, provider_status="off")
    shown = page(alices, workspace)
    assert "ledger-prod-w1 Kubelet stopped posting node status. Not ready" in shown
    assert "ledger-prod-w2 Closed to new pods. Cannot be managed: no address for SSH is stored." in shown
    assert "ledger-prod-w3 Not joined to the cluster. Not known" in shown
    assert "1.34.8 off" in shown
    assert "1 of 3 ready" in shown
    assert "1 of 3 hosts cannot be managed and are left out." in shown


def condition(name, value, reason, message, **more):
    since = (cast.NOW - timedelta(days=3)).isoformat()
    return {"type": name, "value": value, "reason": reason, "message": message, "since": since} | more


def test_conditions_are_words_with_a_reason_their_age_and_who_can_fix_it(alices, workspace, catalogue_rows):
    Workspace.objects.update(
        conditions=[
            condition("control_plane", "true", "ready", "Kamaji serves 1.34.8."),
            condition(
                "hosts",
                "unknown",
                "unreachable",
                "Its API is unreachable.",
                error_class="unreachable",
                who_can_fix="The operator of the platform.",
            ),
        ]
    )
    cast.looked_at(workspace, cast.NOW - timedelta(seconds=20))
    shown = page(alices, workspace)
    assert "Control plane As wanted Kamaji serves 1.34.8. Since Sat 21 Nov 14:32 UTC. Seen 20 s ago, next look" in shown
    assert "Seen 20 s ago, next look in 40 s Hosts Not known Its API is unreachable. unreachable" in shown
    assert "unreachable. Who can fix it: The operator of the platform. Seen 20 s ago" in shown


def test_a_condition_whose_look_is_late_is_not_known_although_the_others_are(alices, workspace, catalogue_rows):
    Workspace.objects.update(
        conditions=[
            condition("control_plane", "true", "ready", "Kamaji serves 1.34.8."),
            condition("hosts", "true", "ready", "3 of 3 ready."),
        ]
    )
    cast.looked_at(workspace)
    Look.objects.filter(kind="control_planes").update(succeeded_at=cast.NOW - timedelta(seconds=120))
    shown = page(alices, workspace)
    assert "Control plane Not known" in shown
    assert "Seen 2 min ago, next look in 1 min Hosts As wanted 3 of 3 ready." in shown
    assert "Freshness Not as wanted" in shown


def test_attention_is_not_green_and_says_why(alices, workspace, catalogue_rows):
    Workspace.objects.update(attention="Not ready: ledger-prod-w2", attention_tone="bad")
    answer = alices.get(f"/workspaces/{workspace.pk}")
    assert '<span class="status" data-tone="bad">Active, needs attention</span>' in answer.content.decode()
    assert "Not ready: ledger-prod-w2" in text(answer)


def test_a_gated_workspace_says_why_and_that_nothing_runs(alices, workspace, catalogue_rows):
    Workspace.objects.update(state="gated", state_reason="DNS has not converged.", state_since=cast.NOW)
    shown = page(alices, workspace)
    assert "Gated since today 14:32 UTC. DNS has not converged." in shown
    assert "Reconciliation holds changes back until the workspace has converged." in shown


# --- Operations -------------------------------------------------------------------------------------------------------
def test_an_open_operation_is_named_with_a_link(alices, alice, workspace, catalogue_rows):
    operation = an_upgrade.at(an_upgrade.started(workspace, alice), 3)
    answer = alices.get(f"/workspaces/{workspace.pk}")
    assert "Running: Upgrade ledger-prod from 1.34.8 to 1.35.7. Asked for 0 s ago by Alice Ahrens." in text(answer)
    assert f'href="/operations/{operation.pk}">Follow the operation' in answer.content.decode()


def failed(workspace, by):
    return an_upgrade.at(
        an_upgrade.started(workspace, by),
        7,
        "failed",
        state="failed",
        finished_at=cast.NOW - timedelta(minutes=4),
        error_code="cloud_api",
        error_message="kubelet 1.35.7 is not in the mirror.",
        error_who_can_fix="The operator of the mirror.",
    )


def test_a_failed_operation_says_what_happened_who_can_fix_it_and_can_be_continued(
    alices, alice, workspace, catalogue_rows
):
    operation = failed(workspace, alice)
    answer = alices.get(f"/workspaces/{workspace.pk}")
    assert "Failed 4 min ago: Upgrade ledger-prod from 1.34.8 to 1.35.7" in text(answer)
    assert "kubelet 1.35.7 is not in the mirror. Who can fix it: The operator of the mirror." in text(answer)
    assert f'action="/operations/{operation.pk}/retry"' in answer.content.decode()


def test_a_viewer_reads_who_can_continue_it(client, victor, alice, workspace, catalogue_rows):
    operation = failed(workspace, alice)
    cast.sign_in(client, victor)
    answer = client.get(f"/workspaces/{workspace.pk}")
    assert "An operator or an administrator of Freight Core can continue it." in text(answer)
    assert f"/operations/{operation.pk}/retry" not in answer.content.decode()


def test_a_retried_older_operation_counts_as_the_open_one(alices, alice, workspace, catalogue_rows, clock):  # noqa: F811
    older = an_upgrade.at(an_upgrade.started(workspace, alice), 3, "failed", state="failed", finished_at=cast.NOW)
    newer = an_upgrade.started(workspace, alice, target="1.35.4")
    newer.created_at, newer.state = cast.NOW + timedelta(minutes=1), "succeeded"
    newer.save()
    older.state = "pending"
    older.save()
    assert "Pending: Upgrade ledger-prod from 1.34.8 to 1.35.7." in page(alices, workspace)


def test_a_half_upgraded_workspace_is_said_to_be_one(alices, alice, workspace, catalogue_rows):
    workspace.observe_version("1.35.7")
    workspace.control_plane_wanted = "1.35.7"
    workspace.save()
    Host.objects.filter(name="ledger-prod-w1").update(kubelet_version="1.35.7")
    shown = page(alices, workspace)
    assert "Half upgraded: the control plane runs 1.35.7, 2 of 3 hosts still run 1.34.8. Finish the hosts" in shown
    failed(workspace, alice)
    assert "still run 1.34.8. Continuing the operation finishes the hosts." in page(alices, workspace)


def test_activity_shows_the_last_events_newest_first(alices, workspace, catalogue_rows):
    for number in range(12):
        Event.record(PLATFORM, "test", workspace=workspace, summary=f"Event {number}")
    shown = page(alices, workspace)
    assert re.findall(r"Event \d+", shown) == [f"Event {number}" for number in (11, 10, 9, 8, 7, 6, 5, 4)]


def test_words_of_others_are_shown_as_text(alices, workspace, catalogue_rows):
    Workspace.objects.update(description="<script>alert(1)</script>", attention='<img src=x onerror="x">')
    body = alices.get(f"/workspaces/{workspace.pk}").content.decode()
    assert "<script>alert" not in body
    assert "<img" not in body


# --- Refresh and reconcile --------------------------------------------------------------------------------------------
def test_the_refresh_brings_facts_and_banners_only(alices, alice, workspace, catalogue_rows):
    an_upgrade.at(an_upgrade.started(workspace, alice), 3)
    answer = alices.get(f"/workspaces/{workspace.pk}", **HTMX)
    assert answer.content.decode().lstrip().startswith('<div id="live"')
    assert "Follow the operation" in text(answer)
    assert "What runs next" not in text(answer)


@pytest.mark.usefixtures("empty_queues")
def test_reconcile_now_queues_a_look_at_control_plane_and_hosts_and_says_so(client, bob, workspace):
    cast.sign_in(client, bob)
    answer = client.post(f"/workspaces/{workspace.pk}/reconcile", **HTMX)
    assert "Reconciliation queued ledger-prod is looked at as soon as a worker is free." in text(answer)
    assert [(job.func_name, job.args) for job in django_rq.get_queue("reconcile").get_jobs()] == [
        ("workspaces.jobs.look_at_seeding", (str(workspace.pk),)),
        ("workspaces.jobs.look_at_cluster", (str(workspace.pk),)),
        ("workspaces.jobs.look_at_control_planes", (str(workspace.management_cluster_id),)),
    ]
    assert client.post(f"/workspaces/{workspace.pk}/reconcile").headers["Location"] == f"/workspaces/{workspace.pk}"


@pytest.mark.usefixtures("empty_queues")
def test_reconcile_is_refused_to_a_viewer_and_does_not_exist_for_a_stranger(client, victor, charlie, workspace):
    cast.sign_in(client, victor)
    assert client.post(f"/workspaces/{workspace.pk}/reconcile").status_code == 403
    cast.sign_in(client, charlie)
    assert client.post(f"/workspaces/{workspace.pk}/reconcile").status_code == 404
    assert client.get(f"/workspaces/{workspace.pk}/reconcile").status_code == 405
    assert django_rq.get_queue("reconcile").count == 0


# --- Cost -------------------------------------------------------------------------------------------------------------
def test_the_page_of_thirty_hosts_costs_thirteen_queries_and_less_than_40_kb(
    alices, alice, catalogue_rows, django_assert_max_num_queries
):
    large = cast.kubernetes("large", hosts=30)
    Advisory.objects.create(name="DSA-6001", severity="high", packages=["openssl"])
    an_upgrade.at(an_upgrade.started(large, alice), 20)
    with django_assert_max_num_queries(13):
        answer = alices.get(f"/workspaces/{large.pk}")
    assert len(answer.content) < 40_000
