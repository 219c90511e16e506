"""Rollouts in the console: chosen with the fleet list's filters, looked at ahead, begun, followed live, changed."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from django.urls import reverse

from tests import cast
from tests.views import stopped_clock
from tests.views.sockets import no_outside  # noqa: F401
from workspaces.models import Actor, Operation, Rollout, RolloutMember, Step, Workspace
from workspaces.operations import rollouts, upgrade

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("no_outside", "empty_queues", "catalogue_rows"),
]
NEW = "/rollouts/new"
HTMX = {"HTTP_HX_REQUEST": "true"}
SCRIPT = Actor.of_command("upgrade")


@pytest.fixture(autouse=True)
def clock(monkeypatch, settings):
    """Stopped at the cast's moment; `clock.now` may be moved."""
    return stopped_clock.stop(monkeypatch, settings)


@pytest.fixture
def alices(client, alice):
    return cast.sign_in(client, alice)


def text(answer):
    main = answer.content.decode().partition("<main")[2].partition("</main>")[0] or answer.content.decode()
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", main)).split())


def chosen(answer):
    """The workspaces with a checkbox, in order."""
    return [one.workspace.name for one in answer.context["upgrades"]]


def stay(answer):
    return {group.reason: group.names for group in answer.context["stay"]}


def form(*workspaces, **said):
    numbers = {"to": "1.35.7", "canary": "1", "at_once": "3", "stop_after": "1", "soak": "0"}
    return {"workspace": [str(one.pk) for one in workspaces]} | numbers | said


def fleet(number, **fields):
    return [cast.kubernetes(name, hosts=1, **fields) for name in "abcdefghij"[:number]]


def end(name, state="succeeded", **fields):
    newest = Operation.objects.filter(workspace__name=name).latest("created_at")
    Operation.objects.filter(pk=newest.pk).update(state=state, finished_at=cast.NOW, **fields)


# --- Looking ahead ----------------------------------------------------------------------------------------------------
def test_the_fleet_list_leads_there_with_its_filters(alices, workspace):
    page = alices.get("/workspaces?q=ledger&type=kubernetes").content.decode()
    link = html.unescape(re.search(r'id="upgrade-these"[^>]*href="([^"]+)"', page)[1])
    assert link == "/rollouts/new?q=ledger&type=kubernetes"
    cast.kubernetes("other", hosts=1)
    assert chosen(alices.get(link)) == ["ledger-prod"]


def test_the_preview_says_who_goes_through_what_who_stays_and_why(alices, metal):
    cast.kubernetes("big", hosts=3)
    cast.kubernetes("small", hosts=1)
    cast.kubernetes("old", hosts=1, version="1.33.9")
    cast.kubernetes("there", hosts=1, version="1.35.7")
    answer = alices.get(NEW, {"to": "1.35.7"})
    assert chosen(answer) == ["small", "big"]
    assert stay(answer) == {
        "Not reachable in one hop from 1.33.9. Kamaji goes one minor at a time: 1.34 is next.": ["old"],
        "The workspace already runs 1.35.7.": ["there"],
        "This workspace has no Kubernetes. Its hosts are updated in maintenance windows.": ["customs-archive"],
    }
    said = text(answer)
    assert "2 of 5 upgrade to 1.35.7" in said
    assert "In this order. The first that you leave checked is the canary" in said
    assert "small Kestrel Freight, Freight Core 1.34.8 to 1.35.7 1 Not known yet" in said
    assert "1 first, then 3 at a time. It pauses after 1 failure." in said
    several = alices.get(NEW, {"to": "1.35.7", "several_hops": "on", "soak": "20", "canary": "2"})
    assert chosen(several) == ["old", "small", "big"]
    assert "1.33.9 to 1.34.11 to 1.35.7" in text(several)
    assert "2 first, 20 min to soak, then 3 at a time." in text(several)


def test_without_a_version_the_one_is_shown_that_most_of_them_can_go_to(alices):
    fleet(2)
    cast.kubernetes("newer", hosts=1, version="1.35.7")
    assert alices.get(NEW).context["target"] == "1.35.7"
    assert alices.get(NEW, {"q": "newer"}).context["target"] == "1.36.2"
    assert alices.get(NEW, {"q": "nobody"}).context["target"] == "1.36.2"
    nothing = alices.get(NEW, {"to": "1.99.0"})
    assert (chosen(nothing), nothing.context["target"]) == ([], "")


def test_it_says_what_a_workspace_waits_for_first(alices, workspace):
    upgrade.start(workspace, "1.34.11", actor=SCRIPT)
    answer = alices.get(NEW, {"to": "1.35.7"})
    assert "Waits first: Upgrade ledger-prod from 1.34.8 to 1.34.11 is running." in text(answer)


def test_workspaces_of_projects_where_the_reader_may_only_look_stay(client, workspace):
    there = cast.kubernetes("customs", project=cast.project("Customs"), hosts=0)
    both = cast.account("both@kestrel.example", "operator", on=workspace.project)
    both.memberships.create(organization=there.project.organization, project=there.project, role="viewer")
    answer = cast.sign_in(client, both).get(NEW, {"to": "1.35.7"})
    assert chosen(answer) == ["ledger-prod"]
    assert stay(answer) == {"Start a Kubernetes upgrade: only as administrator or operator of Customs.": ["customs"]}
    assert client.post(NEW, form(there)).status_code == 403
    assert Rollout.objects.count() == 0


def test_more_than_500_are_cut_off_and_it_says_so(alices, django_assert_max_num_queries):
    cluster, project = cast.management_cluster(), cast.project()
    Workspace.objects.bulk_create(
        Workspace(
            name=f"w{number:04}",
            project=project,
            type="kubernetes",
            state="active",
            management_cluster=cluster,
            namespace=f"w{number}",
            control_plane=f"w{number}",
            kubernetes_version="1.34.8",
            control_plane_wanted="1.34.8",
        )
        for number in range(501)
    )
    with django_assert_max_num_queries(12):
        answer = alices.get(NEW, {"to": "1.35.7"})
    assert len(chosen(answer)) == 500
    assert "More than 500 workspaces match. One rollout takes at most 500 from here" in text(answer)
    assert len(answer.content) < 450_000


def test_the_preview_of_a_few_costs_a_fixed_number_of_queries(alices, django_assert_max_num_queries):
    fleet(8)
    alices.get(NEW)
    with django_assert_max_num_queries(12):
        assert len(chosen(alices.get(NEW, {"to": "1.35.7"}))) == 8
    with django_assert_max_num_queries(15):
        assert len(chosen(alices.get(NEW, {"to": "1.35.7", "state": "upgradable"}))) == 8


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("canary", "-1", "Canary: Enter a number from 0 to 100. 1 is used."),
        ("at_once", "0", "At the same time: Enter a number from 1 to 50. 3 is used."),
        ("stop_after", "many", "Pause after failures: Enter a number from 1 to 500. 1 is used."),
        ("soak", "999999999999", "Soak, minutes: Enter a number from 0 to 10080. 0 is used."),
    ],
)
def test_a_number_that_cannot_be_used_is_named_and_begins_nothing(alices, workspace, key, value, said):
    assert said in text(alices.get(NEW, {key: value}))
    answer = alices.post(NEW, form(workspace, **{key: value}))
    assert answer.status_code == 422
    assert "Nothing was begun" in text(answer)
    assert Rollout.objects.count() == 0


# --- Beginning --------------------------------------------------------------------------------------------------------
def test_what_is_checked_is_begun_in_the_readers_name_fewest_hosts_first(alices):
    big, small, left = cast.kubernetes("big"), cast.kubernetes("small", hosts=1), cast.kubernetes("left")
    said = form(big, small, canary="1", at_once="2", stop_after="4", soak="30", several_hops="on")
    answer = alices.post(f"{NEW}?project={big.project.pk}", said)
    rollout = Rollout.objects.get()
    assert (answer.status_code, answer["Location"]) == (303, f"/rollouts/{rollout.pk}")
    assert list(rollout.members.values_list("workspace__name", "canary")) == [("small", True), ("big", False)]
    assert (rollout.canary, rollout.at_once, rollout.stop_after, rollout.soak_minutes) == (1, 2, 4, 30)
    assert (rollout.several_hops, rollout.target, rollout.requested_by) == (True, "1.35.7", "Alice Ahrens")
    assert not left.rollout_members.exists()


def test_nothing_checked_nonsense_or_another_version_begins_nothing(alices, workspace, metal):
    assert "Choose at least one workspace." in text(alices.post(NEW, form()))
    assert alices.post(NEW, form()).status_code == 422
    assert alices.post(NEW, form(workspace) | {"workspace": ["ledger-prod"]}).status_code == 422
    unknown = alices.post(NEW, form(workspace, to="1.99.0"))
    assert unknown.status_code == 409
    assert "“1.99.0” is not in the version catalogue." in text(unknown)
    foreign = cast.kubernetes("fjord", project=cast.project("Fjord", of="Fjordline"), hosts=0)
    assert alices.post(NEW, form(workspace, foreign)).status_code == 404
    assert Rollout.objects.count() == 0


def test_who_may_upgrade_nowhere_is_told_who_may(client, victor, workspace):
    cast.sign_in(client, victor)
    assert client.get(NEW).status_code == 403
    assert client.post(NEW, form(workspace)).status_code == 403


# --- Following --------------------------------------------------------------------------------------------------------
def begin(workspaces, **careful):
    return Rollout.begin("1.35.7", workspaces, actor=SCRIPT, **careful)


def stages(answer):
    return [(stage.title, stage.tone) for stage in answer.context["stages"]]


def test_the_page_tells_the_stages_the_counts_and_every_member(alices, clock):
    rollout = begin([*fleet(3), cast.kubernetes("z", hosts=1, state="gated")], soak_minutes=30)
    at = f"/rollouts/{rollout.pk}"
    before = alices.get(at)
    assert stages(before) == [("Canary", ""), ("Soak", ""), ("The others", "")]
    assert "The canary starts next." in text(before)
    rollouts.tick(clock.now)
    Step.objects.filter(operation__workspace__name="a").exclude(host="").update(state="done")
    running = alices.get(at)
    assert stages(running) == [("Canary", "busy"), ("Soak", ""), ("The others", "")]
    said = text(running)
    assert "The canary runs alone: 1 of 1 run." in said
    assert "a canary Freight Core Upgrading 1 of 1 hosts done Upgrade a from 1.34.8 to 1.35.7 None" in said
    assert "Waiting 3" in said
    end("a")
    rollouts.tick(clock.now)
    assert stages(alices.get(at)) == [("Canary", "ok"), ("Soak", "busy"), ("The others", "")]
    clock.now += timedelta(minutes=30)
    rollouts.tick(clock.now)
    later = alices.get(at)
    assert stages(later) == [("Canary", "ok"), ("Soak", "ok"), ("The others", "busy")]
    assert "z Freight Core Refused None Reconciliation holds changes back" in text(later)
    end("b")
    end("c")
    rollouts.tick(clock.now)
    over = alices.get(at)
    assert stages(over) == [("Canary", "ok"), ("Soak", "ok"), ("The others", "ok")]
    assert "3 upgraded, 1 refused." in text(over)
    assert b"hx-trigger" not in over.content.partition(b'id="progress"')[2].partition(b">")[0]


def test_a_rollout_that_is_over_is_not_green_while_a_workspace_has_failed(alices, clock):
    rollout = begin(fleet(2))
    rollouts.tick(clock.now)
    end("a")
    rollouts.tick(clock.now)
    end("b", "failed", error_message="The budget web allows no eviction.")
    rollouts.tick(clock.now)
    over = alices.get(f"/rollouts/{rollout.pk}")
    assert over.context["rollout"].state == "finished"
    assert (over.context["look"].label, over.context["look"].tone) == ("Finished, 1 failed", "bad")
    assert stages(over)[-1] == ("The others", "bad")
    assert "Finished, 1 failed" in text(alices.get("/rollouts"))


def test_the_poll_answers_only_what_is_new_and_ends(alices, clock):
    rollout = begin(fleet(2))
    at = f"/rollouts/{rollout.pk}/progress"
    seen = alices.get(at, **HTMX).context["seen"]
    assert alices.get(at, {"seen": seen}, **HTMX).status_code == 204
    rollouts.tick(clock.now)
    new = alices.get(at, {"seen": seen}, **HTMX)
    assert new.status_code == 200
    assert new.context["seen"] != seen
    assert b"<html" not in new.content
    Step.objects.filter(operation__workspace__name="a").exclude(host="").update(state="done")
    assert alices.get(at, {"seen": new.context["seen"]}, **HTMX).status_code == 200
    rollout.stop(SCRIPT)
    assert alices.get(at, **HTMX).status_code == 200  # an upgrade still runs
    end("a")
    rollouts.tick(clock.now)
    assert alices.get(at, **HTMX).status_code == 286


def test_a_failed_canary_is_shown_where_it_failed(alices, clock):
    rollout = begin(fleet(3))
    rollouts.tick(clock.now)
    end("a", "failed", error_message="The budget web allows no eviction.")
    rollouts.tick(clock.now)
    answer = alices.get(f"/rollouts/{rollout.pk}")
    assert stages(answer) == [("Canary", "bad"), ("The others", "")]
    assert [row.member.canary for row in answer.context["rows"]] == [True, False, False]
    said = text(answer)
    assert "The canary failed. The others have not been touched. It starts nothing more until somebody" in said
    assert "The budget web allows no eviction." in said
    assert "The canary has not passed, so the next workspace goes first in place of one that failed." in said


def test_members_that_the_reader_does_not_see_are_counted_and_not_named(client, bob, clock):
    hidden = cast.kubernetes("secret-name", project=cast.project("Customs"), hosts=1)
    rollout = begin([hidden, *fleet(1)])
    rollouts.tick(clock.now)
    end("secret-name", "failed", error_message="secret-message")
    rollouts.tick(clock.now)
    answer = cast.sign_in(client, bob).get(f"/rollouts/{rollout.pk}")
    assert "1 more is in projects that you do not see." in text(answer)
    assert "0 of 2" not in text(answer)
    assert "Failed 1" in text(answer)
    for page in (answer, client.get("/rollouts"), client.get(f"/rollouts/{rollout.pk}/progress")):
        assert b"secret" not in page.content
    assert not answer.context["may_change"]


def test_the_list_shows_what_touches_the_readers_workspaces(client, bob, alice, charlie, django_assert_max_num_queries):
    mine = begin(fleet(2))
    begin([cast.kubernetes("customs", project=cast.project("Customs"), hosts=0)])
    rollouts.tick(cast.NOW)
    mine.stop(Actor.of(alice))
    cast.sign_in(client, bob)
    with django_assert_max_num_queries(12):
        said = text(client.get("/rollouts"))
    assert "Upgrade 2 workspaces to 1.35.7 Alice Ahrens stopped it. Stopped 1 of 2 1 left out" in said
    assert "Upgrade 1 workspace to" not in said
    assert "No rollouts" in text(cast.sign_in(client, charlie).get("/rollouts"))


def test_the_page_of_300_costs_a_fixed_number_of_queries_and_bytes(alices, django_assert_max_num_queries):
    (one,) = fleet(1)
    rollout = begin([one])
    others = Workspace.objects.bulk_create(
        Workspace(name=f"w{n:03}", project=one.project, type="baremetal", state="active") for n in range(299)
    )
    RolloutMember.objects.bulk_create(
        RolloutMember(rollout=rollout, workspace=workspace, position=n) for n, workspace in enumerate(others, 1)
    )
    alices.get(f"/rollouts/{rollout.pk}")
    with django_assert_max_num_queries(12):
        answer = alices.get(f"/rollouts/{rollout.pk}")
    assert "1 to 100 of 300" in text(answer)
    assert len(answer.content) < 100_000
    with django_assert_max_num_queries(9):
        alices.get(f"/rollouts/{rollout.pk}/progress", {"seen": answer.context["seen"]}, **HTMX)
    last = alices.get(f"/rollouts/{rollout.pk}?page=3")
    assert "w298" in text(last)
    assert f"{reverse('rollout_progress', args=[rollout.pk])}?seen={last.context['seen']}&amp;page=3" in (
        last.content.decode()
    )


# --- Changing it ------------------------------------------------------------------------------------------------------
def test_it_is_paused_continued_and_stopped_by_who_may_upgrade_all_of_it(alices, clock):
    rollout = begin(fleet(3))
    at = f"/rollouts/{rollout.pk}"
    assert alices.get(at).content.count(b'command="show-modal">Pause<') == 1
    assert alices.post(f"{at}/pause").status_code == 303
    paused = text(alices.get(at))
    assert "Alice Ahrens paused it." in paused
    assert rollouts.tick(clock.now) == 0
    again = alices.post(f"{at}/pause")
    assert again.status_code == 409
    assert "Nothing was changed This rollout is paused: it cannot be paused." in text(again)
    assert alices.post(f"{at}/continue").status_code == 303
    assert rollouts.tick(clock.now) == 1
    assert alices.post(f"{at}/stop").status_code == 303
    stopped = alices.get(at)
    assert "Left out 2" in text(stopped)
    assert b"<dialog id=" not in stopped.content.partition(b"<main")[2].partition(b"</main>")[0]
    assert alices.post(f"{at}/continue").status_code == 409


@pytest.mark.parametrize("act", ["pause", "continue", "stop"])
def test_who_may_upgrade_only_a_part_sees_no_buttons_and_changes_nothing(client, bob, victor, charlie, act):
    rollout = begin([cast.kubernetes("customs", project=cast.project("Customs"), hosts=0), *fleet(1)])
    if act == "continue":
        rollout.pause(SCRIPT)
    before = rollout.state
    for who in (bob, victor):
        cast.sign_in(client, who)
        assert (
            b"<dialog id="
            not in client.get(f"/rollouts/{rollout.pk}").content.partition(b"<main")[2].partition(b"</main>")[0]
        )
        refused = client.post(f"/rollouts/{rollout.pk}/{act}")
        assert refused.status_code == 409
        assert "Only whoever may start upgrades on every workspace of this rollout" in text(refused)
    assert cast.sign_in(client, charlie).post(f"/rollouts/{rollout.pk}/{act}").status_code == 404
    rollout.refresh_from_db()
    assert rollout.state == before
