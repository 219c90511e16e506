"""What the database holds about workspaces, and how an observed version is stored."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from tests import cast
from workspaces.models import Account, Workspace
from workspaces.models.workspace import too_old

pytestmark = pytest.mark.django_db


def refused(constraint: str, **fields: Any) -> None:
    """The database itself does not take this workspace."""
    values = {"project": cast.project(), "name": "new", "type": "kubernetes", "state": "active"} | fields
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Workspace.objects.bulk_create([Workspace(**values)])


def test_a_type_or_a_state_that_nobody_knows_is_refused(workspace: Workspace) -> None:
    refused("workspace_type_known", type="openstack")
    refused("workspace_state_known", state="upgrading")
    with pytest.raises(IntegrityError, match="workspace_state_known"), transaction.atomic():
        Workspace.objects.update(state="")


def test_bare_metal_has_no_control_plane(metal: Workspace) -> None:
    refused("baremetal_has_no_control_plane", type="baremetal", control_plane="new")
    refused("baremetal_has_no_control_plane", type="baremetal", management_cluster=cast.management_cluster())
    with pytest.raises(IntegrityError, match="baremetal_has_no_control_plane"), transaction.atomic():
        Workspace.objects.filter(pk=metal.pk).update(control_plane="sneaked-in")


def test_a_name_is_used_once_in_a_project_and_again_in_the_next(workspace: Workspace) -> None:
    refused("workspace_name_once_per_project", name="ledger-prod")
    Workspace.objects.create(project=cast.project("Customs"), name="ledger-prod", type="kubernetes")


def test_a_control_plane_belongs_to_one_workspace(workspace: Workspace) -> None:
    same = {"management_cluster": workspace.management_cluster, "namespace": "ws-ledger-prod"}
    refused("workspace_once_per_control_plane", **same, control_plane="ledger-prod")
    elsewhere = same | {"management_cluster": cast.management_cluster("mgmt-hel1")}
    Workspace.objects.create(
        project=cast.project(), name="twin", type="kubernetes", control_plane="ledger-prod", **elsewhere
    )


def test_workspaces_without_a_control_plane_yet_do_not_clash() -> None:
    project = cast.project()
    Workspace.objects.bulk_create(Workspace(project=project, name=name, type="kubernetes") for name in ("one", "two"))
    assert Workspace.objects.count() == 2


def test_versions_are_sorted_as_numbers_and_what_cannot_be_sorted_comes_first() -> None:
    for name, version in {"a": "1.34.11", "b": "1.34.8", "c": "", "d": "1.35.0-rc.1", "e": "1.35.0"}.items():
        cast.kubernetes(name, hosts=0, version=version)
    assert list(Workspace.objects.order_by("version_key").values_list("kubernetes_version", flat=True)) == [
        "",
        "1.34.8",
        "1.34.11",
        "1.35.0-rc.1",
        "1.35.0",
    ]


@pytest.mark.parametrize("version", ["1.34.3-gke.100+x", "1.34", "nonsense", "1.34.3-eks-5e0fdde", "99999.0.0"])
def test_a_vendors_own_version_is_kept_as_it_is_with_the_lowest_key(version: str) -> None:
    made = Workspace(version_key=7)
    made.observe_version(version)
    assert (made.kubernetes_version, made.version_key) == (version, 0)


@pytest.mark.parametrize(("looked_every", "seconds"), [(0, 120), (30, 120), (200, 400)])
def test_a_look_that_is_two_of_its_periods_old_is_stale_here_and_in_sql(
    workspace: Workspace, settings: Any, looked_every: int, seconds: int
) -> None:
    settings.LOOPBACK_RECONCILE_SECONDS = 60
    Workspace.objects.update(looked_every=looked_every)
    workspace.refresh_from_db()
    for age, stale in ((seconds - 1, False), (seconds, True)):
        now = cast.NOW + timedelta(seconds=age)
        assert workspace.is_stale(now) == stale
        assert Workspace.objects.filter(too_old(now)).exists() == stale
    assert Workspace().is_stale(cast.NOW), "never looked at"


def test_the_keys_on_a_workspace_are_those_of_the_role(
    workspace: Workspace, alice: Account, bob: Account, victor: Account, charlie: Account, root: Account
) -> None:
    assert {person.email: len(workspace.keys_of(person)) for person in (alice, bob, victor, charlie, root)} == {
        "alice@kestrel.example": 21,
        "bob@kestrel.example": 13,
        "victor@kestrel.example": 2,
        "charlie@fjordline.example": 0,
        "root@loopback.example": 21,
    }
    assert [workspace.key_held_by(person, "maintenance.disable") for person in (alice, bob, victor, charlie, root)] == [
        True,
        False,
        False,
        False,
        True,
    ]
