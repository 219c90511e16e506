"""Handing out looks: which there are, what is due, in whose turn, how many at a time, and who is served first."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import django_rq
import pytest
from django.utils import timezone

from tests import cast
from tests.operations.attempts import NOW, due_in, fail, look_of
from workspaces.models import DnsRecord, Host, Look, ManagementCluster, ProviderAccount, Workspace
from workspaces.operations import dispatch, looks
from workspaces.providers.errors import Permanent

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_queues", "usual_paces")]


# --- Reading the queue ------------------------------------------------------------------------------------------------
def queued() -> list[tuple[str, str]]:
    """What waits on the queue, next first: the kind of look and its target."""
    jobs = django_rq.get_queue("reconcile").jobs
    return [(job.func_name.rpartition("look_at_")[2], job.args[0]) for job in jobs]


def handed_out(now: datetime) -> list[tuple[str, str]]:
    """What one round at `now` puts on an empty queue."""
    django_rq.get_queue("reconcile").empty()
    looks.hand_out(now)
    return queued()


def names(handed: list[tuple[str, str]], kind: str) -> list[str]:
    """Of the workspaces whose look of this kind was handed out, in order."""
    known = {str(key): name for key, name in Workspace.objects.values_list("pk", "name")}
    return [known[key] for of, key in handed if of == kind]


def fleet(organization: str, number: int) -> list[Workspace]:
    """Bare-metal workspaces of one organization."""
    project = cast.project(f"Project of {organization}", organization)
    prefix = organization.split()[0].lower()
    return [cast.baremetal(f"{prefix}-{n:02}", hosts=0, project=project) for n in range(number)]


# --- Rows -------------------------------------------------------------------------------------------------------------
def test_there_is_a_row_for_each_loop_over_each_target_with_its_pace(
    workspace: Workspace, metal: Workspace, account: ProviderAccount
) -> None:
    other = ProviderAccount.objects.create(organization=account.organization, name="other", token="t")
    DnsRecord.objects.create(workspace=workspace, provider_account=other, zone="customs.example", name="gw", value="1")
    looks.hand_out(NOW)
    rows = [(row.kind, str(row).partition(" of ")[2], row.every) for row in Look.objects.all()]
    assert sorted(rows) == [
        ("cluster", "customs-archive", 60.0),
        ("cluster", "ledger-prod", 60.0),
        ("control_planes", "mgmt-fsn1", 60.0),
        ("dns", str(other), 300.0),
        ("seeding", "ledger-prod", 600.0),
        ("servers", str(account), 60.0),
        ("servers", str(other), 60.0),
    ]
    assert sorted(queued()) == sorted((row.kind, str(looks._target(row))) for row in Look.objects.all())


@pytest.mark.parametrize("state", ["provisioning", "deleting", "deleted"])
def test_a_workspace_that_is_not_looked_at_has_no_row(workspace: Workspace, state: str) -> None:
    looks.hand_out(NOW)
    assert Look.objects.filter(workspace=workspace).count() == 2
    Workspace.objects.update(state=state)
    assert names(handed_out(NOW + timedelta(minutes=2)), "cluster") == []
    assert Look.objects.filter(workspace=workspace).count() == 0


def test_a_new_target_is_looked_at_in_the_next_round_and_the_others_keep_their_time(workspace: Workspace) -> None:
    assert names(handed_out(NOW), "cluster") == ["ledger-prod"]
    cast.baremetal("new-metal", hosts=0)
    assert handed_out(NOW + timedelta(seconds=2)) == [("cluster", str(Workspace.objects.get(name="new-metal").pk))]


def test_a_changed_period_is_taken_over(workspace: Workspace, settings: Any) -> None:
    looks.hand_out(NOW)
    settings.LOOPBACK_RECONCILE_SECONDS = 30
    looks.hand_out(NOW)
    assert look_of("cluster", workspace).every == 30
    assert look_of("seeding", workspace).every == 600


# --- Handing out ------------------------------------------------------------------------------------------------------
def test_what_was_handed_out_is_due_again_a_period_later(metal: Workspace) -> None:
    assert names(handed_out(NOW), "cluster") == ["customs-archive"]
    assert handed_out(NOW + timedelta(seconds=59)) == []
    assert names(handed_out(NOW + timedelta(seconds=60)), "cluster") == ["customs-archive"]


def test_a_key_that_got_lost_is_made_up_for_a_period_later(metal: Workspace) -> None:
    looks.hand_out(NOW)
    django_rq.get_connection("reconcile").flushdb()
    assert names(handed_out(NOW + timedelta(seconds=60)), "cluster") == ["customs-archive"]


def test_organizations_take_turns_however_many_workspaces_one_of_them_has() -> None:
    fleet("Kestrel Freight", 12)
    fleet("Fjordline", 3)
    fleet("Aspen", 1)
    looks.hand_out(NOW)
    # Those of the largest fleet have been due for longest.
    Look.objects.update(due_at=NOW - timedelta(seconds=1))
    Look.objects.filter(workspace__name__startswith="kestrel").update(due_at=NOW - timedelta(hours=1))
    whose = [name.split("-")[0] for name in names(handed_out(NOW), "cluster")]
    assert (whose[0], whose[3], whose[5]) == ("kestrel", "kestrel", "kestrel")
    assert [set(whose[:3]), set(whose[3:5]), set(whose[5:7])] == [
        {"kestrel", "fjordline", "aspen"},
        {"kestrel", "fjordline"},
        {"kestrel", "fjordline"},
    ]
    assert whose[7:] == ["kestrel"] * 9


def test_with_room_for_six_each_of_three_organizations_gets_two(settings: Any) -> None:
    settings.LOOPBACK_LOOKS_PER_SECOND = 3  # a round is two seconds
    fleet("Kestrel Freight", 30)
    fleet("Fjordline", 5)
    fleet("Aspen", 5)
    chosen = [name.split("-")[0] for name in names(handed_out(NOW), "cluster")]
    assert sorted(chosen) == ["aspen", "aspen", "fjordline", "fjordline", "kestrel", "kestrel"]


def test_a_fleet_that_is_too_large_for_the_budget_is_looked_at_in_turn_and_its_pace_says_so(settings: Any) -> None:
    settings.LOOPBACK_LOOKS_PER_SECOND = 0.5  # three quarters of it for clusters
    fleet("Kestrel Freight", 40)
    seen: list[str] = []
    for second in range(0, 120, 2):
        handed = names(handed_out(NOW + timedelta(seconds=second)), "cluster")
        assert len(handed) <= 1
        seen += handed
    assert (len(seen), len(set(seen))) == (45, 40), "each once before any twice"
    assert sorted(seen[:40]) == sorted(set(seen))
    # 40 / 0.375 is 107, in steps of five seconds; so the first come again at 110.
    assert set(Look.objects.filter(kind="cluster").values_list("every", flat=True)) == {110.0}


def test_two_rounds_at_once_do_not_look_twice(metal: Workspace) -> None:
    looks.hand_out(NOW)
    Look.objects.update(due_at=NOW)  # as the second round has read it
    looks.hand_out(NOW)
    assert [kind for kind, _ in queued()] == ["cluster", "cluster"]
    with looks.attempt("cluster", metal.pk) as first, looks.attempt("cluster", metal.pk) as second:
        assert first is not None
        assert second is None


def test_a_full_queue_gets_no_more_looks_at_workspaces_and_still_those_at_clusters_and_accounts(
    workspace: Workspace, account: ProviderAccount, settings: Any
) -> None:
    settings.LOOPBACK_LOOKS_PER_SECOND = 3
    dispatch.fan_out(looks.JOBS["cluster"], [str(UUID(int=number)) for number in range(6)])
    looks.hand_out(NOW)
    handed = [kind for kind, key in queued() if not key.startswith("00000000-0000")]
    assert sorted(handed) == ["control_planes", "servers"]
    assert names(handed_out(NOW + timedelta(seconds=2)), "cluster") == ["ledger-prod"], "its turn is not lost"


def test_clusters_and_accounts_come_before_workspaces_that_wait_already(
    workspace: Workspace, account: ProviderAccount
) -> None:
    dispatch.fan_out(looks.JOBS["cluster"], [str(UUID(int=1))])
    looks.hand_out(NOW)
    kinds = [kind for kind, _ in queued()]
    assert (set(kinds[:2]), kinds[2]) == ({"control_planes", "servers"}, "cluster")


def test_a_person_who_asks_is_served_first_with_all_that_concerns_the_workspace(
    workspace: Workspace, metal: Workspace, account: ProviderAccount
) -> None:
    Host.objects.filter(workspace=workspace).update(provider_account=account)
    cast.management_cluster("mgmt-hel1")
    handed = handed_out(NOW)
    looks.look_now(workspace)
    cluster = ManagementCluster.objects.get(name="mgmt-fsn1")
    asked = queued()[: -len(handed)]
    assert sorted(asked) == sorted(
        [
            ("control_planes", str(cluster.pk)),
            ("servers", str(account.pk)),
            ("cluster", str(workspace.pk)),
            ("seeding", str(workspace.pk)),
        ]
    )


def test_what_a_replaced_credential_opens_is_due_now(account: ProviderAccount) -> None:
    looks.hand_out(NOW)
    fail("servers", account, Permanent("credential", "The token is refused."))
    fail("servers", account, Permanent("credential", "The token is refused."))
    assert due_in(look_of("servers", account), timezone.now()) > 50
    looks.due_now(provider_account=account)
    again = look_of("servers", account)
    assert due_in(again, timezone.now()) <= 0
    # The pauses begin anew; nothing is green before a look succeeds.
    assert (again.failures, again.felt) == (1, True)


def test_a_round_of_an_unchanged_fleet_asks_the_same_few_questions_however_large(
    django_assert_max_num_queries: Any,
) -> None:
    fleet("Kestrel Freight", 40)
    looks.hand_out(NOW)
    with django_assert_max_num_queries(25):
        looks.hand_out(NOW + timedelta(seconds=60))
