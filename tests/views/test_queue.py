"""The queue page, the frame's warning, and the same in the API."""

import os
import uuid

import django_rq
import pytest
from django.test import Client
from django.utils import timezone
from django_rq.cron import DjangoCronScheduler
from rq import SimpleWorker

from tests import cast
from workspaces import jobs
from workspaces.models import Event, Operation, Workspace

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def empty_redis():
    connection = django_rq.get_connection("operations")
    connection.flushdb()
    yield
    connection.flushdb()


@pytest.fixture
def alices(alice, workspace):
    Workspace.objects.filter(pk=workspace.pk).update(observed_at=timezone.now())
    return cast.sign_in(Client(), alice)


def living(*names):
    made = SimpleWorker([django_rq.get_queue(name) for name in names], connection=django_rq.get_connection(names[0]))
    made.hostname, made.pid = "worker-1", os.getpid()
    made.register_birth()
    scheduler = DjangoCronScheduler()
    scheduler.register(jobs.upkeep_tick, "ticks", interval=60)
    scheduler.register_birth()
    scheduler.heartbeat()


def failing(key, job="sync_profiles"):
    """A job that ends in an error nobody expected: there is no such row."""
    job = django_rq.get_queue("reconcile").enqueue(f"workspaces.jobs.{job}", str(key))
    SimpleWorker([django_rq.get_queue("reconcile")], connection=job.connection).work(burst=True, logging_level="ERROR")
    return job.id


def test_every_page_says_that_no_worker_lives_and_no_page_does_when_all_do(alices, workspace):
    for address in ("/workspaces", f"/workspaces/{workspace.pk}", "/operations", "/queue"):
        page = alices.get(address)
        assert "No worker is running: nothing is looked at and no operation goes on." in page.text, address
    living("operations", "ticks", "reconcile")
    for address in ("/workspaces", f"/workspaces/{workspace.pk}", "/operations", "/queue"):
        assert 'id="machinery"' not in alices.get(address).text, address


def test_the_page_tells_workers_queues_and_the_scheduler(alices):
    living("operations", "ticks")
    django_rq.get_queue("reconcile").enqueue("workspaces.jobs.look_at_cluster", str(uuid.uuid4()))
    page = alices.get("/queue")
    assert page.status_code == 200
    lines = {line.seen.name: (line.word, line.seen.depth, line.seen.workers) for line in page.context["lines"]}
    assert lines == {"operations": ("Served", 0, 1), "ticks": ("Served", 0, 1), "reconcile": ("No worker", 1, 0)}
    assert page.context["alive"] == 1
    assert page.context["scheduler_alive"]
    assert "No worker serves the queue reconcile: nothing is looked at." in page.text


def test_an_operation_that_failed_waits_for_a_person_until_another_takes_its_place(alices, workspace):
    failed = Operation.objects.create(
        workspace=workspace,
        kind="upgrade",
        title="Upgrade ledger-prod",
        state="failed",
        requested_by="Bob",
        finished_at=timezone.now(),
        error_message="A budget allows no eviction.",
        error_who_can_fix="The owners of routing/planner.",
    )
    page = alices.get("/queue")
    assert [one.pk for one in page.context["waiting"]] == [failed.pk]
    assert "The owners of routing/planner." in page.text
    Operation.objects.create(workspace=workspace, kind="upgrade", title="Again", state="succeeded", requested_by="Bob")
    assert alices.get("/queue").context["waiting"] == []


def test_a_failed_job_is_put_back_by_somebody_who_may_see_what_it_is_about(alices, alice, workspace):
    gone, hers = failing(uuid.uuid4()), failing(workspace.pk)
    page = alices.get("/queue")
    seen = {line.seen.id: (line.what, line.about, line.may_retry) for line in page.context["failed"]}
    assert seen == {
        gone: ("Ask a provider for prices and availability", "", False),
        hers: ("Ask a provider for prices and availability", "ledger-prod", True),
    }
    assert "not yours to see" in page.text
    assert page.text.count("ProviderAccount.DoesNotExist") == 1, "of the one that is hers"
    assert alices.post(f"/queue/jobs/{gone}/retry").status_code == 403
    assert alices.post(f"/queue/jobs/{hers}/retry").status_code == 303
    assert django_rq.get_queue("reconcile").get_job_ids() == [hers]
    event = Event.objects.get(action="queue.retried")
    assert (event.actor_name, event.actor_id) == ("Alice Ahrens", alice.pk)
    again = alices.post(f"/queue/jobs/{hers}/retry", follow=True)
    assert "Nothing was changed: this job has not failed" in again.text


def test_who_does_not_administer_is_refused_page_retry_and_link(bob, workspace):
    client = cast.sign_in(Client(), bob)
    assert client.get("/queue").status_code == 403
    assert client.post("/queue/jobs/any/retry").status_code == 403
    assert 'href="/queue"' not in client.get("/workspaces").text


def test_the_live_part_alone_is_answered_to_htmx(alices):
    part = alices.get("/queue", headers={"HX-Request": "true"})
    assert part.text.lstrip().startswith('<div id="live"')
    assert "<html" not in part.text


def test_a_redis_that_does_not_answer_is_said_on_the_page(alices, monkeypatch):
    for name in ("operations", "ticks", "reconcile"):
        monkeypatch.setitem(django_rq.settings.QUEUES, name, {"URL": "redis://127.0.0.1:1/0"})
    page = alices.get("/queue")
    assert page.status_code == 200
    assert "The queue cannot be reached: ConnectionError." in page.text
    assert "by restoring Redis" in page.text


def test_the_api_tells_administrators_the_same_without_what_jobs_are_about(alices, bob, workspace):
    living("operations", "reconcile", "ticks")
    failing(uuid.uuid4())
    told = alices.get("/api/v1/queue").json()
    assert [(one["name"], one["depth"], one["failed"], one["workers"]) for one in told["queues"]] == [
        ("operations", 0, 0, 1),
        ("ticks", 0, 0, 1),
        ("reconcile", 0, 1, 1),
    ]
    assert [one["alive"] for one in told["workers"]] == [True]
    assert told["scheduler_alive"] is True
    assert told["warning"] is None
    assert [sorted(one) for one in told["failed"]] == [["failed_at", "id", "job", "queue"]]
    assert cast.sign_in(Client(), bob).get("/api/v1/queue").status_code == 403


def test_the_page_costs_at_most_ten_queries(alices, django_assert_max_num_queries):
    for _ in range(3):
        failing(uuid.uuid4())
    with django_assert_max_num_queries(12):
        alices.get("/queue")
