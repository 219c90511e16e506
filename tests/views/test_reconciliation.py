"""Reconciliation of the fleet: loops, causes, decisions; who is told of what; what it costs with ten thousand."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection

from tests import cast, machinery
from tests.views import reconciling
from tests.views.reading import text
from tests.views.sockets import no_outside  # noqa: F401
from tests.views.stopped_clock import clock  # noqa: F401
from tests.views.test_large_fleet import copy
from workspaces.models import Drift, Host, Look, ManagementCluster, Workspace

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_outside", "empty_queues")]
HTMX = {"HTTP_HX_REQUEST": "true"}
PAGE = "/reconciliation"
SINCE = cast.NOW - timedelta(minutes=41)


@pytest.fixture
def alices(client, alice):
    machinery.alive()
    return cast.sign_in(client, alice)


@pytest.fixture
def well(workspace) -> Workspace:
    """ledger-prod on an account, all loops answered a moment ago."""
    reconciling.on_account(workspace, reconciling.account())
    cast.looked_at(workspace)
    return workspace


def refused(well) -> None:
    """The account refuses its token."""
    reconciling.failing("servers", "credential", "The token is refused (401).", since=SINCE)


def causes(client, address=PAGE) -> list[tuple[str, int, list[str]]]:
    groups = client.get(address).context["groups"]
    return [(f"{group.cause}.{group.code}", group.count, [one.name for one in group.first]) for group in groups]


def targets(client, address=PAGE) -> list[tuple[str, str, str, int]]:
    found = client.get(address).context["targets"]
    return [(one.line.target, one.line.look.kind, one.line.tone, one.affected) for one in found]


# --- Loops ------------------------------------------------------------------------------------------------------------
def test_all_well_is_one_sentence(alices, well, metal):
    cast.looked_at(metal)
    said = text(alices.get(PAGE))
    assert "All of 2 workspaces are as wanted and seen lately." in said
    assert "do not go well" not in said
    assert "None waits." in said
    assert targets(alices) == [("mgmt-fsn1", "control_planes", "ok", 0), ("kestrel-cloud", "servers", "ok", 0)]


def test_what_fails_comes_first_with_its_class_and_who_can_fix_it(alices, well):
    refused(well)
    Look.objects.filter(kind="control_planes").update(succeeded_at=cast.NOW - timedelta(minutes=2))
    assert [tone for _, _, tone, _ in targets(alices)] == ["bad", "warn"]
    said = text(alices.get(PAGE))
    assert "2 of 2 loops over clusters and accounts do not go well." in said
    assert (
        "kestrel-cloud Kestrel Freight Cloud servers 60 s Credential refused at 14:31 credential: The token is refused "
        "(401). 14 failed since today 13:51 UTC. Last answered 42 min ago. "
        "Who can fix it: The operator of the platform, by storing a valid credential. in 2 min 1"
    ) in said.replace("credential :", "credential:")


def test_loops_over_workspaces_are_counted_once_each(alices, well):
    for name, values in (
        ("failing", {"felt": True, "error_code": "unreachable", "succeeded_at": cast.NOW - timedelta(hours=1)}),
        ("once", {"error_code": "unreachable"}),
        ("late", {"succeeded_at": cast.NOW - timedelta(minutes=2)}),
    ):
        made = cast.kubernetes(name)
        cast.looked_at(made)
        Look.objects.filter(workspace=made, kind="cluster").update(**values)
    line = next(line for line in alices.get(PAGE).context["kinds"] if line.kind == "cluster")
    assert (line.count, line.well, line.late, line.trying, line.failing) == (4, 1, 1, 1, 1)


# --- Causes -----------------------------------------------------------------------------------------------------------
def test_workspaces_are_told_by_their_most_likely_cause(alices, well):
    other = ManagementCluster.objects.create(name="mgmt-hel1", max_version="1.36", kubeconfig=cast.KUBECONFIG)
    ManagementCluster.objects.filter(pk=other.pk).update(error_code="unreachable", error_message="No route.")
    made = {
        "on-hel1": {"management_cluster": other},
        "gate": {"state": "gated"},
        "broken": {"state": "error"},
        "silent": {"look_error_code": "credential"},
        "forgotten": {"observed_at": cast.NOW - timedelta(minutes=2)},
        "undecided": {},
        "fought": {},
        "other": {"attention": "Not ready: other-w1", "attention_tone": "bad"},
        "leaving": {"state": "deleting"},
    }
    for name, values in made.items():
        cast.kubernetes(name, **values)
    reconciling.drift(Workspace.objects.get(name="undecided"))
    reconciling.drift(Workspace.objects.get(name="fought"), fought=True)
    reconciling.drift(Workspace.objects.get(name="on-hel1"))
    refused(well)
    assert causes(alices) == [
        ("error.", 1, ["broken"]),
        ("gated.", 1, ["gate"]),
        ("management.unreachable", 1, ["on-hel1"]),
        ("cloud.credential", 1, ["ledger-prod"]),
        ("tenant.credential", 1, ["silent"]),
        ("late.", 1, ["forgotten"]),
        ("fought.", 1, ["fought"]),
        ("decide.", 1, ["undecided"]),
        ("attention.", 1, ["other"]),
    ]
    said = text(alices.get(PAGE))
    assert "0 of 9 workspaces are as wanted and seen lately, 9 causes for the others." in said
    assert "Management cluster cannot be asked: unreachable unreachable 1 on-hel1" in said
    assert "The operator of the platform, by restoring the connection. The call is repeated." in said


def test_of_many_the_first_five_are_named_and_the_others_counted(alices, well):
    for number in range(7):
        cast.kubernetes(f"late-{number}", observed_at=cast.NOW - timedelta(hours=1))
    assert causes(alices) == [("late.", 7, [f"late-{number}" for number in range(5)])]
    assert "and 2 more" in text(alices.get(PAGE))


# --- Decisions --------------------------------------------------------------------------------------------------------
def test_what_waits_for_a_decision_is_listed_with_a_way_to_decide(alices, well):
    waiting = reconciling.drift(well, actor="kubectl-edit")
    reconciling.drift(well, "a", policy="repair")
    reconciling.drift(well, "b", decision="converge")
    reconciling.drift(well, "c", ended_at=cast.NOW, ending="gone")
    hot = reconciling.drift(cast.kubernetes("rates"), fought=True, since=cast.NOW)
    answer = alices.get(PAGE)
    assert [line.drift.pk for line in answer.context["asking"]] == [hot.pk, waiting.pk]
    assert "2 fields wait for a decision." in text(answer)
    assert "ledger-prod Freight Core Control plane replicas 2 3 kubectl-edit Today 11:32 3 h ago Decide" in text(answer)
    assert f'href="/workspaces/{well.pk}/reconciliation#drift-{str(waiting.pk)[:8]}"' in answer.content.decode()


def test_many_decisions_are_paged(alices, well):
    for number in range(53):
        reconciling.drift(well, f"f{number}", since=cast.NOW - timedelta(minutes=number))
    first, second = alices.get(PAGE), alices.get(f"{PAGE}?page=2")
    assert [len(page.context["asking"]) for page in (first, second)] == [50, 3]
    assert "1 to 50 of 53" in text(first)
    assert "51 to 53 of 53" in text(second)
    assert 'href="/reconciliation?page=2"' in first.content.decode()
    assert "There is no page 9. This is the last one." in text(alices.get(f"{PAGE}?page=9"))


# --- Who is told of what ----------------------------------------------------------------------------------------------
def test_everybody_is_told_of_their_own_place(client, alice, bob, victor, charlie, root, well):
    machinery.alive()
    reconciling.drift(well)
    rates = cast.kubernetes("rates", project=cast.project("Customs"), management_cluster=cast.management_cluster("m2"))
    cast.looked_at(rates)
    reconciling.drift(rates)
    fjord = cast.kubernetes("fjord", project=cast.project("Sea", "Fjordline"), management_cluster=None)
    cast.looked_at(reconciling.on_account(fjord, reconciling.account("fjord-cloud", "Fjordline")))
    expected = {
        alice: ({"mgmt-fsn1", "m2", "kestrel-cloud"}, {"ledger-prod", "rates"}),
        victor: ({"mgmt-fsn1", "m2", "kestrel-cloud"}, {"ledger-prod", "rates"}),
        bob: ({"mgmt-fsn1", "kestrel-cloud"}, {"ledger-prod"}),
        charlie: ({"fjord-cloud"}, set()),
        root: ({"mgmt-fsn1", "m2", "kestrel-cloud", "fjord-cloud"}, {"ledger-prod", "rates"}),
    }
    for who, (places, deciding) in expected.items():
        answer = cast.sign_in(client, who).get(PAGE)
        assert {one.line.target for one in answer.context["targets"]} == places, who
        assert {line.drift.workspace.name for line in answer.context["asking"]} == deciding, who
    assert "2 of 2" not in text(answer)


def test_a_place_narrows_everything(alices, alice, well):
    rates = cast.kubernetes("rates", project=cast.project("Customs"), observed_at=cast.NOW - timedelta(hours=1))
    cast.looked_at(rates)
    reconciling.drift(rates)
    here = f"{PAGE}?project={well.project_id}"
    assert causes(alices, here) == []
    assert alices.get(here).context["decisions"] == 0
    Look.objects.filter(kind="control_planes").update(felt=True, error_code="unreachable", failing_since=SINCE)
    assert targets(alices, here)[0] == ("mgmt-fsn1", "control_planes", "bad", 1)
    assert targets(alices)[0] == ("mgmt-fsn1", "control_planes", "bad", 2)
    there = f"{PAGE}?project={rates.project_id}"
    assert causes(alices, there) == [("late.", 1, ["rates"])]
    assert "Customs" in alices.get(there).content.decode().partition("place-project")[2][:40]


def test_a_place_that_is_not_the_readers_is_not_there(client, charlie, well):
    machinery.alive()
    assert cast.sign_in(client, charlie).get(f"{PAGE}?project={well.project_id}").status_code == 404


def test_the_refresh_is_the_part_below_the_filters_in_the_same_place(alices, well):
    part = alices.get(f"{PAGE}?project={well.project_id}", **HTMX).content.decode()
    assert part.lstrip().startswith('<div id="live"')
    assert f'hx-get="/reconciliation?project={well.project_id}"' in part
    assert "<html" not in part


def test_the_navigation_leads_here(alices, well):
    assert '<a href="/reconciliation">' in alices.get("/versions").content.decode()
    assert '<a href="/reconciliation" aria-current="page">' in alices.get(PAGE).content.decode()


# --- Ten thousand -----------------------------------------------------------------------------------------------------
@pytest.fixture
def ten_thousand(well):
    """10,000 workspaces with looks, in 40 projects on three clusters and 20 accounts, some of them in trouble."""
    projects = ", ".join(f"'{cast.project(f'Project {number:02}').pk}'" for number in range(40))
    clusters = [cast.management_cluster(f"m{number}") for number in range(3)]
    clouds = [reconciling.account(f"cloud-{number:02}") for number in range(20)]
    on = ", ".join(f"'{one.pk}'" for one in clusters)
    copy(
        Workspace, well.pk, "generate_series(1, 9999) AS n",
        id="gen_random_uuid()", name="'workspace-' || n", control_plane="'c' || n",
        project_id=f"(ARRAY[{projects}]::uuid[])[1 + n % 40]",
        management_cluster_id=f"(ARRAY[{on}]::uuid[])[1 + n % 3]",
        attention="CASE WHEN n % 17 = 0 THEN 'Not ready: worker-1' ELSE '' END",
        observed_at=f"CASE WHEN n % 101 = 0 THEN NULL ELSE '{cast.NOW.isoformat()}'::timestamptz END",
    )  # fmt: skip
    numbered = "row_number() OVER (ORDER BY length(name), name) AS n"
    others = f"(SELECT id, {numbered} FROM workspaces_workspace WHERE name <> 'ledger-prod') AS w"
    at = ", ".join(f"'{one.pk}'" for one in clouds)
    for number, host in enumerate(Host.objects.filter(workspace=well)):
        copy(
            Host, host.pk, others, id="gen_random_uuid()", workspace_id="w.id",
            provider_account_id=f"(ARRAY[{at}]::uuid[])[1 + w.n % 20]", provider_id=f"1000000 * {number + 1} + w.n",
        )  # fmt: skip
    for look in Look.objects.filter(workspace=well):
        copy(Look, look.pk, others, id="gen_random_uuid()", workspace_id="w.id")
    servers = Look.objects.get(kind="servers")
    for cloud in clouds:
        Look.objects.create(kind="servers", provider_account=cloud, every=60, succeeded_at=servers.succeeded_at)
    Look.objects.filter(provider_account=clouds[0]).update(felt=True, error_code="credential", failing_since=SINCE)
    waiting = reconciling.drift(well)
    copy(
        Drift,
        waiting.pk,
        f"(SELECT * FROM {others} ORDER BY n LIMIT 300) AS w",
        id="gen_random_uuid()",
        workspace_id="w.id",
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def test_ten_thousand_workspaces_cost_at_most_twelve_queries_and_a_hundred_kilobytes(
    alices, root, client, ten_thousand, django_assert_max_num_queries
):
    with django_assert_max_num_queries(12):
        answer = alices.get(PAGE)
    assert len(answer.content) < 100 * 1024
    assert answer.context["looked_at"] == 10_000
    assert {group.cause: group.count for group in answer.context["groups"]} == {
        "cloud": 499,
        "late": 95,
        "decide": 284,
        "attention": 537,
    }
    assert targets(alices)[0][2:] == ("bad", 499)
    project = cast.project("Project 07")
    with django_assert_max_num_queries(12):
        assert len(alices.get(f"{PAGE}?project={project.pk}").content) < 100 * 1024
    with django_assert_max_num_queries(9):
        alices.get(PAGE, **HTMX)
    roots = cast.sign_in(client, root)
    with django_assert_max_num_queries(12):
        assert roots.get(PAGE).context["looked_at"] == 10_000
