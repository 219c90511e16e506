"""What Prometheus is told: counted from rows, for whoever holds the token."""

from datetime import timedelta

import django_rq
import pytest
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from tests import cast
from workspaces.models import Drift, Look, Operation, Workspace

pytestmark = pytest.mark.django_db

TOKEN = "scraper's own"


@pytest.fixture(autouse=True)
def token(settings):
    settings.LOOPBACK_METRICS_TOKEN = TOKEN
    django_rq.get_connection("operations").flushdb()


def figures():
    answer = Client().get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain; version=")
    families = text_string_to_metric_families(answer.content.decode())
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value for family in families for sample in family.samples
    }


def test_without_a_token_in_the_settings_there_is_no_such_page(settings):
    settings.LOOPBACK_METRICS_TOKEN = ""
    assert Client().get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404


@pytest.mark.parametrize("sent", ["", "Bearer wrong", f"Basic {TOKEN}"])
def test_whoever_has_not_the_token_is_told_no_figure(sent):
    answer = Client().get("/metrics", headers={"Authorization": sent})
    assert answer.status_code == 401
    assert b"loopback_" not in answer.content


def test_workspaces_are_counted_by_type_and_state_and_by_how_they_are(workspace, metal):
    Workspace.objects.filter(pk=workspace.pk).update(observed_at=timezone.now(), attention="A host is down.")
    Workspace.objects.filter(pk=metal.pk).update(observed_at=timezone.now() - timedelta(hours=1))
    told = figures()
    assert told["loopback_workspaces", ("state", "active"), ("type", "kubernetes")] == 1
    assert told["loopback_workspaces", ("state", "active"), ("type", "baremetal")] == 1
    assert told["loopback_workspaces_attention",] == 1
    assert told["loopback_workspaces_stale",] == 1
    assert told["loopback_left_servers",] == 0


def test_operations_are_counted_open_and_ended(workspace, metal):
    for state, where in (("failed", workspace), ("running", metal)):
        Operation.objects.create(workspace=where, kind="upgrade", title="Upgrade", state=state, requested_by="x")
    told = figures()
    assert told["loopback_operations_open", ("kind", "upgrade"), ("state", "running")] == 1
    assert told["loopback_operations_ended_total", ("kind", "upgrade"), ("state", "failed")] == 1
    assert told["loopback_operations_waiting_for_a_person",] == 1


def test_a_look_that_fails_is_counted_by_its_cause(workspace):
    ago = timezone.now() - timedelta(seconds=110)
    cast.looked_at(workspace, ago, error_code="credential")
    told = figures()
    assert told["loopback_looks_failing", ("code", "credential"), ("kind", "control_planes")] == 1
    assert told["loopback_looks_failing", ("code", "credential"), ("kind", "cluster")] == 1
    assert 110 <= told["loopback_look_age_seconds", ("kind", "control_planes")] < 160
    Look.objects.update(error_code="")
    assert not [name for name in figures() if name[0] == "loopback_looks_failing"]


def test_a_target_is_late_when_it_was_not_seen_for_two_of_its_own_periods(workspace, metal):
    now = timezone.now()
    cast.looked_at(workspace, now - timedelta(seconds=130))  # a minute of clusters, ten of seeding
    cast.looked_at(metal, now - timedelta(seconds=100))
    told = figures()
    late = {name[1][1]: number for name, number in told.items() if name[0] == "loopback_looks_late"}
    assert late == {"control_planes": 1, "servers": 0, "dns": 0, "cluster": 1, "seeding": 0}
    Look.objects.filter(workspace=metal).update(succeeded_at=None)
    assert figures()["loopback_looks_late", ("kind", "cluster")] == 2


def test_open_drift_is_counted_by_what_becomes_of_it(workspace):
    for field, policy, ended in (("replicas", "decide", None), ("paused", "decide", None), ("x", "decide", cast.NOW)):
        Drift.objects.create(
            workspace=workspace, kind="control_plane", field=field, policy=policy, since=cast.NOW, ended_at=ended
        )
    Drift.objects.create(workspace=workspace, kind="host", field="name", policy="repair", since=cast.NOW)
    told = figures()
    assert told["loopback_drift_open", ("kind", "control_plane"), ("policy", "decide")] == 2
    assert told["loopback_drift_open", ("kind", "host"), ("policy", "repair")] == 1


def test_the_queue_is_told_and_that_it_cannot_be_asked(monkeypatch):
    told = figures()
    assert told["loopback_queue_up",] == 1
    assert told["loopback_queue_depth", ("queue", "operations")] == 0
    assert told["loopback_workers_alive", ("queue", "reconcile")] == 0
    for name in ("operations", "ticks", "reconcile"):
        monkeypatch.setitem(django_rq.settings.QUEUES, name, {"URL": "redis://127.0.0.1:1/0"})
    told = figures()
    assert told["loopback_queue_up",] == 0
    assert not [name for name in told if name[0] == "loopback_queue_depth"]


def test_a_scrape_costs_ten_queries_at_most(workspace, django_assert_max_num_queries):
    with django_assert_max_num_queries(10):
        figures()
