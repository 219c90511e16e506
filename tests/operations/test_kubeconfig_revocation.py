"""Kubeconfigs of ServiceAccounts: issued with full rights, taken back at the API server, tried again until they are."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
import yaml
from django.utils import timezone

from tests import cast
from tests.operations import harness
from tests.simulators.running import RunningWorld
from workspaces import jobs
from workspaces.models import Account, Actor, Event, Kubeconfig, Workspace
from workspaces.operations import connections, kubeconfig_revocation, kubeconfigs
from workspaces.providers.cluster import Cluster
from workspaces.providers.errors import Permanent
from workspaces.rules.refusal import Refused

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_queues")]
NAMESPACE = "loopback-access"
# The world outlives a test, so each has a cluster of its own.
NUMBERS = itertools.count(1)


@pytest.fixture
def linked(world: RunningWorld) -> Workspace:
    return harness.linked(world, cast.kubernetes(f"taken-back-{next(NUMBERS)}", hosts=0))


def requested(workspace: Workspace, by: Account) -> Kubeconfig:
    made = kubeconfigs.request(workspace, "CI of the shop", by, "service_account")
    assert isinstance(made, Kubeconfig)
    return made


def handed_out(workspace: Workspace, by: Account) -> tuple[Kubeconfig, str]:
    made = requested(workspace, by)
    jobs.fetch_kubeconfig(str(made.pk))
    document = kubeconfigs.take(made.pk, by)
    assert isinstance(document, str), document
    made.refresh_from_db()
    return made, document


def accounts(workspace: Workspace) -> list[str]:
    with connections.tenant(workspace) as cluster:
        items = cluster._core.list_namespaced_service_account(NAMESPACE).items
    return sorted(one.metadata.name for one in items if one.metadata.name != "default")


def lets_in(document: str) -> bool:
    with Cluster(document, name="taken-back") as cluster:
        try:
            cluster.nodes()
        except Permanent as error:
            if error.code != "credential":
                raise
            return False
        return True


# --- Issuing ----------------------------------------------------------------------------------------------------------
def test_it_lets_in_with_a_token_of_its_own_account_for_ninety_days(linked, alice):
    made, document = handed_out(linked, alice)
    assert lets_in(document)
    name = f"loopback-{made.pk.hex[:12]}"
    assert (made.kind, made.service_account, accounts(linked)) == ("service_account", name, [name])
    content = yaml.safe_load(document)
    assert list(content["users"][0]["user"]) == ["token"]
    assert content["current-context"] == f"{name}@kubernetes"
    assert made.certificate_until is not None
    assert timedelta(days=89) < made.certificate_until - timezone.now() <= timedelta(days=90)


def test_fetching_twice_makes_one_account(linked, alice):
    made = requested(linked, alice)
    jobs.fetch_kubeconfig(str(made.pk))
    Kubeconfig.objects.filter(pk=made.pk).update(state="requested", document="")  # the worker died before it was told
    jobs.fetch_kubeconfig(str(made.pk))
    assert len(accounts(linked)) == 1
    document = kubeconfigs.take(made.pk, alice)
    assert isinstance(document, str)
    assert lets_in(document)


# --- Taking back ------------------------------------------------------------------------------------------------------
def test_a_revoked_one_lets_nobody_in_any_more_and_another_one_does(linked, alice):
    made, document = handed_out(linked, alice)
    other, others = handed_out(linked, alice)
    assert kubeconfig_revocation.ask(made, Actor.of(alice)) is None
    assert lets_in(document)  # asked for is not done
    made.refresh_from_db()
    assert made.revoked_at is None
    jobs.revoke_kubeconfig(str(made.pk))
    made.refresh_from_db()
    assert (made.revoked_by, made.revocation_failure) == (str(alice), "")
    assert made.revoked_at is not None
    assert not lets_in(document)
    assert lets_in(others)
    assert accounts(linked) == [other.service_account]
    assert list(linked.kubeconfigs.valid_outside(timezone.now())) == [other]
    told = (
        Event.objects.acts()
        .filter(action__startswith="kubeconfig.revo")
        .order_by("id")
        .values_list("summary", flat=True)
    )
    assert list(told) == [
        f"Asked for the revocation of the kubeconfig that {alice} has of {linked}: CI of the shop",
        f"Revoked the kubeconfig that {alice} had of {linked}, asked for by {alice}",
    ]


def test_revoking_twice_and_what_is_gone_already_is_content(linked, alice):
    made, document = handed_out(linked, alice)
    kubeconfig_revocation.ask(made, Actor.of(alice))
    assert kubeconfig_revocation.revoke_now(made) is True
    assert kubeconfig_revocation.revoke_now(made) is False
    jobs.revoke_kubeconfig(str(made.pk))
    assert Event.objects.acts().filter(action="kubeconfig.revoked").count() == 1
    assert not lets_in(document)


def test_an_account_of_the_same_name_revives_no_token(linked, alice):
    made, document = handed_out(linked, alice)
    kubeconfig_revocation.revoke_now(made)
    with connections.tenant(linked) as cluster:
        cluster._core.create_namespaced_service_account(NAMESPACE, {"metadata": {"name": made.service_account}})
    assert not lets_in(document)


def test_what_does_not_answer_is_not_called_revoked_and_is_tried_again(world, linked, alice):
    made, document = handed_out(linked, alice)
    kubeconfig_revocation.ask(made, Actor.of(alice))
    world.fault(service="kubernetes", target="*", kind="status", status=503, path="*/serviceaccounts/*")
    jobs.revoke_kubeconfig(str(made.pk))
    world.clear_faults()
    made.refresh_from_db()
    assert made.revoked_at is None
    assert made.revocation_failure.startswith(f"tenant {linked}: ")
    assert lets_in(document)
    kubeconfig_revocation.try_again(timezone.now())
    jobs.revoke_kubeconfig(str(made.pk))
    made.refresh_from_db()
    assert made.revoked_at is not None
    assert made.revocation_failure == ""
    assert not lets_in(document)


def test_what_nobody_took_has_its_account_deleted(linked, alice):
    made = requested(linked, alice)
    jobs.fetch_kubeconfig(str(made.pk))
    Kubeconfig.objects.filter(pk=made.pk).update(fetched_at=timezone.now() - timedelta(minutes=11))
    jobs.upkeep_tick()
    jobs.upkeep_tick()
    jobs.revoke_kubeconfig(str(made.pk))
    made.refresh_from_db()
    assert (made.state, made.revoked_at is not None, made.revoked_by) == ("expired", True, "Loopback")
    assert accounts(linked) == []
    assert not Event.objects.acts().filter(action="kubeconfig.revoked").exists()


# --- What cannot be ---------------------------------------------------------------------------------------------------
def test_a_client_certificate_cannot_be_taken_back(linked, alice):
    made = Kubeconfig.objects.create(workspace=linked, requested_by="ci", state="taken")
    refused = kubeconfig_revocation.ask(made, Actor.of(alice))
    assert isinstance(refused, Refused)
    assert refused.code == "not_revocable"
    assert refused.message == (
        "A client certificate cannot be taken back. It works until it ends, or until the certificate authority of the "
        "cluster is changed."
    )


@pytest.mark.parametrize(
    "changed",
    [{"state": "ready"}, {"revoked_at": timezone.now()}, {"certificate_until": timezone.now() - timedelta(seconds=1)}],
)
def test_what_is_not_valid_is_not_revoked(linked, alice, changed):
    values = {"kind": "service_account", "service_account": "x", "state": "taken"} | changed
    made = Kubeconfig.objects.create(workspace=linked, requested_by="ci", **values)
    refused = kubeconfig_revocation.ask(made, Actor.of(alice))
    assert isinstance(refused, Refused)
    assert refused.code == "not_valid"


def test_without_a_name_nothing_is_deleted(linked, alice):
    _, document = handed_out(linked, alice)
    nameless = Kubeconfig.objects.create(
        workspace=linked, kind="service_account", requested_by="by hand", state="taken"
    )
    with pytest.raises(Permanent) as refused:
        kubeconfig_revocation.revoke_now(nameless)
    assert refused.value.code == "configuration"
    assert lets_in(document)


def test_while_a_deletion_hangs_what_is_asked_for_is_revoked_and_nothing_handed_out(linked, alice):
    made, document = handed_out(linked, alice)
    waiting = requested(linked, alice)
    jobs.fetch_kubeconfig(str(waiting.pk))
    Workspace.objects.filter(pk=linked.pk).update(state="deleting")
    refused = kubeconfigs.take(waiting.pk, alice)
    assert isinstance(refused, Refused)
    assert refused.code == "not_active"
    assert kubeconfig_revocation.ask(made, Actor.of(alice)) is None
    jobs.revoke_kubeconfig(str(made.pk))
    assert not lets_in(document)
