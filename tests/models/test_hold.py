"""Holds: when they count, whom they touch, who may change them, and that one is lifted once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from tests import cast
from tests.views.stopped_clock import clock  # noqa: F401
from workspaces.models import Actor, ApiKey, Event, Hold, Membership

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def hold(reason="x", *, starts=cast.NOW, hours=1, **place):
    return Hold.objects.create(reason=reason, set_at=starts, expires_at=starts + hours * HOUR, **place)


def names(rows):
    return sorted(row.reason for row in rows)


def test_a_hold_is_in_force_from_its_start_until_just_before_its_end(workspace) -> None:
    one = hold(workspace=workspace)
    for moment, counts in ((-1, False), (0, True), (3599, True), (3600, False)):
        at = cast.NOW + timedelta(seconds=moment)
        assert (one.is_in_force(at), Hold.objects.in_force(at).exists()) == (counts, counts), moment
    assert names(Hold.objects.ahead(cast.NOW - HOUR)) == ["x"]
    assert one.lift(Actor.of_command("maintenance"))
    assert not one.is_in_force(cast.NOW)
    assert not Hold.objects.ahead(cast.NOW - HOUR).exists()


def test_those_that_touch_a_workspace_are_its_own_its_projects_its_organizations_and_the_platforms(workspace) -> None:
    other = cast.kubernetes("other", project=cast.project("Customs"), hosts=0)
    hold("platform")
    hold("organization", organization=workspace.project.organization)
    hold("project", project=workspace.project)
    hold("workspace", workspace=workspace)
    hold("fjord", organization=cast.organization("Fjordline"))
    assert names(Hold.objects.all().touching(workspace)) == ["organization", "platform", "project", "workspace"]
    assert names(Hold.objects.all().touching(other)) == ["organization", "platform"]


def test_what_a_hold_covers_is_exactly_what_it_touches(workspace, metal) -> None:
    cast.kubernetes("customs", project=cast.project("Customs"), hosts=0)
    far = cast.kubernetes("fjord", project=cast.project("Fjord", of="Fjordline"), hosts=0)
    holds = [
        hold("platform"),
        hold("organization", organization=workspace.project.organization),
        hold("project", project=workspace.project),
        hold("workspace", workspace=workspace),
    ]
    assert [one.covered().count() for one in holds] == [4, 3, 2, 1]
    for one in holds:
        for each in (workspace, metal, far):
            touches = Hold.objects.all().touching(each).filter(pk=one.pk).exists()
            assert one.covered().filter(pk=each.pk).exists() == touches, (one, each)


@pytest.mark.parametrize("pair", [("workspace", "project"), ("project", "organization"), ("workspace", "organization")])
def test_the_database_refuses_two_places_and_an_end_before_the_start(workspace, pair) -> None:
    places = {
        "workspace": workspace,
        "project": workspace.project,
        "organization": workspace.project.organization,
    }
    with pytest.raises(IntegrityError, match="hold_on_one_place"), transaction.atomic():
        hold(**{name: places[name] for name in pair})
    with pytest.raises(IntegrityError, match="hold_ends_after_it_starts"), transaction.atomic():
        hold(hours=0)


def test_only_administrators_of_the_place_may_change_it(alice, bob, victor, charlie, root, workspace) -> None:
    nora = cast.account("nora@kestrel.example", "administrator", on=workspace.project)
    kestrel = workspace.project.organization
    keys = {
        role: ApiKey.issue(name=role, organization=kestrel, role=role, created_by=alice)[0]
        for role in ("administrator", "operator")
    }
    narrowed = ApiKey.issue(
        name="n", organization=kestrel, project=workspace.project, role="administrator", created_by=alice
    )[0]
    holds = [
        hold("platform"),
        hold("organization", organization=kestrel),
        hold("project", project=workspace.project),
        hold("workspace", workspace=workspace),
    ]
    for caller, expected in (
        (root, [True, True, True, True]),
        (alice, [False, True, True, True]),
        (keys["administrator"], [False, True, True, True]),
        (nora, [False, False, True, True]),
        (narrowed, [False, False, True, True]),
        (bob, [False] * 4),
        (victor, [False] * 4),
        (charlie, [False] * 4),
        (keys["operator"], [False] * 4),
    ):
        assert [one.may_be_changed_by(caller) for one in holds] == expected, caller


def test_a_reader_without_any_project_reads_the_platforms_only(alice, workspace) -> None:
    hold("platform")
    hold("core", project=workspace.project)
    Membership.objects.all().delete()
    assert names(Hold.objects.readable(alice)) == ["platform"]


def test_setting_and_lifting_are_acts_of_whoever_did_them(alice, workspace) -> None:
    one = Hold(project=workspace.project, reason="Fair", set_at=cast.NOW, expires_at=cast.NOW + HOUR).begin(
        Actor.of(alice)
    )
    assert (one.set_by, one.set_by_name, one.who, one.level, one.place) == (
        alice, "Alice Ahrens", "Alice Ahrens", "project", "Freight Core",
    )  # fmt: skip
    assert one.lift(Actor.of_command("maintenance"))
    assert (one.lifted_at, one.lifted_by_name) == (cast.NOW, "manage.py maintenance")
    told = Event.objects.acts().order_by("id").values_list("action", "actor_name", "summary", "organization_id")
    place = workspace.project.organization_id
    assert list(told) == [
        ("hold.set", "Alice Ahrens", "Freight Core: Held automatic work until Tue 24 Nov 15:32 UTC: Fair", place),
        ("hold.lifted", "manage.py maintenance", "Freight Core: Lifted the hold: Fair", place),
    ]


def test_of_two_who_lift_it_one_does(alice, bob, workspace) -> None:
    one = hold(workspace=workspace)
    first, second = Hold.objects.get(), Hold.objects.get()
    assert [first.lift(Actor.of(alice)), second.lift(Actor.of(bob))] == [True, False]
    assert second.lifted_by_name == "Alice Ahrens"
    assert Event.objects.acts().filter(action="hold.lifted").count() == 1
    one.refresh_from_db()
    assert one.lifted_by_name == "Alice Ahrens"


def test_one_that_has_ended_is_not_lifted(alice, workspace) -> None:
    one = hold(workspace=workspace, starts=cast.NOW - 2 * HOUR)
    assert not one.lift(Actor.of(alice))
    assert one.lifted_at is None
