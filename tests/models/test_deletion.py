"""Deletion as rows: whose policy counts, what the database refuses, and which deletion is the one to show."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from workspaces.models import Deletion, DeletionPolicy, Inventory, Workspace
from workspaces.rules.deletion import DEFAULT

pytestmark = pytest.mark.django_db


def deletion(workspace: Workspace, state: str, days: int = 0) -> Deletion:
    at = timezone.now() - timedelta(days=days)
    return Deletion.objects.create(
        workspace=workspace, state=state, requested_by="alice", requested_at=at, begins_at=at, state_before="active"
    )


def test_the_organizations_policy_counts_then_the_platforms_then_the_default(workspace, settings) -> None:
    organization = workspace.project.organization
    settings.LOOPBACK_DELETION_GRACE_HOURS = 36
    default = DeletionPolicy.of(organization)
    assert (default.grace_hours, default.read_steps, default.second_person) == (36, DEFAULT, False)
    platform = DeletionPolicy.objects.create(grace_hours=48)
    assert DeletionPolicy.of(organization) == platform
    own = DeletionPolicy.objects.create(organization=organization, grace_hours=1)
    assert DeletionPolicy.of(organization) == own


def test_the_platform_has_one_policy(db) -> None:
    DeletionPolicy.objects.create()
    with pytest.raises(IntegrityError), transaction.atomic():
        DeletionPolicy.objects.create()


def test_a_policy_that_cannot_be_followed_is_not_valid(db) -> None:
    with pytest.raises(ValidationError) as refused:
        DeletionPolicy(steps=[{"step": "dns", "action": "delete"}]).full_clean()
    assert refused.value.message_dict["steps"][0] == "“integrations” is missing: say delete or keep."


@pytest.mark.parametrize("state", ["scheduled", "running"])
def test_a_workspace_has_one_open_deletion(workspace, state) -> None:
    deletion(workspace, "undone")
    deletion(workspace, "scheduled")
    with pytest.raises(IntegrityError), transaction.atomic():
        deletion(workspace, state)


def test_the_newest_that_was_not_undone_is_shown(workspace) -> None:
    assert Deletion.latest_of(workspace) is None
    deletion(workspace, "undone", days=1)
    assert Deletion.latest_of(workspace) is None
    scheduled = deletion(workspace, "scheduled")
    assert Deletion.latest_of(workspace) == scheduled


def test_a_look_can_be_agreed_to_for_a_quarter_of_an_hour_and_is_lost_after_two_minutes(workspace) -> None:
    now = timezone.now()
    seen = Inventory(workspace=workspace, asked_at=now - timedelta(minutes=16), looked_at=now - timedelta(minutes=15))
    assert seen.is_fresh(now)
    assert not seen.is_fresh(now + timedelta(seconds=1))
    seen.error = "The look broke off."
    assert not seen.is_fresh(now)
    asked = Inventory(workspace=workspace, asked_at=now)
    assert asked.is_under_way(now + timedelta(seconds=120))
    assert not asked.is_under_way(now + timedelta(seconds=121))
