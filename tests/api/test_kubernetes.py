"""The Kubernetes version over the API: targets and reasons, plans with their time, preflights, starting with risks."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import django_rq
import pytest

from tests.api.test_api import Script, operator, stranger, viewer  # noqa: F401
from tests.views.sockets import no_outside  # noqa: F401
from workspaces.models import Event, KubernetesVersion, Operation, Preflight, Step, Workspace
from workspaces.rules.preflight import Check

pytestmark = pytest.mark.usefixtures("catalogue_rows", "empty_queues", "no_outside")
NOW = datetime(2026, 11, 24, 14, 32, tzinfo=UTC)


def check(code: str, result: str = "pass", **fields: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "title": f"Title of {code}",
        "evidence": f"Evidence of {code}.",
        "observed_at": NOW,
        "blocks": True,
        "acceptable": True,
    }
    return Check(code=code, result=result, **(values | fields)).document()  # type: ignore[arg-type]


def finished(workspace: Workspace, target: str, *checks: dict[str, Any], **fields: Any) -> Preflight:
    """A preflight that ended a minute ago."""
    at = datetime.now(UTC) - timedelta(minutes=1)
    values = {"asked_by": "Bob", "asked_at": at, "finished_at": at, "checks": list(checks)} | fields
    return Preflight.objects.create(workspace=workspace, target=target, **values)


def measure(workspace: Workspace, count: int) -> None:
    """As many upgrades that succeeded: 600 s for the control plane, 300 s for a host."""
    for number in range(count):
        start = NOW - timedelta(days=number + 1)
        operation = Operation.objects.create(
            workspace=workspace,
            kind="upgrade",
            title="Upgrade",
            state="succeeded",
            finished_at=start + timedelta(hours=1),
            parameters={"from": "1.33.9", "to": "1.34.8"},
        )
        for position, (key, host, begun, took) in enumerate(
            [("set_version", "", 0, 100), ("kubeadm_config", "", 100, 500), ("drain", "w1", 700, 300)]
        ):
            began = start + timedelta(seconds=begun)
            Step.objects.create(
                operation=operation,
                position=position,
                key=key,
                title=key,
                host=host,
                state="done",
                started_at=began,
                finished_at=began + timedelta(seconds=took),
            )


# --- Where it may go --------------------------------------------------------------------------------------------------
def test_what_is_not_offered_says_how_many_hops_lead_there(viewer: Script, workspace: Workspace) -> None:  # noqa: F811
    document = viewer.get(f"/workspaces/{workspace.pk}/kubernetes").json()
    assert {one["version"]: one["hops"] for one in document["not_offered"]} == {
        "1.37.1": 0,
        "1.36.2": 2,
        "1.35.6": 0,
        "1.33.9": 0,
    }
    assert set(document["not_offered"][0]) == {"version", "code", "reason", "hops"}


def test_a_version_that_has_ended_is_not_recommended(viewer: Script, workspace: Workspace) -> None:  # noqa: F811
    KubernetesVersion.objects.filter(version="1.35.7").update(end_of_life_on="2020-01-01")
    document = viewer.get(f"/workspaces/{workspace.pk}/kubernetes").json()
    assert document["recommended"] == "1.35.4"
    assert [one["version"] for one in document["targets"]] == ["1.35.7", "1.35.4", "1.34.11"]


def test_a_plan_says_how_long_it_takes_once_enough_was_measured(
    viewer: Script,  # noqa: F811
    workspace: Workspace,
) -> None:
    path = f"/workspaces/{workspace.pk}/kubernetes/plan?to=1.36.2"
    assert viewer.get(path).json()["estimate"] is None
    measure(workspace, 10)
    # Two control planes of 600 s, and three hosts of 300 s at the second hop.
    assert viewer.get(path).json()["estimate"] == {
        "typical_seconds": 2100,
        "p90_seconds": 2100,
        "samples": 10,
        "windows": 1,
    }


# --- Preflight --------------------------------------------------------------------------------------------------------
def test_without_a_preflight_the_answer_says_so(viewer: Script, workspace: Workspace) -> None:  # noqa: F811
    answer = viewer.get(f"/workspaces/{workspace.pk}/kubernetes/preflight?to=1.35.7")
    assert answer.status_code == 200
    assert answer.json() == {
        "target": "1.35.7",
        "state": "none",
        "asked_at": None,
        "finished_at": None,
        "error": None,
        "checks": [],
        "blast": {},
    }


def test_a_preflight_is_about_the_first_hop(viewer: Script, workspace: Workspace) -> None:  # noqa: F811
    seen = finished(workspace, "1.35.7", check("nodes_ready", details=("w1",)), blast={"pods": 3})
    document = viewer.get(f"/workspaces/{workspace.pk}/kubernetes/preflight?to=1.36.2").json()
    assert (document["target"], document["state"], document["blast"]) == ("1.35.7", "done", {"pods": 3})
    assert document["finished_at"] == seen.finished_at.isoformat(timespec="seconds").replace("+00:00", "Z")
    assert document["checks"] == [
        {
            "code": "nodes_ready",
            "title": "Title of nodes_ready",
            "result": "pass",
            "evidence": "Evidence of nodes_ready.",
            "observed_at": "2026-11-24T14:32:00Z",
            "blocks": True,
            "acceptable": True,
            "who_can_fix": "",
            "details": ["w1"],
        }
    ]


def test_asking_for_a_preflight_hands_one_to_a_worker(
    operator: Script,  # noqa: F811
    workspace: Workspace,
    django_capture_on_commit_callbacks: Any,
) -> None:
    path = f"/workspaces/{workspace.pk}/kubernetes/preflight"
    finished(workspace, "1.35.7", check("nodes_ready"))
    with django_capture_on_commit_callbacks(execute=True):
        answer = operator.post(path, {"to": "1.35.7"})
    asked = Preflight.objects.get(finished_at=None)
    assert (answer.status_code, answer.json()["state"], answer.json()["target"]) == (202, "running", "1.35.7")
    assert [one["code"] for one in answer.json()["checks"]] == ["nodes_ready"]
    assert (asked.target, asked.asked_by) == ("1.35.7", "API key operator script")
    assert [job.args for job in django_rq.get_queue("ticks").jobs] == [(str(asked.pk),)]
    with django_capture_on_commit_callbacks(execute=True):
        assert operator.post(path, {"to": "1.35.7"}).status_code == 202
    assert Preflight.objects.filter(finished_at=None).count() == 1
    assert django_rq.get_queue("ticks").count == 1


def test_a_preflight_that_nobody_ends_is_lost(viewer: Script, workspace: Workspace) -> None:  # noqa: F811
    long_ago = datetime.now(UTC) - timedelta(seconds=121)
    Preflight.objects.create(workspace=workspace, target="1.35.7", asked_by="Bob", asked_at=long_ago)
    document = viewer.get(f"/workspaces/{workspace.pk}/kubernetes/preflight?to=1.35.7").json()
    assert (document["state"], document["finished_at"]) == ("lost", None)


def test_a_preflight_that_broke_off_says_why(viewer: Script, workspace: Workspace) -> None:  # noqa: F811
    finished(workspace, "1.35.7", error="The look broke off.")
    document = viewer.get(f"/workspaces/{workspace.pk}/kubernetes/preflight?to=1.35.7").json()
    assert (document["state"], document["error"], document["checks"]) == ("done", "The look broke off.", [])


def test_preflights_of_unknown_versions_and_of_bare_metal_are_refused(
    operator: Script,  # noqa: F811
    workspace: Workspace,
    metal: Workspace,
) -> None:
    for pk, to, code in ((workspace.pk, "1.99.0", "unknown_version"), (metal.pk, "1.35.7", "not_kubernetes")):
        path = f"/workspaces/{pk}/kubernetes/preflight"
        for answer in (operator.get(f"{path}?to={to}"), operator.post(path, {"to": to})):
            assert (answer.status_code, answer.json()["code"]) == (409, code)
    assert not Preflight.objects.exists()


def test_only_who_may_upgrade_asks_for_a_preflight(
    viewer: Script,  # noqa: F811
    stranger: Script,  # noqa: F811
    workspace: Workspace,
) -> None:
    path = f"/workspaces/{workspace.pk}/kubernetes/preflight"
    assert viewer.post(path, {"to": "1.35.7"}).status_code == 403
    assert stranger.post(path, {"to": "1.35.7"}).status_code == 404
    assert stranger.get(f"{path}?to=1.35.7").content == (
        stranger.get(f"/workspaces/{uuid.uuid4()}/kubernetes/preflight?to=1.35.7").content
    )
    assert not Preflight.objects.exists()


@pytest.mark.parametrize("body", [{}, {"to": 1.35}, {"to": "1.35.7", "more": 1}, [], "x"])
def test_a_wrong_preflight_body_is_422(operator: Script, workspace: Workspace, body: Any) -> None:  # noqa: F811
    assert operator.post(f"/workspaces/{workspace.pk}/kubernetes/preflight", body).status_code == 422
    assert not Preflight.objects.exists()


# --- Starting ---------------------------------------------------------------------------------------------------------
def test_several_hops_are_started_only_as_they_were_shown(operator: Script, workspace: Workspace) -> None:  # noqa: F811
    path = f"/workspaces/{workspace.pk}/upgrade"
    one_hop = operator.post(path, {"version": "1.36.2"})
    assert (one_hop.status_code, one_hop.json()["code"]) == (409, "not_reachable")
    other = operator.post(path, {"version": "1.36.2", "through": ["1.35.4"]})
    assert (other.status_code, other.json()["code"], other.json()["through"]) == (409, "route_changed", ["1.35.7"])
    assert not Operation.objects.exists()
    answer = operator.post(path, {"version": "1.36.2", "through": ["1.35.7"]})
    assert answer.status_code == 202
    assert [hop["to"] for hop in Operation.objects.get().parameters["hops"]] == ["1.35.7", "1.36.2"]


def test_a_fresh_preflight_that_fails_refuses_the_start_until_its_risk_is_taken(
    operator: Script,  # noqa: F811
    workspace: Workspace,
) -> None:
    finished(workspace, "1.35.7", check("nodes_ready", "fail"), check("capacity", "fail", blocks=False))
    path = f"/workspaces/{workspace.pk}/upgrade"
    answer = operator.post(path, {"version": "1.35.7"})
    assert (answer.status_code, answer.json()["code"]) == (409, "preflight_failed")
    assert answer.json()["checks"] == ["nodes_ready"]
    assert "Evidence of nodes_ready." in answer.json()["detail"]
    assert operator.post(path, {"version": "1.35.7", "accept_risks": ["nodes_ready"]}).status_code == 202
    risk = Operation.objects.get().parameters["accepted_risks"][0]
    assert (risk["code"], risk["by"]) == ("nodes_ready", "API key operator script")
    assert Event.objects.filter(action="upgrade.risk_accepted").count() == 1


@pytest.mark.parametrize("code", ["version_skew", "nothing_known"])
def test_a_risk_that_nobody_can_take_is_refused(operator: Script, workspace: Workspace, code: str) -> None:  # noqa: F811
    answer = operator.post(f"/workspaces/{workspace.pk}/upgrade", {"version": "1.35.7", "accept_risks": [code]})
    assert (answer.status_code, answer.json()["code"], answer.json()["accept_risks"]) == (409, "unknown_risk", [code])
    assert not Operation.objects.exists()


@pytest.mark.parametrize("more", [{"through": "1.35.7"}, {"through": [1]}, {"accept_risks": None}])
def test_wrong_lists_are_422(operator: Script, workspace: Workspace, more: Any) -> None:  # noqa: F811
    assert operator.post(f"/workspaces/{workspace.pk}/upgrade", {"version": "1.35.7"} | more).status_code == 422
    assert not Operation.objects.exists()


def test_the_address_costs_few_queries(
    viewer: Script,  # noqa: F811
    workspace: Workspace,
    django_assert_max_num_queries: Any,
) -> None:
    finished(workspace, "1.35.7", check("nodes_ready"))
    for path in ("kubernetes", "kubernetes/plan?to=1.36.2", "kubernetes/preflight?to=1.36.2"):
        with django_assert_max_num_queries(8):
            assert viewer.get(f"/workspaces/{workspace.pk}/{path}").status_code == 200
