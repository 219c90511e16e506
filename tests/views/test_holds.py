"""Holds in the console: seen by whom they touch, previewed before they are set, lifted once."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta

import pytest

from tests import cast
from tests.views.sockets import no_outside  # noqa: F401
from tests.views.stopped_clock import clock  # noqa: F401
from workspaces.models import PLATFORM, Actor, Advisory, Event, Hold, KubernetesVersion, Operation, RunWindow, StepPlan

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_outside", "empty_queues")]
NEW = "/maintenance/holds/new"
TUESDAY_22 = datetime(2026, 11, 24, 22, tzinfo=UTC)


@pytest.fixture
def kestrel(db):
    return cast.organization("Kestrel Freight")


@pytest.fixture
def alices(client, alice):
    return cast.sign_in(client, alice)


def text(answer):
    main = answer.content.decode().partition("<main")[2].partition("</main>")[0] or answer.content.decode()
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", main)).split())


def hold(reason="Freeze", *, starts=cast.NOW, hours=24, **place):
    return Hold.objects.create(
        reason=reason, set_by_name="Alice Ahrens", set_at=starts, expires_at=starts + timedelta(hours=hours), **place
    )


def form(place, **said):
    return {
        "place": str(place),
        "workspace": "",
        "reason": "Quarter end",
        "end": "24",
        "until": "",
        "starts": "",
    } | said


def seen(said):
    return said | {"seen": "|".join(said[name] for name in ("place", "workspace", "end", "until", "starts"))}


# --- Seeing -----------------------------------------------------------------------------------------------------------
def test_the_list_tells_what_is_held_now_later_and_was(alices, workspace, metal, kestrel):
    hold("Audit", organization=kestrel)
    hold("Move", starts=cast.NOW + timedelta(hours=2), workspace=workspace)
    hold("Trade fair", starts=cast.NOW - timedelta(days=3))
    hold("Mistake", project=workspace.project).lift(Actor("command", "manage.py maintenance"))
    said = text(alices.get("/maintenance/holds"))
    assert re.search(
        r"In force .*Kestrel Freight Organization Audit by Alice Ahrens Today 14:32 0 s ago Wed 14:32 in 24 h 2 works",
        said,
    )
    assert re.search(
        r"To come .*ledger-prod Workspace Move by Alice Ahrens Today 16:32 in 2 h Wed 16:32 in 26 h 1 workspace", said
    )
    assert "Freight Core Project Mistake by Alice Ahrens" in said
    assert "Lifted Today 14:32, by manage.py maintenance" in said
    assert re.search(r"Platform Platform Trade fair .* Ended", said)
    assert "security updates too, also enforced ones. It never stops what a person starts." in said


def test_everybody_sees_the_platforms_and_their_own_and_nobody_anothers(
    client, alice, bob, victor, charlie, root, workspace
):
    cast.kubernetes("fjord-1", project=cast.project("Fjord", of="Fjordline"), hosts=0)
    holds = {
        "platform": hold("h-platform"),
        "kestrel": hold("h-kestrel", organization=workspace.project.organization),
        "core": hold("h-core", project=workspace.project),
        "ledger": hold("h-ledger", workspace=workspace),
        "customs": hold("h-customs", project=cast.project("Customs")),
        "fjord": hold("h-fjord", organization=cast.organization("Fjordline")),
    }
    kestrels = ["platform", "kestrel", "core", "ledger", "customs"]
    expected = {alice: kestrels, bob: kestrels[:4], victor: kestrels, charlie: ["platform", "fjord"], root: [*holds]}
    for who, names in expected.items():
        said = text(cast.sign_in(client, who).get("/maintenance/holds"))
        assert [name for name in holds if f"h-{name} " in said] == names, who
        for name, one in holds.items():
            assert client.get(f"/maintenance/holds/{one.pk}").status_code == (200 if name in names else 404), (
                who,
                name,
            )


def test_a_reader_counts_only_the_workspaces_they_see(client, bob, workspace, kestrel):
    cast.kubernetes("rates", project=cast.project("Customs"), hosts=0)
    whole = hold(organization=kestrel)
    cast.sign_in(client, bob)
    assert text(client.get("/maintenance/holds")).endswith(" 1 workspace")
    said = text(client.get(f"/maintenance/holds/{whole.pk}"))
    assert "1 workspace, 2 windows" in said
    assert "rates" not in said
    assert "An administrator of Kestrel Freight can lift it." in said


def test_the_past_is_paged(alices, workspace, django_assert_max_num_queries):
    for number in range(60):
        hold(f"r{number:02}", starts=cast.NOW - timedelta(days=3 + number), project=workspace.project)
    with django_assert_max_num_queries(15):
        first = text(alices.get("/maintenance/holds"))
    assert "1 to 50 of 60" in first
    assert "r59" not in first
    assert "r59" in text(alices.get("/maintenance/holds?page=2"))


# --- What it stops ----------------------------------------------------------------------------------------------------
def test_a_hold_tells_the_windows_with_known_work_and_the_advisories_that_wait(alices, workspace, catalogue_rows):
    Advisory.objects.create(name="LSA-1", severity="high", packages=["openssl"], enforced=True, flagged_at=cast.NOW)
    one = hold(workspace=workspace)
    said = text(alices.get(f"/maintenance/holds/{one.pk}"))
    assert "1 workspace, 2 windows, 2 of them with known work." in said
    assert "Security updates wait too, enforced ones included: LSA-1." in said
    assert "Today 22:00 priority hour ledger-prod Security updates LSA-1 on 3 hosts" in said
    assert "Wed 02:00 ledger-prod Operating system updates on 3 hosts" in said
    assert "Known work of 1 workspace starts again in its windows. The first: ledger-prod, today 22:00 UTC." in said


def test_what_another_hold_or_the_switch_stops_anyway_is_not_counted(alices, workspace, metal):
    narrow = hold("Narrow", workspace=workspace)
    one = hold("Broad", project=workspace.project)
    metal.maintenance_plan.enabled = False
    metal.maintenance_plan.save()
    assert "2 workspaces, 2 windows, 0 of them with known work." in text(alices.get(f"/maintenance/holds/{one.pk}"))
    narrow.delete()
    assert "2 workspaces, 2 windows, 1 of them with known work." in text(alices.get(f"/maintenance/holds/{one.pk}"))


def test_automatic_work_that_runs_is_named_and_a_persons_is_not(alices, workspace, metal):
    steps = [StepPlan("look", "Look")]
    Operation.start(
        workspace, "maintenance", "Maintain ledger", steps, actor=PLATFORM, window=RunWindow("routine", cast.NOW)
    )
    Operation.start(metal, "maintenance", "By hand", steps, actor=PLATFORM)
    one = hold(project=workspace.project)
    said = text(alices.get(f"/maintenance/holds/{one.pk}"))
    assert "Running automatic work pauses at its next safe point: Maintain ledger on ledger-prod." in said
    assert "By hand" not in said


def test_above_two_hundred_workspaces_windows_are_counted_and_the_page_says_so(alices, workspace, monkeypatch):
    for number in range(4):
        cast.kubernetes(f"w{number}", hosts=0)
    one = hold(project=workspace.project, hours=24 * 7)
    looked = text(alices.get(f"/maintenance/holds/{one.pk}"))
    monkeypatch.setattr("workspaces.views.hold_effect.LOOKED_AT", 4)
    counted = text(alices.get(f"/maintenance/holds/{one.pk}"))
    assert "5 workspaces, 60 windows" in looked  # five weekdays and seven priority hours each
    assert "5 workspaces, 60 windows. Above 200 workspaces, windows are counted and their work is not looked at." in (
        counted
    )
    assert "60 windows open before it would have ended." in counted


# --- Setting ----------------------------------------------------------------------------------------------------------
def test_what_is_stored_is_what_was_shown(alices, alice, workspace):
    said = form(workspace.project_id)
    shown = alices.post(NEW, said)
    assert shown.status_code == 200
    assert "Nothing is held yet." in text(shown)
    assert "Wed 02:00 ledger-prod Operating system updates on 3 hosts" in text(shown)
    assert not Hold.objects.exists()
    changed = alices.post(NEW, seen(said) | {"end": "168"})
    assert "Nothing is held yet." in text(changed)
    answer = alices.post(NEW, seen(said))
    stored = Hold.objects.get()
    assert (answer.status_code, answer["Location"]) == (303, f"/maintenance/holds/{stored.pk}")
    assert (stored.project, stored.reason, stored.set_by, stored.who) == (
        workspace.project, "Quarter end", alice, "Alice Ahrens",
    )  # fmt: skip
    assert (stored.set_at, stored.expires_at) == (cast.NOW, cast.NOW + timedelta(days=1))
    act = Event.objects.acts().get(action="hold.set")
    assert act.summary == "Freight Core: Held automatic work until Wed 25 Nov 14:32 UTC: Quarter end"
    assert (act.actor_name, act.project_id) == ("Alice Ahrens", workspace.project_id)
    assert "Automatic work of Freight Core is held until Wed 14:32 UTC." in html.unescape(
        alices.get(answer["Location"]).content.decode()
    )


def test_htmx_gets_the_preview_alone_and_never_stores(alices, workspace):
    said = seen(form(workspace.project_id, reason=""))
    answer = alices.post(NEW, said, headers={"HX-Request": "true"})
    assert answer.status_code == 200
    assert "<main" not in answer.content.decode()
    assert 'name="seen" value="' + said["seen"] in answer.content.decode()
    assert "What it stops" in text(answer)
    wrong = alices.post(NEW, said | {"workspace": "nowhere"}, headers={"HX-Request": "true"})
    assert "nowhere is no workspace of Freight Core" in text(wrong)
    assert 'name="seen" value=""' in wrong.content.decode()
    assert not Hold.objects.exists()


def test_one_workspace_is_held_by_name_or_id_within_the_place(alices, workspace, metal, kestrel):
    for said in (workspace.name, str(workspace.pk)):
        alices.post(NEW, seen(form(kestrel.pk, workspace=said)))
    assert [one.workspace for one in Hold.objects.all()] == [workspace, workspace]
    cast.kubernetes("ledger-prod", project=cast.project("Customs"), namespace="other", control_plane="other")
    twice = alices.post(NEW, seen(form(kestrel.pk, workspace="ledger-prod")))
    assert twice.status_code == 422
    assert "ledger-prod is more than one workspace: choose its project above" in text(twice)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"place": ""}, "Choose a place"),
        ({"place": "00000000-0000-4000-8000-00000000dead"}, "Choose a place"),
        ({"place": "platform"}, "Choose a place"),
        ({"reason": " "}, "Enter why, for whoever meets the hold"),
        ({"end": "12"}, "Choose when it ends"),
        ({"end": "until"}, "Enter when it ends, in UTC"),
        ({"end": "until", "until": "tomorrow"}, "Enter a date and a time in UTC"),
        ({"end": "until", "until": "2026-11-24T14:00"}, "Enter a time after its start, Tue 24 Nov 14:32 UTC"),
        ({"end": "until", "until": "2027-02-22T14:33"}, "A hold lasts at most 90 days: until Mon 22 Feb 14:32 UTC"),
        ({"end": "until", "until": "9999-12-31T23:59-12:00"}, "A hold lasts at most 90 days"),
        ({"starts": "2026-11-24T14:31"}, "Enter a time that is still to come, or none to start now"),
        ({"starts": "2027-11-25T14:31"}, "Enter a time within 365 days"),
        ({"workspace": "nowhere"}, "nowhere is no workspace of Freight Core"),
    ],
)
def test_what_cannot_be_read_is_said_at_its_field(alices, workspace, said, sentence):
    answer = alices.post(NEW, seen(form(workspace.project_id) | said))
    assert answer.status_code == 422
    assert text(answer).count(sentence) >= 2
    assert not Hold.objects.exists()


def test_a_hold_may_start_later_and_end_at_a_time(alices, workspace):
    said = form(workspace.project_id, end="until", until="2026-12-27T08:00", starts="2026-12-23T20:00")
    alices.post(NEW, seen(said))
    stored = Hold.objects.get()
    assert (stored.set_at, stored.expires_at) == (
        datetime(2026, 12, 23, 20, tzinfo=UTC),
        datetime(2026, 12, 27, 8, tzinfo=UTC),
    )
    assert not stored.is_in_force(cast.NOW)
    alices.post(NEW, seen(form(workspace.project_id, end="8", starts="2026-11-24T14:32")))
    assert Hold.objects.earliest("expires_at").expires_at == TUESDAY_22 + timedelta(minutes=32)


def test_the_places_are_those_where_one_may_hold(client, alice, root, workspace):
    cast.project("Fjord", of="Fjordline")
    nora = cast.account("nora@kestrel.example", "administrator", on=workspace.project)
    offered = {}
    for who in (alice, nora, root):
        page = cast.sign_in(client, who).get(NEW).content.decode()
        select = page.partition('id="id_place"')[2].partition("</select>")[0]
        offered[str(who)] = re.findall(r"<option value=\"[^\"]+\"[^>]*>([^<]*)<", select)
    assert offered == {
        "Alice Ahrens": ["All projects of Kestrel Freight", "Freight Core"],
        "nora@kestrel.example": ["Freight Core"],
        "root@loopback.example": [
            "The platform: every workspace", "All projects of Fjordline", "Fjord",
            "All projects of Kestrel Freight", "Freight Core",
        ],
    }  # fmt: skip


def test_a_link_preselects_what_one_may_hold_and_shows_its_effect_at_once(client, alice, bob, workspace, kestrel):
    cast.sign_in(client, alice)
    page = client.get(f"{NEW}?workspace={workspace.pk}").content.decode()
    assert f'<option value="{workspace.project_id}" selected>' in page
    assert 'name="workspace" type="text" value="ledger-prod"' in page
    assert f'name="seen" value="{workspace.project_id}|ledger-prod|8||"' in page
    assert f'<option value="{kestrel.pk}" selected>' in client.get(f"{NEW}?organization={kestrel.pk}").content.decode()
    for odd in ("workspace=x", "project=", "organization=00000000-0000-4000-8000-00000000dead", "project=platform"):
        assert "Choose a place" in client.get(f"{NEW}?{odd}").content.decode()
    assert (
        f'href="{NEW}?workspace={workspace.pk}"'
        in client.get(f"/maintenance/holds?workspace={workspace.pk}").content.decode()
    )
    cast.sign_in(client, bob)
    assert client.get(f"{NEW}?workspace={workspace.pk}").status_code == 403
    assert "Hold automatic work" not in text(client.get("/maintenance/holds"))


# --- Lifting ----------------------------------------------------------------------------------------------------------
def test_lifting_says_what_starts_again(alices, workspace):
    one = hold(workspace=workspace)
    answer = alices.post(f"/maintenance/holds/{one.pk}/lift")
    assert (answer.status_code, answer["Location"]) == (303, f"/maintenance/holds/{one.pk}")
    page = html.unescape(alices.get(answer["Location"]).content.decode())
    assert "The hold of ledger-prod is lifted. Next to start: ledger-prod, Wed 02:00 UTC." in page
    assert "Lift hold" not in page
    act = Event.objects.acts().get(action="hold.lifted")
    assert (act.actor_name, act.summary) == ("Alice Ahrens", "ledger-prod: Lifted the hold: Freeze")


def test_of_two_who_lift_at_once_the_second_is_told(client, alice, workspace):
    ada = cast.account("ada@kestrel.example", "administrator", on=workspace.project)
    one = hold(workspace=workspace)
    Hold.objects.get(pk=one.pk).lift(Actor.of(ada))
    answer = cast.sign_in(client, alice).post(f"/maintenance/holds/{one.pk}/lift")
    assert answer.status_code == 409
    assert "ada@kestrel.example lifted it today 14:32 UTC, 0 s ago. There is nothing left to lift." in text(answer)
    assert Event.objects.acts().filter(action="hold.lifted").count() == 1


def test_one_that_has_ended_by_itself_is_not_lifted(alices, workspace, clock):  # noqa: F811
    one = hold(workspace=workspace, hours=1)
    clock.now += timedelta(hours=2)
    answer = alices.post(f"/maintenance/holds/{one.pk}/lift")
    assert answer.status_code == 409
    assert "It ended by itself today 15:32 UTC." in text(answer)


def test_who_may_not_hold_may_not_lift(client, alice, bob, victor, charlie, workspace):
    mine, platform = hold(workspace=workspace), hold()
    for who, status in ((bob, 403), (victor, 403), (charlie, 404)):
        cast.sign_in(client, who)
        assert client.post(f"/maintenance/holds/{mine.pk}/lift").status_code == status
        assert "Lift hold" not in text(client.get("/maintenance/holds"))
    assert cast.sign_in(client, alice).post(f"/maintenance/holds/{platform.pk}/lift").status_code == 403
    assert not Hold.objects.exclude(lifted_at=None).exists()


def test_a_flagged_version_waits_under_a_hold_too(alices, workspace, catalogue_rows):
    flagged = Advisory.objects.create(name="LSA-9", severity="critical", flagged_at=cast.NOW)
    flagged.versions.set(KubernetesVersion.objects.filter(version="1.34.11"))
    one = hold(workspace=workspace, hours=8)
    said = text(alices.get(f"/maintenance/holds/{one.pk}"))
    assert "Today 22:00 priority hour ledger-prod Kubernetes 1.34.8 to 1.34.11" in said
    assert "enforced ones included: LSA-9." in said
