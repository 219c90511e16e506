"""What differs from what is wanted, who is named for it, how it is said, and what may be decided about it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from workspaces.rules import drift, drift_words
from workspaces.rules.drift import Actor, Difference, Done, SeenControlPlane, SeenNode, SeenServer

AT = datetime(2026, 11, 24, 14, 2, tzinfo=UTC)
LATER = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
WANTED = {"kubernetes_version": "1.34.8", "replicas": 2, "paused": False}
SERVER = {"server_type": "ccx23", "name": "web-1", "labels": {"loopback/host": "h1"}}
OURS = {"loopback/host": "h1"}


def told(found: list[Difference]) -> list[tuple[str, Any, Any, str]]:
    """Field, wanted, seen and policy of each difference."""
    return [(one.field, one.wanted, one.seen, one.policy) for one in found]


# --- Control planes ---------------------------------------------------------------------------------------------------
def test_a_control_plane_as_wanted_has_no_difference_and_nobody_is_asked() -> None:
    asked: list[str] = []

    def actor(field: str) -> Actor:
        asked.append(field)
        return Actor()

    assert drift.of_control_plane(WANTED, SeenControlPlane("1.34.8", 2, paused=False), actor) == []
    assert asked == []


def test_each_field_of_a_control_plane_is_told_with_its_own_actor() -> None:
    actors = {
        "kubernetes_version": Actor("flux", AT),
        "replicas": Actor("kubectl-edit", LATER),
        "paused": Actor(),
    }
    found = drift.of_control_plane(WANTED, SeenControlPlane("1.35.4", 3, paused=True), actors.__getitem__)
    assert told(found) == [
        ("kubernetes_version", "1.34.8", "1.35.4", "decide"),
        ("replicas", 2, 3, "decide"),
        ("paused", False, True, "decide"),
    ]
    assert [(one.actor, one.actor_at) for one in found] == [("flux", AT), ("kubectl-edit", LATER), ("", None)]
    assert {(one.kind, one.ref, one.subject) for one in found} == {("control_plane", "", "Control plane")}
    assert found[0].reason == "No control plane goes back to a lower version: accept it."


def test_a_field_that_nobody_has_wanted_yet_is_no_drift() -> None:
    assert drift.of_control_plane({"replicas": 2}, SeenControlPlane("1.35.4", 2, paused=True)) == []
    assert drift.of_control_plane({}, SeenControlPlane("1.35.4", 5, paused=True)) == []


def test_a_version_below_the_wanted_one_takes_an_upgrade() -> None:
    wanted = {"kubernetes_version": "1.35.4"}
    [found] = drift.of_control_plane(wanted, SeenControlPlane("1.34.8", 2, paused=False))
    assert found.reason == "Only an upgrade brings it to 1.35.4: accept it, or start one."


def test_what_the_first_look_sees_is_wanted_from_then_on() -> None:
    plane = SeenControlPlane("1.34.8", 2, paused=True)
    assert plane.as_wanted == {"kubernetes_version": "1.34.8", "replicas": 2, "paused": True}
    assert drift.of_control_plane(plane.as_wanted, plane) == []
    server = SeenServer("web-1", "ccx23", "running", OURS | {"team": "freight"})
    assert server.as_wanted("loopback/") == SERVER
    assert drift.of_server(server.as_wanted("loopback/"), server, ref="h1", host="web-1") == []


# --- Servers ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (SeenServer("web-1", "ccx23", "running", OURS), []),
        (SeenServer("web-1", "cpx31", "running", OURS), [("server_type", "ccx23", "cpx31", "tell")]),
        (SeenServer("old-web", "ccx23", "running", OURS), [("name", "web-1", "old-web", "repair")]),
        (SeenServer("web-1", "ccx23", "off", OURS), [("power", "running", "off", "decide")]),
        (SeenServer("web-1", "ccx23", "stopping", OURS), []),
        (SeenServer("web-1", "ccx23", "unknown", OURS), []),
        (SeenServer("web-1", "ccx23", "running"), [("labels.loopback/host", "h1", None, "repair")]),
        (
            SeenServer("web-1", "ccx23", "running", {"loopback/host": "h2", "team": "x"}),
            [("labels.loopback/host", "h1", "h2", "repair")],
        ),
        (None, [("gone", "web-1", None, "tell")]),
    ],
)
def test_a_server_differs_in_what_its_host_wants(seen: SeenServer | None, expected: list[Any]) -> None:
    found = drift.of_server(SERVER, seen, ref="h1", host="ledger-w1")
    assert told(found) == expected
    assert {(one.kind, one.ref, one.subject) for one in found} <= {("host", "h1", "Server ledger-w1")}


def test_a_server_that_was_accepted_as_off_and_runs_again_is_told_only() -> None:
    seen = SeenServer("web-1", "ccx23", "running", OURS)
    assert told(drift.of_server(SERVER | {"power": "off"}, seen, ref="h1", host="web-1")) == [
        ("power", "off", "running", "tell")
    ]


def test_a_server_of_which_nothing_is_wanted_yet_can_only_be_off_or_gone() -> None:
    assert drift.of_server({}, SeenServer("web-1", "ccx23", "running", OURS), ref="h1", host="web-1") == []
    assert told(drift.of_server({}, None, ref="h1", host="web-1")) == [("gone", "web-1", None, "tell")]


# --- Nodes ------------------------------------------------------------------------------------------------------------
def test_a_node_that_somebody_closed_waits_for_a_decision() -> None:
    [found] = drift.of_node({}, SeenNode(unschedulable=True), ref="h1", node="w1", actor=lambda _: Actor("kubectl", AT))
    assert told([found]) == [("unschedulable", False, True, "decide")]
    assert (found.kind, found.ref, found.subject) == ("node", "h1", "Node w1")
    assert (found.actor, found.actor_at) == ("kubectl", AT)
    assert found.reason == "Somebody may have closed it to work on it."


def test_a_node_that_an_operation_left_closed_names_us_and_nobody_else() -> None:
    closed = SeenNode(unschedulable=True, cordoned_by="op-1")
    [found] = drift.of_node({}, closed, ref="h1", node="w1", actor=lambda _: Actor("kubectl", AT))
    assert (found.actor, found.actor_at) == ("Loopback", None)
    assert found.reason == "An operation closed it and did not come to open it again."


def test_a_node_that_was_accepted_as_closed_differs_when_it_is_open() -> None:
    assert drift.of_node({"unschedulable": True}, SeenNode(unschedulable=True), ref="h1", node="w1") == []
    opened = drift.of_node({"unschedulable": True}, SeenNode(unschedulable=False), ref="h1", node="w1")
    assert told(opened) == [("unschedulable", True, False, "tell")]


def test_a_node_that_is_not_in_its_cluster_is_told() -> None:
    assert drift.of_node({}, SeenNode(unschedulable=False), ref="h1", node="w1") == []
    assert told(drift.of_node({}, None, ref="h1", node="w1")) == [("missing", "w1", None, "tell")]


# --- Who --------------------------------------------------------------------------------------------------------------
STOPPED = Done("stop_server", AT, succeeded=True)
CHANGED = Done("change_server_type", AT, succeeded=True)


@pytest.mark.parametrize(
    ("actions", "field", "expected"),
    [
        ([CHANGED], "server_type", Actor("Hetzner Cloud action change_server_type", AT)),
        ([STOPPED], "power", Actor("Hetzner Cloud action stop_server", AT)),
        ([Done("shutdown_server", AT, succeeded=True)], "power", Actor("Hetzner Cloud action shutdown_server", AT)),
        # Shut down from within: the action of an earlier stop, undone since, explains nothing.
        ([STOPPED, Done("start_server", LATER, succeeded=True)], "power", Actor()),
        ([STOPPED, Done("change_server_type", LATER, succeeded=True)], "power", Actor()),
        ([Done("stop_server", AT, succeeded=False)], "power", Actor()),
        ([Done("stop_server", None, succeeded=False)], "power", Actor()),
        ([Done("delete_server", AT, succeeded=True)], "gone", Actor("Hetzner Cloud action delete_server", AT)),
        ([STOPPED, CHANGED], "gone", Actor()),
        ([STOPPED, CHANGED], "name", Actor()),
        ([STOPPED, CHANGED], "labels.loopback/host", Actor()),
        ([], "server_type", Actor()),
    ],
)
def test_an_action_explains_only_what_it_does(actions: list[Done], field: str, expected: Actor) -> None:
    assert drift.explained_by(actions, field) == expected


def test_of_two_actions_the_newest_explains_whatever_their_order() -> None:
    later = Done("shutdown_server", LATER, succeeded=True)
    for actions in ([STOPPED, later], [later, STOPPED]):
        assert drift.explained_by(actions, "power") == Actor("Hetzner Cloud action shutdown_server", LATER)


def test_of_two_actions_in_the_same_second_the_one_that_began_later_explains() -> None:
    actions = [Done("change_server_type", AT, succeeded=True, id=8), Done("stop_server", AT, succeeded=True, id=7)]
    assert drift.explained_by(actions, "power") == Actor()
    assert drift.explained_by([actions[0], actions[1]._replace(id=9)], "power").name == (
        "Hetzner Cloud action stop_server"
    )


# --- Words ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "not there"),
        (True, "yes"),
        (False, "no"),
        (2, "2"),
        (0, "0"),
        ("", "empty"),
        ("1.34.8", "1.34.8"),
        (["203.0.113.7", "203.0.113.8"], "203.0.113.7, 203.0.113.8"),
        ([], "none"),
        ({"cpu": "100m", "b": None}, '{"b": null, "cpu": "100m"}'),
        ([{"name": "web"}], '[{"name": "web"}]'),
    ],
)
def test_values_are_said_in_words(value: Any, expected: str) -> None:
    assert drift_words.in_words(value) == expected


def test_what_was_set_back_is_one_sentence_for_the_trail() -> None:
    said = drift_words.repaired("control_plane", "Control plane", "replicas", 2, 3, "kubectl-edit")
    assert said == "Set replicas of the control plane back to 2; it was 3, changed by kubectl-edit"
    said = drift_words.repaired("host", "Server web-1", "labels.loopback/host", "h1", None, "")
    assert said == "Set label loopback/host of server web-1 back to h1; it was not there"
    said = drift_words.repaired("dns", "DNS record gw.customs.example AAAA", "records", ["::1"], None, "")
    assert said == "Set records of DNS record gw.customs.example AAAA back to ::1; it was not there"


def test_what_was_decided_is_one_sentence_for_the_trail() -> None:
    said = drift_words.decided("control_plane", "Control plane", "paused", False, True, "accept")
    assert said == "Accepted reconciliation of the control plane as paused; on was wanted"
    said = drift_words.decided("node", "Node w1", "unschedulable", False, True, "converge")
    assert said == "Decided to set scheduling of node w1 back to open; it is closed"


@pytest.mark.parametrize(
    ("kind", "field", "policy", "wanted", "seen", "expected"),
    [
        ("control_plane", "replicas", "decide", 2, 3, ("accept", "converge")),
        ("control_plane", "paused", "decide", False, True, ("accept", "converge")),
        ("control_plane", "kubernetes_version", "decide", "1.34.8", "1.35.4", ("accept",)),
        ("host", "server_type", "tell", "ccx23", "cpx31", ("accept",)),
        ("host", "name", "repair", "web-1", "old", ("accept", "converge")),
        ("host", "labels.loopback/host", "decide", "h1", None, ("converge",)),
        ("host", "power", "decide", "running", "off", ("accept", "converge")),
        ("host", "power", "tell", "off", "running", ("accept",)),
        ("host", "gone", "tell", "web-1", None, ()),
        ("node", "unschedulable", "decide", False, True, ("accept", "converge")),
        ("node", "missing", "tell", "w1", None, ()),
        ("dns", "records", "repair", ["::1"], ["::2"], ("accept", "converge")),
        ("dns", "records", "repair", ["::1"], ["::2", "::3"], ("converge",)),
        ("dns", "records", "repair", ["::1"], None, ("converge",)),
        ("dns", "ttl", "repair", 300, 60, ("accept", "converge")),
        ("dns", "zone", "tell", "customs.example", None, ()),
        ("seed", "spec.replicas", "decide", 2, 3, ("accept", "converge")),
    ],
)
def test_what_a_person_may_decide(
    kind: str, field: str, policy: str, wanted: Any, seen: Any, expected: tuple[str, ...]
) -> None:
    assert drift_words.choices(kind, field, policy, wanted, seen) == expected


def test_what_is_protected_may_only_be_set_back() -> None:
    assert drift_words.choices("seed", "data.a", "decide", "1", "2", protected=True) == ("converge",)
