"""The page of versions: the sentence, the graph, the table, who runs what, and what is wrong."""

from __future__ import annotations

import re
from datetime import date
from itertools import pairwise

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import cast
from tests.views.sockets import no_outside  # noqa: F401
from tests.views.stopped_clock import clock  # noqa: F401
from workspaces.models import KubernetesVersion, Workspace
from workspaces.rules.catalogue import edges
from workspaces.rules.upgrades import CatalogueVersion
from workspaces.views import catalogue_graph

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_outside")]
HEADS = ["Version", "State", "Accepts", "Released", "Supported to", "Workspaces", "Leads to"]


@pytest.fixture
def alices(client, alice):
    return cast.sign_in(client, alice)


@pytest.fixture
def fleet(workspace, metal):
    """One workspace of 1.34.8, two of 1.33.9, one of 1.34.5, one deleted, one of another organization, one not seen."""
    for name, version in (("old", "1.33.9"), ("older", "1.33.9"), ("own-build", "1.34.5"), ("unseen", "")):
        cast.kubernetes(name, version=version)
    Workspace.objects.filter(pk=cast.kubernetes("gone", version="1.35.7").pk).update(state="deleted")
    cast.kubernetes("fjord", project=cast.project("Fjord", of="Fjordline"), version="1.35.7")


def text(answer) -> str:
    """What is read on the page, without markup and with single spaces."""
    body = answer.content.decode().partition("<main")[2].partition("</main>")[0]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body)).replace(" .", ".").replace(" ,", ",")


def table(answer) -> dict[str, list[str]]:
    """The cells of each row by its version, as read."""
    body = answer.content.decode().partition("<tbody>")[2].partition("</tbody>")[0]
    rows = {}
    for row in re.findall(r"<tr>(.*?)</tr>", body):
        cells = [re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", cell)).strip() for cell in re.split(r"</t[hd]>", row)][:-1]
        rows[cells[0].split()[0]] = cells
    return rows


def stops(answer) -> list[tuple[str, str]]:
    """(state, version) of everything drawn."""
    graph = answer.content.decode().partition('id="graph"')[2].partition("</svg>")[0]
    return re.findall(r'data-state="(\w+)".*?class="label"[^>]*>([^<]+)<', graph)


# --- Who sees what ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("who", "count"), [("alice", 4), ("bob", 4), ("charlie", 1), ("root", 5)])
def test_everybody_sees_the_catalogue_and_counts_what_they_may_see(client, request, who, count, fleet, catalogue_rows):
    answer = cast.sign_in(client, request.getfixturevalue(who)).get("/versions")
    assert answer.status_code == 200
    assert set(table(answer)) >= {row.version for row in catalogue_rows}
    assert sum(int(cells[5]) for cells in table(answer).values()) == count
    assert ("1.34.5" in text(answer)) == (who != "charlie")


def test_nobody_else_sees_it_and_it_is_only_read(client, alice, catalogue_rows):
    assert client.get("/versions").headers["Location"] == "/accounts/login/?next=/versions"
    assert cast.sign_in(client, alice).post("/versions").status_code == 405


# --- The sentence -----------------------------------------------------------------------------------------------------
def test_the_sentence_counts_and_leads_to_the_workspaces(alices, fleet, catalogue_rows):
    KubernetesVersion.objects.create(version="1.36.3-rc.1", active=True)
    answer = alices.get("/versions")
    assert (
        "9 versions, 7 of them active, the newest 1.36.2, with 1 finding. 4 workspaces run Kubernetes, "
        "2 a version that has ended, 1 a version that is not in the catalogue. 1 has not been seen yet."
    ) in text(answer)
    body = answer.content.decode()
    assert '<a href="/workspaces?version=1.33.9" data-tone="warn">2 a version that has ended</a>' in body
    assert '<a href="/workspaces?version=1.34.5" data-tone="warn">1 a version that is not in the catalogue</a>' in body


def test_several_versions_are_led_to_at_once(alices, catalogue_rows):
    KubernetesVersion.objects.filter(version="1.34.8").update(end_of_life_on=date(2026, 11, 23))
    for version in ("1.33.9", "1.34.8", "1.31.2", "1.9.1"):
        cast.kubernetes(f"w-{version.replace('.', '-')}", version=version)
    body = alices.get("/versions").content.decode()
    assert 'href="/workspaces?version=1.34.8,1.33.9" data-tone="warn">2 a version that has ended' in body
    assert 'href="/workspaces?version=1.31.2,1.9.1" data-tone="warn">2 a version that is not in the' in body


def test_an_empty_catalogue_and_an_empty_fleet_say_so(alices, metal):
    shown = text(alices.get("/versions"))
    assert "The catalogue is empty. No workspace that you see runs Kubernetes." in shown
    assert "No versions Support staff add them in the admin or by manage.py versions load." in shown
    assert "Which version leads where" not in shown
    assert "What is wrong" not in shown


# --- The table --------------------------------------------------------------------------------------------------------
def test_each_version_has_its_row_newest_first_as_numbers(alices, fleet, catalogue_rows):
    KubernetesVersion.objects.filter(version="1.35.7").update(released_on=date(2026, 10, 13))
    rows = table(alices.get("/versions"))
    assert list(rows) == [
        "1.37.1", "1.36.2", "1.35.7", "1.35.6", "1.35.4", "1.34.11", "1.34.8", "1.34.5", "1.33.9",
    ]  # fmt: skip
    expected = {
        "1.37.1": ["1.37.1", "Not active", "1.36.0 or later, below 1.38.0", "", "", "0", ""],
        "1.35.7": ["1.35.7", "Active", "1.34.2 or later, below 1.36.0", "13 Oct 2026", "30 Jun 2027 in 218 days",
                   "0", "1.36.2"],
        "1.35.6": ["1.35.6", "Withdrawn Volume detach can hang.", "1.34.2 or later, below 1.36.0", "",
                   "30 Jun 2027 in 218 days", "0", ""],
        "1.34.11": ["1.34.11 security", "Active", "1.33.0 or later, below 1.35.0", "", "28 Feb 2027 in 96 days", "0",
                    "1.35.7, 1.35.4"],
        "1.34.8": ["1.34.8", "Active", "1.33.0 or later, below 1.35.0", "", "28 Feb 2027 in 96 days",
                   "1", "1.35.7, 1.35.4, 1.34.11"],
        "1.34.5": ["1.34.5", "Not in the catalogue", "", "", "", "1", ""],
        "1.33.9": ["1.33.9", "Ended", "any version", "", "ended 31 Oct 2026", "2",
                   "1.34.11, 1.34.8"],
    }  # fmt: skip
    assert {version: rows[version] for version in expected} == expected


def test_a_count_leads_to_the_workspaces(alices, fleet, catalogue_rows):
    assert (
        '<a href="/workspaces?version=1.34.8" aria-label="1 on 1.34.8">1</a>'
        in alices.get("/versions").content.decode()
    )


@pytest.mark.parametrize(
    ("day", "words"),
    [(23, "ended 23 Nov 2026"), (24, "24 Nov 2026 today"), (25, "25 Nov 2026 in 1 day"),
     (26, "26 Nov 2026 in 2 days")],
)  # fmt: skip
def test_the_end_of_support_counts_days_from_today(alices, day, words):
    KubernetesVersion.objects.create(version="1.36.2", active=True, end_of_life_on=date(2026, 11, day))
    assert table(alices.get("/versions"))["1.36.2"][4] == words


def test_workspaces_count_however_the_catalogue_writes_their_version(alices, workspace):
    KubernetesVersion.objects.create(version="v1.34.8", active=True)
    answer = alices.get("/versions")
    cells = table(answer)["v1.34.8"]
    assert (cells[1], cells[5]) == ("Active", "1")
    assert 'href="/workspaces?version=1.34.8"' in answer.content.decode()


def test_versions_that_nobody_can_read_do_not_stop_the_page(alices, catalogue_rows):
    cast.kubernetes("vendor", version="mystery")
    KubernetesVersion.objects.filter(version="1.37.1").update(version="newest", upgrade_from="?")
    answer = alices.get("/versions")
    assert list(table(answer))[-2:] == ["newest", "mystery"]
    assert table(answer)["newest"][2] == "cannot be read"
    assert "“newest” is not a version. Write it like 1.35.4." in text(answer)


def test_where_a_version_leads_is_cut_short(alices):
    for patch in range(12):
        KubernetesVersion.objects.create(version=f"1.35.{patch}", active=True)
    assert table(alices.get("/versions"))["1.35.0"][6] == ("1.35.11, 1.35.10, 1.35.9, 1.35.8, 1.35.7 and 6 more")


# --- The graph --------------------------------------------------------------------------------------------------------
def test_the_graph_draws_versions_hops_and_who_runs_them_and_says_it(alices, fleet, catalogue_rows):
    answer = alices.get("/versions")
    body = answer.content.decode()
    assert (
        'aria-label="Version graph: 8 versions, 1.33 to 1.37. Workspaces run 1.34.8 (1), 1.33.9 (2). '
        'The table below says where each leads."'
    ) in body
    assert stops(answer) == [
        ("shut", "1.37.1"), ("open", "1.36.2"), ("open", "1.35.4"), ("shut", "1.35.6"), ("open", "1.35.7"),
        ("open", "1.34.8"), ("open", "1.34.11"), ("ended", "1.33.9"),
    ]  # fmt: skip
    graph = body.partition('id="graph"')[2].partition("</svg>")[0]
    assert re.search(r'class="hop" d="([^"]+)"', graph)[1].count("M") == 10
    assert re.findall(r'class="cap"[^>]*>(\d+)<', graph) == ["1", "2"]
    assert graph.count('class="bar-x"') == 2
    notes = re.findall(r'class="track"( data-off)?.*?class="track-note"[^>]*>([^<]*)<', graph)
    assert notes == [
        (" data-off", "not active yet"), ("", "supported to 31 Oct 2027"), ("", "supported to 30 Jun 2027"),
        ("", "supported to 28 Feb 2027"), (" data-off", "ended 31 Oct 2026"),
    ]  # fmt: skip


def test_of_a_long_minor_the_newest_eight_are_drawn_and_the_page_says_so(alices):
    for patch in range(12):
        KubernetesVersion.objects.create(version=f"1.35.{patch}", active=True)
    answer = alices.get("/versions")
    assert [version for _, version in stops(answer)] == [f"1.35.{patch}" for patch in range(4, 12)]
    assert "The newest 8 versions of each minor are drawn; 4 older versions are in the table." in text(answer)
    assert len(table(answer)) == 12


def test_where_lines_would_cover_each_other_the_furthest_hops_are_drawn_and_the_page_says_so():
    rows = [CatalogueVersion(f"1.{minor}.{patch}", True) for minor in (34, 35, 36) for patch in range(6)]
    graph = catalogue_graph.draw(rows, edges(rows), {}, cast.NOW.date())
    # Each but the last of its minor leads to the last of its own, each but those of the last minor to the next.
    assert graph.hops.count("M") == 3 * 5 + 2 * 6
    assert graph.note == "Of the hops of a version the furthest within its minor and into the next are drawn."


def test_in_a_small_catalogue_every_hop_goes_to_the_right():
    rows = [CatalogueVersion(f"1.{minor}.{patch}", True) for minor in (9, 10, 11) for patch in (2, 8, 11)]
    graph = catalogue_graph.draw(rows, edges(rows), {}, cast.NOW.date())
    assert [stop.version for stop in sorted(graph.stops, key=lambda stop: stop.x)] == [row.version for row in rows]
    assert [track.name for track in graph.tracks] == ["1.11", "1.10", "1.9"]
    assert graph.hops.count("H") == 6  # to the next of the same minor
    assert graph.hops.count("Q") == 3  # past it
    assert graph.hops.count("C") == 18


def test_stops_do_not_cover_each_other_and_stay_inside_in_a_catalogue_of_any_size():
    for minors in (1, 2, 6, 20):
        rows = [CatalogueVersion(f"1.{minor}.{patch}", True) for minor in range(9, 9 + minors) for patch in range(9)]
        graph = catalogue_graph.draw(rows, edges(rows), {}, cast.NOW.date())
        assert len(graph.stops) == minors * 8
        assert all(200 <= stop.x <= 940 and 40 <= stop.y <= graph.height - 40 for stop in graph.stops)
        rows_drawn = {y: sorted(stop.x for stop in graph.stops if stop.y == y) for y in {s.y for s in graph.stops}}
        assert len(rows_drawn) == minors
        assert all(right - left >= 60 for xs in rows_drawn.values() for left, right in pairwise(xs))


# --- What is wrong ----------------------------------------------------------------------------------------------------
def test_what_is_wrong_is_listed_and_who_corrects_it(alices, catalogue_rows):
    KubernetesVersion.objects.filter(version="1.35.4").update(upgrade_from="1.36.2")
    answer = alices.get("/versions")
    shown = text(answer).partition("What is wrong in this catalogue")[2]
    assert shown.startswith(
        " 3 findings Support staff correct it in the admin or by manage.py versions load. "
        "1.35.4 error 1.35.4 accepts 1.36.2, which is higher: 1.36.2 → 1.35.4."
    )
    assert "1.33.9 warning Support of 1.33.9 ended on 31 Oct 2026 and it is still offered." in shown
    assert "/admin/" not in answer.content.decode()


def test_support_staff_are_led_to_the_admin(client, root, catalogue_rows):
    body = cast.sign_in(client, root).get("/versions").content.decode()
    assert '<a href="/admin/workspaces/kubernetesversion/">the admin</a>' in body


def test_markup_in_a_reason_is_shown_as_text(alices, catalogue_rows):
    KubernetesVersion.objects.filter(version="1.35.6").update(withdrawn_reason="<script>alert(1)</script>")
    assert "<script>alert" not in alices.get("/versions").content.decode()


# --- Cost -------------------------------------------------------------------------------------------------------------
def test_sixty_versions_and_a_fleet_cost_eight_queries_and_sixty_kilobytes(alices, workspace):
    for minor in range(30, 36):
        for patch in range(10):
            KubernetesVersion.objects.create(
                version=f"1.{minor}.{patch}", active=True, upgrade_from=f">=1.{minor - 1}.2 <1.{minor + 1}.0",
                released_on=date(2026, 6, 1), end_of_life_on=date(2026, 6 + minor - 30, 28),
            )  # fmt: skip
    versions = [f"1.{minor}.{patch}" for minor in range(30, 36) for patch in range(10)]
    Workspace.objects.bulk_create(
        Workspace(project=workspace.project, name=f"w{n}", type="kubernetes", state="active",
                  kubernetes_version=versions[n % 60])
        for n in range(600)
    )  # fmt: skip
    alices.get("/versions")
    with CaptureQueriesContext(connection) as queries:
        answer = alices.get("/versions")
    assert len(queries) <= 8, [query["sql"][:90] for query in queries]
    assert len(answer.content) < 60_000
    assert {int(cells[5]) for cells in table(answer).values()} == {10, 11}
    counting = [
        query["sql"] for query in queries if "GROUP BY" in query["sql"] and "kubernetes_version" in query["sql"]
    ]
    assert len(counting) == 1
