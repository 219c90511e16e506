"""Handing out kubeconfigs: asked for, fetched from the simulated management cluster, taken once, erased; and what may
go wrong on the way. The document must never be seen anywhere but in the one answer."""

from __future__ import annotations

import base64
import json
import logging
import threading
import time
from datetime import UTC, datetime, timedelta

import django_rq
import pytest
import yaml
from django.db import connection, connections
from django.utils import timezone

from tests import cast
from tests.operations import harness
from tests.simulators.running import RunningWorld
from workspaces import jobs
from workspaces.models import Account, Event, Kubeconfig, Workspace
from workspaces.operations import kubeconfigs
from workspaces.operations.connections import tenant_kubeconfig
from workspaces.providers import kubeconfig as documents
from workspaces.providers.cluster import Cluster
from workspaces.providers.errors import Permanent
from workspaces.rules.refusal import Refused

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_queues")]
WHY = "Restore drill, ticket 4711"
SECRETS = {"service": "kubernetes", "target": "mgmt-fsn1", "path": "*/secrets/*"}


@pytest.fixture
def linked(world: RunningWorld) -> Workspace:
    """A workspace whose control plane is in the simulated world."""
    return harness.linked(world, cast.kubernetes("handing-out", hosts=0))


def asked(workspace: Workspace, by: Account) -> Kubeconfig:
    made = kubeconfigs.request(workspace, WHY, by)
    assert isinstance(made, Kubeconfig)
    return made


def fetched(workspace: Workspace, by: Account) -> Kubeconfig:
    made = asked(workspace, by)
    jobs.fetch_kubeconfig(str(made.pk))
    made.refresh_from_db()
    return made


def ready(workspace: Workspace, by: Account) -> Kubeconfig:
    """One that lies ready, without a world."""
    return Kubeconfig.objects.create(
        workspace=workspace,
        requested_by=str(by),
        requested_by_id=by.pk,
        reason=WHY,
        state="ready",
        document="apiVersion: secret",
        fetched_at=timezone.now(),
    )


def waiting_jobs() -> list[tuple[str, str]]:
    return [(job.func_name, job.args[0]) for job in django_rq.get_queue("ticks").jobs]


def secrets_of(document: str) -> list[str]:
    """What must not be seen: the key and the certificate, as they stand in the document and decoded."""
    user = yaml.safe_load(document)["users"][0]["user"]
    encoded = [user["client-key-data"], user["client-certificate-data"]]
    return [*encoded, *(base64.b64decode(text).decode().split("\n")[1] for text in encoded)]


# --- The way it goes --------------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_a_kubeconfig_is_asked_for_fetched_by_a_worker_and_taken_once(linked, alice):
    made = asked(linked, alice)
    assert made.state == "requested"
    assert waiting_jobs() == [("workspaces.jobs.fetch_kubeconfig", str(made.pk))]
    with harness.workers(queue="ticks"):
        until = time.monotonic() + 30
        while Kubeconfig.objects.get().state == "requested":
            assert time.monotonic() < until
            time.sleep(0.05)
    made.refresh_from_db()
    assert (made.state, made.failure) == ("ready", "")
    assert made.certificate_until is not None
    assert made.certificate_until > timezone.now() + timedelta(days=300)
    taken = kubeconfigs.take(made.pk, alice)
    assert isinstance(taken, str)
    with Cluster(taken, name="handing-out") as cluster:
        assert cluster.nodes() == []
    made.refresh_from_db()
    assert (made.state, made.document.token) == ("taken", "")
    assert made.taken_at is not None
    again = kubeconfigs.take(made.pk, alice)
    assert isinstance(again, Refused)
    assert again.message == "It was handed out already, and erased here. Export another one."


def test_asking_and_taking_are_acts_of_the_one_who_did_it_with_the_reason(linked, alice):
    made = fetched(linked, alice)
    kubeconfigs.take(made.pk, alice)
    acts = Event.objects.acts().filter(action__startswith="kubeconfig.").order_by("id")
    assert [(act.action, act.actor_name, act.summary) for act in acts] == [
        (
            "kubeconfig.requested",
            "Alice Ahrens",
            "Asked for a kubeconfig of handing-out with full rights, client certificate: Restore drill, ticket 4711",
        ),
        (
            "kubeconfig.taken",
            "Alice Ahrens",
            "Took a kubeconfig of handing-out with full rights, client certificate: Restore drill, ticket 4711",
        ),
    ]
    assert {act.workspace_id for act in acts} == {linked.pk}


def test_the_document_is_sealed_at_rest_and_in_no_event_and_no_log_line(linked, alice, caplog):
    caplog.set_level(logging.DEBUG)
    secrets = secrets_of(tenant_kubeconfig(linked))
    made = fetched(linked, alice)
    with connection.cursor() as cursor:
        cursor.execute("SELECT document FROM workspaces_kubeconfig")
        (stored,) = cursor.fetchone()
    assert stored.startswith("gAAAA")
    taken = kubeconfigs.take(made.pk, alice)
    assert isinstance(taken, str)
    assert secrets_of(taken) == secrets
    events = json.dumps(list(Event.objects.values("summary", "changes")))
    assert Event.objects.row_changes().filter(table="workspaces_kubeconfig").count() == 3
    for secret in [*secrets, stored]:
        assert secret not in events
        assert secret not in caplog.text
        assert secret not in repr(made) + str(made) + str(made.document)


def test_fetching_twice_is_harmless(linked, alice):
    made = fetched(linked, alice)
    first = Kubeconfig.objects.values().get()
    jobs.fetch_kubeconfig(str(made.pk))
    second = Kubeconfig.objects.values().get()
    assert first.pop("document").token == second.pop("document").token
    assert first == second
    kubeconfigs.take(made.pk, alice)
    jobs.fetch_kubeconfig(str(made.pk))
    assert Kubeconfig.objects.get().state == "taken"


# --- What is refused --------------------------------------------------------------------------------------------------
def test_bare_metal_has_no_kubeconfig(metal, alice):
    refused = kubeconfigs.request(metal, WHY, alice)
    assert refused == Refused("not_kubernetes", "customs-archive has no Kubernetes, so there is no kubeconfig.")
    assert not Kubeconfig.objects.exists()


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("provisioning", "not_active"),
        ("active", None),
        ("gated", None),
        ("error", None),
        ("deletion_scheduled", None),
        ("deleting", "not_active"),
        ("deleted", "not_active"),
    ],
)
def test_it_can_be_had_while_there_is_a_control_plane(workspace, alice, state, code):
    workspace.state = state
    refused = kubeconfigs.refuse(workspace, alice)
    assert (refused.code if refused else None) == code


def test_a_workspace_without_a_control_plane_is_refused(workspace, alice):
    workspace.control_plane = ""
    refused = kubeconfigs.request(workspace, WHY, alice)
    assert isinstance(refused, Refused)
    assert refused.code == "not_linked"


def test_of_each_person_one_is_fetched_at_a_time(workspace, alice, root):
    first = asked(workspace, alice)
    refused = kubeconfigs.request(cast.kubernetes("another", hosts=0), WHY, alice)
    assert refused == Refused(
        "being_fetched",
        "Your kubeconfig of ledger-prod is still being fetched. One is fetched at a time.",
        {"kubeconfig": str(first.pk), "workspace": str(workspace.pk)},
    )
    asked(workspace, root)
    Kubeconfig.objects.filter(pk=first.pk).update(state="failed")
    asked(workspace, alice)


@pytest.mark.django_db(transaction=True)
def test_of_two_clicks_at_once_one_asks(workspace, alice):
    answers: list[object] = []
    begin = threading.Barrier(2)

    def click() -> None:
        begin.wait()
        answers.append(kubeconfigs.request(workspace, WHY, alice))
        connections.close_all()

    clicks = [threading.Thread(target=click) for _ in range(2)]
    for thread in clicks:
        thread.start()
    for thread in clicks:
        thread.join(20)
    assert sorted(type(answer).__name__ for answer in answers) == ["Kubeconfig", "Refused"]
    assert Kubeconfig.objects.count() == len(waiting_jobs()) == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_downloads_at_once_one_gets_it(workspace, alice):
    made = ready(workspace, alice)
    answers: list[object] = []
    begin = threading.Barrier(2)

    def download() -> None:
        begin.wait()
        answers.append(kubeconfigs.take(made.pk, alice))
        connections.close_all()

    downloads = [threading.Thread(target=download) for _ in range(2)]
    for thread in downloads:
        thread.start()
    for thread in downloads:
        thread.join(20)
    assert sorted(type(answer).__name__ for answer in answers) == ["Refused", "str"]
    assert Event.objects.filter(action="kubeconfig.taken").count() == 1


def test_nobody_but_the_one_who_asked_can_take_it(workspace, alice, root):
    made = ready(workspace, alice)
    refused = kubeconfigs.take(made.pk, root)
    assert refused == Refused("not_yours", "Only Alice Ahrens may take it: they asked for it.")
    assert Kubeconfig.objects.get().state == "ready"


# --- What goes wrong --------------------------------------------------------------------------------------------------
def test_a_secret_that_may_not_be_read_is_a_failure_with_the_sentence_of_the_api(world, linked, alice):
    world.fault(**SECRETS, kind="status", status=403)
    made = fetched(linked, alice)
    assert made.state == "failed"
    assert made.failure.startswith("management cluster mgmt-fsn1: ")
    assert not made.document
    world.clear_faults()
    assert fetched(linked, alice).state == "ready"


def test_a_management_cluster_that_does_not_answer_is_a_failure_and_not_a_wait_without_end(
    world, linked, alice, settings
):
    settings.LOOPBACK_VENDOR_TIMEOUT = 0.5
    world.fault(**SECRETS, kind="hang", seconds=5)
    began = time.monotonic()
    made = fetched(linked, alice)
    assert time.monotonic() - began < 4
    assert made.state == "failed"
    assert made.failure.startswith("management cluster mgmt-fsn1")


@pytest.mark.django_db(transaction=True)
def test_a_slow_answer_that_comes_after_the_deadline_is_not_kept(world, linked, alice):
    made = asked(linked, alice)
    before = len(world.journal(**SECRETS))
    world.fault(**SECRETS, kind="latency", seconds=1)

    def work() -> None:
        jobs.fetch_kubeconfig(str(made.pk))
        connections.close_all()

    worker = threading.Thread(target=work)
    worker.start()
    time.sleep(0.4)
    Kubeconfig.objects.filter(pk=made.pk).update(state="failed", failure="Too late.")
    worker.join(20)
    assert len(world.journal(**SECRETS)) == before + 1, "the answer did come"
    made.refresh_from_db()
    assert (made.state, made.failure, made.document.token) == ("failed", "Too late.", "")


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_dies_while_it_fetches_is_replaced_by_another_one(world, linked, alice):
    before = len(world.journal(**SECRETS))
    world.fault(**SECRETS, kind="latency", seconds=3)
    made = asked(linked, alice)
    with harness.workers(queue="ticks") as running:
        until = time.monotonic() + 30
        while len(world.journal(**SECRETS)) == before:
            assert time.monotonic() < until
            time.sleep(0.05)
        running.kill_all()
        world.clear_faults()
        django_rq.get_queue("ticks").empty()
        made.refresh_from_db()
        assert made.state == "requested"
        jobs.upkeep_tick()
        assert waiting_jobs() == [], "it may still be under way"
        Kubeconfig.objects.update(requested_at=timezone.now() - timedelta(seconds=61))
        jobs.upkeep_tick()
        while Kubeconfig.objects.get().state == "requested":
            assert time.monotonic() < until
            time.sleep(0.05)
    assert Kubeconfig.objects.get().state == "ready"


@pytest.mark.django_db(transaction=True)
def test_a_job_that_the_queue_has_lost_is_handed_over_again(workspace, alice):
    made = asked(workspace, alice)
    django_rq.get_queue("ticks").empty()
    Kubeconfig.objects.update(requested_at=timezone.now() - timedelta(seconds=61))
    jobs.upkeep_tick()
    assert waiting_jobs() == [("workspaces.jobs.fetch_kubeconfig", str(made.pk))]


@pytest.mark.django_db(transaction=True)
def test_asking_works_while_the_queue_is_away_and_the_scheduler_repeats_it(workspace, alice, settings):
    right = settings.RQ_QUEUES["ticks"]
    settings.RQ_QUEUES["ticks"] = right | {"URL": "unix:///nowhere/valkey.sock"}
    try:
        made = asked(workspace, alice)
    finally:
        settings.RQ_QUEUES["ticks"] = right
    assert Kubeconfig.objects.get().state == "requested"
    Kubeconfig.objects.update(requested_at=timezone.now() - timedelta(seconds=61))
    jobs.upkeep_tick()
    assert waiting_jobs() == [("workspaces.jobs.fetch_kubeconfig", str(made.pk))]


def test_one_that_no_worker_fetches_ends_after_ten_minutes(workspace, alice):
    asked(workspace, alice)
    Kubeconfig.objects.update(requested_at=timezone.now() - timedelta(minutes=10))
    jobs.upkeep_tick()
    made = Kubeconfig.objects.get()
    assert (made.state, made.failure) == ("failed", "No worker has fetched it within 10 minutes.")
    asked(workspace, alice)


def test_one_that_is_not_taken_is_erased_after_ten_minutes(workspace, alice):
    made = ready(workspace, alice)
    Kubeconfig.objects.update(fetched_at=timezone.now() - timedelta(minutes=9))
    jobs.upkeep_tick()
    assert Kubeconfig.objects.get().state == "ready"
    Kubeconfig.objects.update(fetched_at=timezone.now() - timedelta(minutes=10))
    jobs.upkeep_tick()
    made.refresh_from_db()
    assert (made.state, made.document.token) == ("expired", "")
    erased = Event.objects.row_changes().filter(table="workspaces_kubeconfig").first()
    assert erased is not None
    assert (erased.actor_name, erased.changes["document"]) == ("Loopback", "changed")


def test_nobody_takes_one_whose_time_is_over_although_it_is_not_erased_yet(workspace, alice):
    made = ready(workspace, alice)
    Kubeconfig.objects.update(fetched_at=timezone.now() - timedelta(minutes=10))
    refused = kubeconfigs.take(made.pk, alice)
    assert isinstance(refused, Refused)
    assert refused.message == "It was not taken within 10 minutes, and erased. Export another one."


# --- The document -----------------------------------------------------------------------------------------------------
def test_the_end_of_the_client_certificate_is_read_from_it(linked):
    access = documents.read(tenant_kubeconfig(linked))
    end = documents.certificate_end(access)
    assert end is not None
    assert datetime.now(UTC) + timedelta(days=300) < end


def test_a_kubeconfig_with_a_token_has_no_end_and_one_with_garbage_is_refused():
    access = documents.Access(server="https://here", authority=b"authority", token="t")
    assert documents.certificate_end(access) is None
    garbage = documents.Access(server="https://here", authority=b"authority", certificate=b"no certificate", key=b"k")
    with pytest.raises(Permanent, match="its client certificate cannot be read"):
        documents.certificate_end(garbage)
