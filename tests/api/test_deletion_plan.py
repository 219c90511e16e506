"""The plan of a deletion in the API: what it names, when a worker is asked to look, and what a deleted one answers."""

from __future__ import annotations

import django_rq
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.api.deletion_scripts import Script, looked, names_of, problem
from tests.views import commercial
from tests.views.sockets import no_outside  # noqa: F401
from workspaces.models import Deletion, DnsRecord, Integration, Inventory, Kubeconfig, ProviderAccount, Workspace

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_queues", "no_outside")]


@pytest.fixture
def administrator(db: None) -> Script:
    return Script("administrator")


# --- The plan ---------------------------------------------------------------------------------------------------------
def test_the_plan_names_what_would_go_and_what_stays(administrator, workspace) -> None:
    looked(workspace)
    document = administrator.plan(workspace)
    assert (document["state"], document["workspace_state"], document["protected"]) == (None, "active", False)
    assert (document["deletion"], document["receipt"]) == (None, False)
    assert document["policy"]["grace_hours"] == 24
    assert document["policy"]["steps"][5] == {"step": "volumes", "action": "keep"}
    steps = {step["step"]: step for step in document["plan"]["steps"]}
    assert list(steps) == [
        "integrations",
        "dns",
        "kubeconfigs",
        "load_balancers",
        "hosts",
        "volumes",
        "control_plane",
        "data_store",
        "namespace",
    ]
    assert [item["name"] for item in steps["hosts"]["items"]] == ["ledger-prod-w1", "ledger-prod-w2", "ledger-prod-w3"]
    assert [item["kind"] for item in steps["hosts"]["items"]] == ["machine", "machine", "machine"]
    assert (steps["volumes"]["action"], steps["volumes"]["irreversible"]) == ("keep", False)
    assert steps["volumes"]["items"] == [
        {
            "part": "volumes",
            "kind": "volume",
            "ref": "771",
            "name": "ledger-data",
            "detail": "40 GB in fsn1",
            "account": "",
            "account_name": "",
            "cost": {"currency": "EUR", "list": "1.92", "agreed": "1.90"},
            "ours": True,
            "note": "",
        }
    ]
    assert [item["name"] for item in document["plan"]["outside"]] == ["somebody-elses"]
    assert document["plan"]["goes_on_costing"] == [{"currency": "EUR", "list": "1.92", "agreed": "1.90"}]
    assert document["plan"]["stops_costing"] == []
    assert document["plan"]["looked_at"] == document["inventory"]["looked_at"]
    assert document["inventory"]["looked_at"].endswith("Z")


def test_the_plan_shows_every_safeguard_and_which_of_them_block(administrator, workspace) -> None:
    looked(workspace)
    Workspace.objects.update(protected=True)
    document = administrator.plan(workspace)
    assert [(one["code"], one["tone"], one["blocks"]) for one in document["safeguards"]] == [
        ("protection", "bad", True),
        ("operation", "ok", False),
        ("inventory", "ok", False),
        ("data", "ok", False),
        ("kubeconfigs", "ok", False),
    ]
    assert document["protected"] is True


def test_what_could_not_be_asked_is_told_in_its_step(administrator, workspace) -> None:
    told = {
        "parts": ["volumes"],
        "what": "kestrel-cloud",
        "code": "unauthenticated",
        "message": "The token is refused.",
    }
    looked(workspace, not_asked=[told | {"who_can_fix": "Whoever administers the account", "account": "a1"}])
    document = administrator.plan(workspace)
    step = next(step for step in document["plan"]["steps"] if step["step"] == "volumes")
    assert step["not_asked"] == document["plan"]["not_asked"]
    assert step["not_asked"][0]["message"] == "The token is refused."


def test_a_plan_takes_as_many_queries_whatever_there_is(administrator, workspace) -> None:
    looked(workspace)
    administrator.send("GET", workspace)
    account = commercial.account()
    commercial.listed(account, "ccx23", hourly="0.0397", monthly="24.49")
    workspace.hosts.update(provider_account=account)
    for number in range(30):
        DnsRecord.objects.create(workspace=workspace, provider_account=account, zone="k.example", name=f"n{number}")
        Integration.objects.create(workspace=workspace, kind="grafana", name=f"g{number}")
    with CaptureQueriesContext(connection) as made:
        answer = administrator.send("GET", workspace)
    assert answer.json()["plan"]["stops_costing"] == [{"currency": "EUR", "list": "73.47", "agreed": "73.47"}]
    assert len(made) <= 14, [one["sql"][:90] for one in made]


def test_no_secret_stands_in_a_plan_nor_in_what_was_agreed_to(administrator, workspace) -> None:
    looked(workspace)
    account = ProviderAccount.objects.create(organization=workspace.project.organization, name="c", token="tok-plugh-1")
    DnsRecord.objects.create(workspace=workspace, provider_account=account, zone="k.example", name="www")
    Integration.objects.create(workspace=workspace, kind="grafana", name="main", secret="sec-frotz-2")
    now = timezone.now()
    Kubeconfig.objects.create(workspace=workspace, requested_by="Alice", state="taken", fetched_at=now, taken_at=now)
    Kubeconfig.objects.create(
        workspace=workspace, requested_by="Bob", state="ready", document="kube-xyzzy-3", fetched_at=now
    )
    before = administrator.send("GET", workspace)
    assert {"www.k.example", "main", "Alice"} <= set(names_of(before.json()))
    after = administrator.schedule(workspace)
    assert after.status_code == 202
    for answer in (before, after):
        for secret in ("tok-plugh-1", "sec-frotz-2", "kube-xyzzy-3"):
            assert secret not in answer.content.decode()


# --- Looking ----------------------------------------------------------------------------------------------------------
def test_asking_for_the_plan_has_a_worker_look_when_nobody_has(
    administrator, workspace, django_capture_on_commit_callbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        document = administrator.plan(workspace)
    jobs = [(job.func_name, job.args) for job in django_rq.get_queue("ticks").jobs]
    assert jobs == [("workspaces.jobs.take_inventory", (str(workspace.pk),))]
    assert document["inventory"] == {"looked_at": None, "fresh": False, "under_way": True, "error": None}
    asked_at = Inventory.objects.get(workspace=workspace).asked_at
    assert administrator.plan(workspace)["inventory"]["under_way"] is True
    assert Inventory.objects.get(workspace=workspace).asked_at == asked_at


def test_an_old_look_is_made_again_and_a_recent_one_is_not(administrator, workspace) -> None:
    recent = looked(workspace, minutes=14)
    assert administrator.plan(workspace)["inventory"]["fresh"] is True
    assert Inventory.objects.get().asked_at == recent.asked_at
    old = looked(workspace, minutes=16)
    inventory = administrator.plan(workspace)["inventory"]
    assert (inventory["fresh"], inventory["under_way"]) == (False, True)
    assert Inventory.objects.get().asked_at > old.asked_at


def test_a_look_that_broke_off_is_not_repeated_at_every_asking(administrator, workspace) -> None:
    broken = looked(workspace, minutes=5, error="The look broke off (KeyError).")
    inventory = administrator.plan(workspace)["inventory"]
    assert (inventory["fresh"], inventory["under_way"]) == (False, False)
    assert inventory["error"] == "The look broke off (KeyError)."
    assert Inventory.objects.get().asked_at == broken.asked_at
    again = administrator.send("POST", workspace, "deletion/inventory")
    assert (again.status_code, again.json()["inventory"]["under_way"]) == (202, True)


def test_who_may_not_delete_sees_the_plan_and_sends_nobody_to_look(workspace) -> None:
    viewer = Script("viewer")
    document = viewer.plan(workspace)
    assert document["inventory"]["under_way"] is False
    assert not Inventory.objects.exists()


@pytest.mark.parametrize("state", ["deletion_scheduled", "deleting", "deleted"])
def test_nobody_looks_at_what_cannot_be_deleted_any_more(administrator, workspace, state) -> None:
    Workspace.objects.update(state=state)
    assert administrator.send("GET", workspace).status_code == 200
    assert not Inventory.objects.exists()
    words = {"deletion_scheduled": "deletion scheduled", "deleting": "deleting", "deleted": "deleted"}
    assert problem(administrator.send("POST", workspace, "deletion/inventory")) == (
        409,
        "not_deletable",
        f"ledger-prod cannot be deleted: it is {words[state]}.",
    )


# --- Other addresses --------------------------------------------------------------------------------------------------
def test_a_deleted_workspace_is_listed_only_when_asked_for(administrator, workspace, metal) -> None:
    Workspace.objects.filter(pk=metal.pk).update(state="deleted")

    def names(query: str = "") -> list[str]:
        return [row["name"] for row in administrator.client.get(f"/api/v1/workspaces{query}").json()["items"]]

    assert names() == ["ledger-prod"]
    assert names("?state=deleted") == ["customs-archive"]
    assert names("?type=baremetal") == []
    Workspace.objects.filter(pk=workspace.pk).update(state="deletion_scheduled")
    assert names() == ["ledger-prod"]


def test_a_deleted_workspace_still_answers_and_says_where_its_receipt_is(administrator, workspace) -> None:
    looked(workspace)
    alive = administrator.client.get(f"/api/v1/workspaces/{workspace.pk}").json()
    assert (alive["state"], alive["protected"], alive["receipt"]) == ("active", False, None)
    administrator.schedule(workspace)
    Deletion.objects.update(state="done", receipt={"removed": []})
    Workspace.objects.update(state="deleted", protected=True)
    gone = administrator.client.get(f"/api/v1/workspaces/{workspace.pk}").json()
    assert (gone["name"], gone["state"], gone["protected"]) == ("ledger-prod", "deleted", True)
    assert gone["receipt"] == f"/api/v1/workspaces/{workspace.pk}/deletion/receipt"
    document = administrator.plan(workspace)
    assert (document["state"], document["workspace_state"], document["receipt"]) == ("done", "deleted", True)


@pytest.mark.parametrize("state", ["deleting", "deleted"])
def test_nobody_is_sent_to_look_at_one_that_is_going_or_gone(administrator, workspace, state) -> None:
    Workspace.objects.update(state=state)
    assert problem(administrator.send("POST", workspace, "reconcile"))[:2] == (409, "not_active")
    Workspace.objects.update(state="deletion_scheduled")
    assert administrator.send("POST", workspace, "reconcile").status_code == 202
