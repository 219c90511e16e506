"""Drift end to end: people change things past us over the vendors' own APIs, and one look tells what, and who.

What each module does in detail is tested beside it; here everything drifts at once, so nothing else may be told.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.operations.outsiders import LIMITS_PATH, Scene
from tests.operations.seeded import delete, edit
from tests.simulators.running import RunningWorld
from workspaces.models import PLATFORM, Actor, Drift, Operation, StepPlan
from workspaces.operations import drift
from workspaces.rules import labels
from workspaces.rules.refusal import Refused

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_queues"), pytest.mark.timeout(240)]
ALICE = Actor("account", "Alice Ahrens")
CLOUD = "Hetzner Cloud action"
PLANE = ("control_plane", "Control plane")
PAUSED = {"metadata": {"annotations": {"kamaji.clastix.io/paused": "true"}}}
DATA = {"level": "info", "size": "3"}


def everything(scene: Scene) -> dict[Any, Any]:
    """Thirteen changes of thirteen kinds; what is to be told of each: wanted, seen, by whom, what becomes of it."""
    name, ours = scene.workspace.name, str(scene.workspace.pk)
    scene.edit_plane({"spec": {"kubernetes": {"version": "v1.34.11"}}}, "flux")
    scene.scale(3)
    scene.edit_plane(PAUSED, "kubectl-annotate")
    scene.change_type(1, "ccx23")
    scene.switch_off(2)
    scene.label(3, {"team": "billing"})
    scene.rename(4, "gateway-old")
    scene.cordon(5)
    scene.delete_server(6)
    scene.set_records("gw", "AAAA", "2001:db8::7", "2001:db8::bad")
    scene.delete_records("www", "A")
    edit(scene.workspace, {"level": "debug"})
    edit(scene.workspace, {"size": None}, path=LIMITS_PATH)
    return {
        (*PLANE, "kubernetes_version"): ("1.34.8", "1.34.11", "flux", "decide"),
        (*PLANE, "replicas"): (2, 3, "kubectl-edit", "decide"),
        (*PLANE, "paused"): (False, True, "kubectl-annotate", "decide"),
        ("host", f"Server {name}-w1", "server_type"): ("ccx13", "ccx23", f"{CLOUD} change_server_type", "tell"),
        ("host", f"Server {name}-w2", "power"): ("running", "off", f"{CLOUD} stop_server", "decide"),
        ("host", f"Server {name}-w3", f"labels.{labels.WORKSPACE}"): (ours, None, "", "repair"),
        ("host", f"Server {name}-w4", "name"): (f"{name}-w4", "gateway-old", "", "repair"),
        ("node", f"Node {name}-w5", "unschedulable"): (False, True, "kubectl-cordon", "decide"),
        ("host", f"Server {name}-w6", "gone"): (f"{name}-w6", None, f"{CLOUD} delete_server", "tell"),
        ("dns", "DNS record gw.customs.example AAAA", "records"): (
            ["2001:db8::7"], ["2001:db8::7", "2001:db8::bad"], "", "repair"
        ),
        ("dns", "DNS record www.customs.example A", "records"): (["203.0.113.7"], None, "", "repair"),
        ("seed", "ConfigMap platform/settings", "data.level"): ("info", "debug", "kubectl-edit", "decide"),
        ("seed", "ConfigMap platform/limits", "data.size"): ("3", None, "", "repair"),
    }  # fmt: skip


def test_one_look_tells_each_of_thirteen_changes_with_who_made_it_and_nothing_else(world: RunningWorld) -> None:
    scene = Scene(world, "drift-kinds")
    name = scene.workspace.name
    told = everything(scene)
    scene.look()
    assert scene.told() == told

    # What nobody has to decide is as wanted already; the next look sees that.
    servers = scene.servers()
    assert servers[f"{name}-w3"] == ("ccx13", "running", True)
    assert f"{name}-w4" in servers
    assert scene.records() == {"gw/AAAA": ("2001:db8::7",), "www/A": ("203.0.113.7",), "@/TXT": ('"v=spf1 -all"',)}
    assert scene.objects() == {"settings": DATA | {"level": "debug"}, "limits": DATA}
    scene.look()
    left = {key: row for key, row in told.items() if row[3] != "repair"}
    assert scene.told(only_open=True) == left
    assert sorted(scene.acts()) == [
        "Set data.size of ConfigMap platform/limits back to 3; it was not there",
        f"Set label loopback/workspace of server {name}-w3 back to {scene.workspace.pk}; it was not there",
        f"Set name of server {name}-w4 back to {name}-w4; it was gateway-old",
        "Set records of DNS record gw.customs.example AAAA back to 2001:db8::7; it was 2001:db8::7, 2001:db8::bad",
        "Set records of DNS record www.customs.example A back to 203.0.113.7; it was not there",
    ]

    # A person decides about the rest.
    for field in ("replicas", "paused", "power", "unschedulable", "data.level"):
        assert drift.decide(scene.drift(field), "converge", ALICE) is None
    for field in ("kubernetes_version", "server_type"):
        assert isinstance(drift.decide(scene.drift(field), "converge", ALICE), Refused)
        assert drift.decide(scene.drift(field), "accept", ALICE) is None
    for decision in ("accept", "converge"):
        assert isinstance(drift.decide(scene.drift("gone"), decision, ALICE), Refused)
    scene.look_until({"gone"})
    assert scene.world() == {
        "plane": ("v1.34.11", 2, False),
        "servers": {
            f"{name}-w{number}": ("ccx23" if number == 1 else "ccx13", "running", True) for number in range(1, 6)
        },
        "closed": [],
        "records": {"gw/AAAA": ("2001:db8::7",), "www/A": ("203.0.113.7",), "@/TXT": ('"v=spf1 -all"',)},
        "objects": {"settings": DATA, "limits": DATA},
    }


def test_while_an_operation_is_open_nothing_is_told_or_touched(world: RunningWorld) -> None:
    scene = Scene(world, "drift-busy")
    started = Operation.start(scene.workspace, "upgrade", "Upgrade", [StepPlan("look", "Look")], actor=PLATFORM)
    assert isinstance(started, Operation)
    told = everything(scene)
    before = scene.world()
    scene.look()
    scene.look()
    assert scene.told() == {}
    assert scene.world() == before
    assert scene.acts() == []
    Operation.objects.filter(pk=started.pk).update(state="succeeded")
    scene.look()
    assert scene.told() == told


def test_what_is_changed_back_each_time_is_left_to_a_person_who_is_told_by_whom(world: RunningWorld) -> None:
    scene = Scene(world, "drift-fought", hosts=2)
    name = scene.workspace.name

    def again() -> None:
        scene.rename(1, "mine")
        scene.label(2, {})
        scene.set_records("gw", "AAAA", "2001:db8::bad")
        delete(scene.workspace, LIMITS_PATH)
        scene.scale(3)

    for _ in range(2):
        again()
        scene.look()
        assert drift.decide(scene.drift("replicas"), "converge", ALICE) is None
        scene.look_until(set())
    again()
    before = scene.world()
    scene.look()
    scene.look()
    fought = Drift.objects.open().filter(fought=True, policy="decide", repairs=2)
    reasons = dict(fought.values_list("field", "reason"))
    assert reasons == {
        "name": "Set back twice, and different again.",
        f"labels.{labels.WORKSPACE}": "Set back twice, and different again.",
        "records": "Set back twice, and different again.",
        "object": "Set back twice, and different again.",
        "replicas": "Set back twice; kubectl-edit changed it again.",
    }
    assert scene.world() == before
    assert "mine" in before["servers"]
    for field in reasons:
        assert drift.decide(scene.drift(field), "converge", ALICE) is None
    scene.look_until(set())
    assert set(scene.servers()) == {f"{name}-w1", f"{name}-w2"}
