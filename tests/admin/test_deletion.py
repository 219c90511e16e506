"""Policies of deletion in the admin: an ordered table without JSON, its faults in words; receipts to read."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests import cast
from tests.admin.forms import address, errors, last
from workspaces.models import Deletion, DeletionPolicy, Inventory, Workspace
from workspaces.rules.deletion import DEFAULT

pytestmark = pytest.mark.django_db

ADD = "/admin/workspaces/deletionpolicy/add/"


def form(**fields: Any) -> dict[str, Any]:
    """What the form of a policy sends: the default's steps, but for what is told here."""
    data: dict[str, Any] = {"organization": "", "grace_hours": "24"}
    for position, step in enumerate(DEFAULT, start=1):
        data |= {f"{step.part}_action": step.action, f"{step.part}_position": str(position)}
    return data | fields


def steps(policy: DeletionPolicy) -> list[tuple[str, str]]:
    return [(step.part, step.action) for step in policy.read_steps]


def test_the_platforms_policy_is_added_from_choices_and_positions(as_root: Client) -> None:
    assert (
        as_root.post(ADD, form(dns_position="1", integrations_position="2", volumes_action="delete")).status_code == 302
    )
    policy = DeletionPolicy.objects.get()
    assert policy.organization is None
    assert steps(policy)[:2] == [("dns", "delete"), ("integrations", "delete")]
    assert ("volumes", "delete") in steps(policy)
    assert last().action == "deletion_policy.added"


def test_a_change_keeps_what_it_does_not_touch(as_root: Client) -> None:
    policy = DeletionPolicy.objects.create()
    as_root.post(address("deletionpolicy", policy), form(namespace_action="keep"))
    policy.refresh_from_db()
    assert steps(policy) == [(s.part, "keep" if s.part == "namespace" else s.action) for s in DEFAULT]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"dns_position": "1"}, "Position 1 is given to Integrations and DNS."),
        (
            {"hosts_position": "6", "volumes_position": "5"},
            "“Volumes” stands before “Hosts”: it has to be the other way round.",
        ),
        (
            {"control_plane_action": "keep"},
            "The namespace cannot be deleted while the control plane in it is kept.",
        ),
        (
            {"hosts_action": "keep", "volumes_action": "delete"},
            "Volumes cannot be deleted while the hosts that hold them are kept.",
        ),
        ({"dns_action": "archive"}, "Select a valid choice. archive is not one of the available choices."),
        ({"dns_position": "10"}, "Ensure this value is less than or equal to 9."),
        ({"grace_hours": "721"}, "Ensure this value is less than or equal to 720."),
    ],
)
def test_an_order_that_no_deletion_could_follow_is_refused_in_words(
    as_root: Client, fields: dict[str, Any], sentence: str
) -> None:
    assert sentence in errors(as_root.post(ADD, form(**fields)))
    assert not DeletionPolicy.objects.exists()


def test_the_platform_and_each_organization_have_one_policy(as_root: Client) -> None:
    kestrel = cast.organization("Kestrel Freight")
    assert as_root.post(ADD, form()).status_code == 302
    assert as_root.post(ADD, form(organization=str(kestrel.pk))).status_code == 302
    assert "The platform has its policy already: change that one." in errors(as_root.post(ADD, form()))
    assert "already exists" in errors(as_root.post(ADD, form(organization=str(kestrel.pk))))
    assert DeletionPolicy.objects.count() == 2


def test_the_page_says_which_organizations_follow_the_platforms(as_root: Client) -> None:
    kestrel, _ = cast.organization("Kestrel Freight"), cast.organization("Fjordline")
    platform, own = DeletionPolicy.objects.create(), DeletionPolicy.objects.create(organization=kestrel)
    assert '<div class="readonly">Fjordline</div>' in as_root.get(address("deletionpolicy", platform)).content.decode()
    assert "Kestrel Freight alone." in as_root.get(address("deletionpolicy", own)).content.decode()


def test_the_form_says_what_each_step_removes_and_what_comes_before(as_root: Client) -> None:
    page = as_root.get(ADD).content.decode()
    assert "Volumes under its label. Only after Hosts." in page
    assert "The TenantControlPlane with everything it has stored. Only after Kubeconfigs. Kubernetes only." in page
    assert page.index("Position of Hosts") < page.index("Position of Volumes") < page.index("Position of Namespace")


def test_a_receipt_is_read_as_it_is_filed(as_root: Client, workspace: Workspace) -> None:
    receipt: dict[str, Any] = {
        "removed": [], "kept": [], "left_over": [], "not_asked": [], "stops_costing": [], "goes_on_costing": [],
        "by": "Alice <Ahrens>", "requested_at": "2026-11-24T14:32:00+00:00", "begun_at": None,
        "ended_at": "2026-11-25T14:32:00+00:00", "forgotten": None,
    }  # fmt: skip
    row = Deletion.objects.create(
        workspace=workspace, state="done", requested_by="Alice Ahrens", begins_at=cast.NOW, state_before="active",
        receipt=receipt,
    )  # fmt: skip
    page = as_root.get(address("deletion", row)).content.decode()
    assert "Receipt of the deletion of ledger-prod" in page
    assert "Alice &lt;Ahrens&gt;, 2026-11-24 14:32 UTC" in page
    assert f'href="/workspaces/{workspace.pk}/receipt"' in page


def test_what_was_seen_is_listed_by_name(as_root: Client, workspace: Workspace) -> None:
    found: list[dict[str, Any]] = [{"part": "volumes", "kind": "volume", "ref": "7", "name": "ledger-data"}]
    found += [{"part": "volumes", "kind": "volume", "ref": "8", "name": "scratch", "ours": False}]
    silent = [{"parts": ["hosts"], "what": "Kestrel cloud", "code": "refused", "message": "The token was refused."}]
    row = Inventory.objects.create(workspace=workspace, looked_at=cast.NOW, found=found, not_asked=silent)
    page = as_root.get(address("inventory", row)).content.decode()
    assert "Volumes: ledger-data, scratch (outside)" in page
    assert "Not asked: Kestrel cloud. The token was refused." in page
