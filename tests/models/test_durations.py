"""What counts as a measured upgrade: which operations, which hosts, and what a pause, a skip or a stop does to it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests import cast
from workspaces.models import Operation, Step, Workspace
from workspaces.models.durations import measured
from workspaces.rules.estimate import Durations

pytestmark = pytest.mark.django_db
CONTROL_PLANE = ("set_version", "roll_out", "confirm", "kubeadm_config")
ON_A_HOST = ("kubeadm", "cordon", "drain", "kubelet", "verify", "uncordon")


class Upgrade:
    """An upgrade that succeeded, step after step, a second between two of them."""

    def __init__(self, workspace: Workspace, *, ended: datetime = cast.NOW, **fields: str) -> None:
        values = {"kind": "upgrade", "state": "succeeded"} | fields
        self.operation = Operation.objects.create(
            workspace=workspace,
            title="Upgrade",
            parameters={"from": "1.34.8", "to": "1.35.7"},
            requested_by="Bob",
            finished_at=ended,
            **values,
        )
        self.at, self.position = cast.NOW - timedelta(days=1), 0

    def step(self, key: str, seconds: float, *, host: str = "", hop: int = 0, state: str = "done") -> None:
        began, self.at = self.at, self.at + timedelta(seconds=seconds)
        Step.objects.create(
            operation=self.operation,
            position=self.position,
            key=key,
            title=key,
            host=host,
            hop=hop,
            state=state,
            started_at=began,
            finished_at=self.at,
        )
        self.at += timedelta(seconds=1)
        self.position += 1

    def moved(self, seconds: float = 60.0, *, hop: int = 0) -> Upgrade:
        """A control plane: `seconds` a step."""
        self.step("check", 500, hop=hop)
        for key in CONTROL_PLANE:
            self.step(key, seconds, hop=hop)
        return self

    def host(self, name: str, seconds: float = 10.0, *, hop: int = 0) -> Upgrade:
        """A host: `seconds` a step."""
        for key in ON_A_HOST:
            self.step(key, seconds, host=name, hop=hop)
        return self


def test_a_control_plane_lasts_from_its_first_to_its_last_step_and_a_host_as_long_as_its_steps(workspace):
    upgrade = Upgrade(workspace).moved(60).host("w1", 10).host("w2", 20)
    upgrade.step("finish", 400)
    assert measured() == Durations((4 * 60.0 + 3,), (60.0, 120.0))


def test_of_several_hops_each_is_a_sample_and_so_is_a_host_in_each(workspace):
    Upgrade(workspace).moved(60, hop=1).host("w1", 10, hop=1).moved(30, hop=2).host("w1", 20, hop=2)
    assert measured() == Durations((243.0, 123.0), (60.0, 120.0))


@pytest.mark.parametrize(
    "fields", [{"state": "failed"}, {"state": "stopped"}, {"state": "running"}, {"kind": "maintenance"}]
)
def test_only_upgrades_that_succeeded_count(workspace, fields):
    Upgrade(workspace, **fields).moved().host("w1")
    assert measured() == Durations((), ())


def test_a_host_that_was_left_out_is_no_sample_whatever_was_done_on_it(workspace):
    upgrade = Upgrade(workspace).moved().host("w1", 10)
    upgrade.step("kubeadm", 5, host="w2")
    upgrade.step("cordon", 5, host="w2", state="skipped")
    assert measured() == Durations((243.0,), (60.0,))


def test_a_night_between_two_steps_is_no_measure_of_the_control_plane_and_not_in_that_of_a_host(workspace):
    upgrade = Upgrade(workspace)
    upgrade.step("set_version", 60)
    upgrade.at += timedelta(hours=22)
    for key in CONTROL_PLANE[1:]:
        upgrade.step(key, 60)
    upgrade.step("kubeadm", 10, host="w1")
    upgrade.at += timedelta(hours=22)
    upgrade.step("cordon", 20, host="w1")
    assert measured() == Durations((), (30.0,))


def test_a_queue_that_is_late_by_minutes_belongs_to_the_measure(workspace):
    upgrade = Upgrade(workspace)
    upgrade.step("set_version", 60)
    upgrade.at += timedelta(minutes=9)
    for key in CONTROL_PLANE[1:]:
        upgrade.step(key, 60)
    assert measured() == Durations((243.0 + 9 * 60,), ())


def test_where_only_hosts_left_behind_moved_the_control_plane_is_no_sample(workspace):
    upgrade = Upgrade(workspace).moved(1).host("w2", 10)
    upgrade.operation.parameters = {"from": "1.35.7", "to": "1.35.7"}
    upgrade.operation.save()
    assert measured() == Durations((), (60.0,))


def test_the_newest_two_hundred_count_and_cost_one_query(workspace, django_assert_num_queries):
    for number in range(201):
        Upgrade(workspace, ended=cast.NOW - timedelta(hours=number)).step("kubeadm", 100 + number, host="w1")
    with django_assert_num_queries(1):
        found = measured()
    assert len(found.host) == 200
    assert (found.host[0], found.host[-1]) == (100.0, 299.0)
