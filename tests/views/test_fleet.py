"""The fleet list: rows, counts, filters, order, pages, polling, and what it costs with 10,000 workspaces."""

from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest

from tests import cast
from tests.views.sockets import no_outside  # noqa: F401
from workspaces.models import (
    PLATFORM,
    Actor,
    Host,
    KubernetesVersion,
    MaintenancePlan,
    Membership,
    Operation,
    Step,
    Workspace,
)
from workspaces.models.health import reassess
from workspaces.models.outlook import look
from workspaces.operations import upgrade
from workspaces.rules import upgrades

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_outside")]
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture(autouse=True)
def clock(monkeypatch, settings):
    """The clock of the cast: Tuesday 24 November, 14:32 UTC. `clock.now` may be moved."""
    settings.LOOPBACK_RECONCILE_SECONDS = 60
    clock = SimpleNamespace(now=cast.NOW)
    monkeypatch.setattr("django.utils.timezone.now", lambda: clock.now)
    return clock


@pytest.fixture
def alices(client, alice):
    return cast.sign_in(client, alice)


def names(client, **query):
    return [row.name for row in client.get("/workspaces", query).context["rows"]]


def row(client, name="ledger-prod"):
    return next(row for row in client.get("/workspaces").context["rows"] if row.name == name)


def counts(answer):
    return {key: count for key, _, count in answer.context["states"]}


# --- A row ------------------------------------------------------------------------------------------------------------
def test_a_row_says_what_it_is_how_it_is_and_what_runs_next(alices, workspace, catalogue_rows):
    shown = row(alices)
    assert (shown.short, shown.project) == (str(workspace.pk)[:8], "Freight Core")
    assert (shown.health, shown.tone, shown.health_sub) == ("Active", "ok", "")
    assert (shown.type, shown.location) == ("Kubernetes", "fsn1")
    assert (shown.version, shown.target, shown.hosts) == ("1.34.8", "1.35.7", "3")
    assert (shown.window, shown.window_sub) == ("Wed 02:00", "in 11 h 28 min")
    assert (shown.rail.window, shown.rail.priority, shown.rail.now) == (9, 91, "")
    assert shown.reconciled == "0 s ago"
    page = alices.get("/workspaces").content.decode()
    assert f'<a class="name" id="{shown.short}" href="/workspaces/{workspace.pk}">ledger-prod</a>' in page
    assert f'href="/workspaces/{workspace.pk}/version" aria-label="1.35.7 available"' in page


def test_bare_metal_shows_its_operating_system_and_no_version(alices, metal, catalogue_rows):
    shown = row(alices, "customs-archive")
    assert (shown.type, shown.os_name, shown.version, shown.target) == (
        "Bare metal",
        "Debian GNU/Linux 13",
        "",
        "",
    )


def test_a_window_of_today_is_called_today_and_its_rail_shows_now(alices, workspace):
    MaintenancePlan.objects.update(hour_1=20)
    shown = row(alices)
    assert (shown.window, shown.window_sub, shown.rail.now) == ("Today 20:00", "in 5 h 28 min", "59.1")


def test_maintenance_that_is_off_says_since_when_and_by_whom(alices, workspace):
    MaintenancePlan.objects.update(
        enabled=False, disabled_at=datetime.fromisoformat("2026-11-03T09:00Z"), disabled_by="M. Osei"
    )
    shown = row(alices)
    assert (shown.window, shown.window_tone, shown.window_sub) == ("Off", "warn", "since 3 Nov, by M. Osei")
    assert shown.rail is None


def test_a_week_without_routine_windows_names_the_priority_hour(alices, workspace):
    MaintenancePlan.objects.update(**dict.fromkeys(MaintenancePlan.HOURS, None))
    shown = row(alices)
    assert (shown.window, shown.window_sub) == ("No routine window", "priority hour 22:00")


def test_a_host_that_is_not_ready_is_counted(alices, workspace):
    Workspace.objects.update(hosts_ready=2, attention="Not ready: ledger-prod-w2", attention_tone="bad")
    shown = row(alices)
    assert (shown.hosts, shown.health, shown.tone, shown.health_sub) == (
        "2 of 3",
        "Degraded",
        "bad",
        "Not ready: ledger-prod-w2",
    )


def test_what_was_not_seen_lately_is_never_green(alices, workspace):
    Workspace.objects.update(observed_at=cast.NOW - timedelta(minutes=12))
    assert (row(alices).health, row(alices).tone, row(alices).health_sub) == (
        "Not seen for 12 min",
        "idle",
        "was active",
    )
    Workspace.objects.update(observed_at=None, state="provisioning")
    assert (row(alices).health, row(alices).tone, row(alices).health_sub) == ("Not seen yet", "idle", "Provisioning")


def test_an_upgrade_says_where_to_and_how_far_it_is(alices, alice, workspace, catalogue_rows):
    operation = upgrade.start(workspace, "1.35.7", actor=Actor.of(alice))
    shown = row(alices)
    assert (shown.health, shown.tone, shown.health_sub) == ("Upgrading", "busy", "to 1.35.7, control plane")
    assert shown.target == ""
    Step.objects.filter(operation=operation, host__in=["", "ledger-prod-w1"]).update(state="done")
    Step.objects.filter(operation=operation, host="ledger-prod-w2", stage="kubeadm").update(state="running")
    assert row(alices).health_sub == "to 1.35.7, host 2 of 3"
    Operation.objects.update(state="paused")
    assert (row(alices).health, row(alices).tone) == ("Upgrading, paused", "warn")


def test_work_of_another_kind_is_busy_too(alices, workspace):
    Operation.start(workspace, "maintenance", "Maintenance of ledger-prod", [], actor=PLATFORM)
    assert (row(alices).health, row(alices).health_sub) == ("In maintenance", "Maintenance of ledger-prod")


def test_a_look_that_failed_is_tagged(alices, workspace):
    Workspace.objects.update(look_error_code="unreachable", look_error="No route to host")
    assert row(alices).reconciled_tag == "last look failed"


def test_what_others_wrote_is_escaped_and_long_sentences_are_cut(alices, workspace):
    Workspace.objects.update(attention="<b>" + "x" * 190, attention_tone="warn")
    page = alices.get("/workspaces").content.decode()
    assert "&lt;b&gt;xxx" in page
    assert "<b>xxx" not in page
    assert "x" * 92 + "…" in page


# --- Counts and the sentence ------------------------------------------------------------------------------------------
def test_the_sentence_counts_and_links_to_what_it_counts(alices, alice, workspace, metal, catalogue_rows):
    Workspace.objects.filter(pk=metal.pk).update(attention="Not ready: customs-archive-1", attention_tone="bad")
    upgrade.start(cast.kubernetes("atlas-routing"), "1.35.7", actor=Actor.of(alice))
    MaintenancePlan.objects.filter(workspace=metal).update(hour_1=16)
    page = alices.get("/workspaces")
    text = page.content.decode()
    assert "3 workspaces in 1 project." in text
    assert '<a href="?state=attention" data-tone="warn">1 needs attention</a>' in text
    assert '<a href="?state=upgrading" data-tone="busy">1 is upgrading</a>' in text
    assert '<a href="?state=upgradable">1 can be upgraded</a>' in text
    assert "The next of <strong>1 window</strong> still to open today opens at 16:00 UTC, 17:00 in Berlin." in text
    assert counts(page) == {"": 3, "attention": 1, "upgrading": 1, "upgradable": 1, "off": 0}
    assert page.context["workspace_count"] == 3
    assert page.context["open_operation_count"] == 1


def test_each_filter_shows_exactly_what_its_count_says(alices, alice, workspace, metal, catalogue_rows):
    Workspace.objects.filter(pk=metal.pk).update(attention="Not ready", attention_tone="bad")
    MaintenancePlan.objects.filter(workspace=metal).update(enabled=False)
    upgrade.start(cast.kubernetes("atlas-routing"), "1.35.7", actor=Actor.of(alice))
    shown = {state: names(alices, state=state) for state in ("attention", "upgrading", "upgradable", "off")}
    assert shown == {
        "attention": ["customs-archive"],
        "upgrading": ["atlas-routing"],
        "upgradable": ["ledger-prod"],
        "off": ["customs-archive"],
    }


def test_versions_narrow_the_list_and_stay_in_its_addresses(alices, workspace, metal):
    cast.kubernetes("newest", version="1.36.2")
    cast.kubernetes("old", version="1.33.9")
    assert names(alices, version="1.36.2") == ["newest"]
    assert names(alices, version="1.33.9,1.36.2") == ["newest", "old"]
    assert names(alices, version="1.3") == []
    page = alices.get("/workspaces", {"version": "1.33.9,1.36.2"})
    assert "version=1.33.9%2C1.36.2&amp;sort=-name" in page.content.decode()
    assert "Show all versions" in page.content.decode()


def test_upgradable_means_that_no_refusal_waits_behind_the_click(alices, alice, workspace, metal, catalogue_rows):
    cast.kubernetes("newest", version="1.36.2")
    cast.kubernetes("gated", state="gated")
    unknown = cast.kubernetes("unknown")
    Workspace.objects.filter(pk=unknown.pk).update(kubernetes_version="", version_key=0)
    cast.kubernetes(
        "held-by-kamaji", version="1.35.7", management_cluster=cast.management_cluster("old", max_version="1.35")
    )
    Host.objects.filter(workspace=cast.kubernetes("old-workers", version="1.35.4")).update(kubelet_version="1.32.1")
    Host.objects.filter(workspace=cast.kubernetes("one-behind", version="1.35.4"), name="one-behind-w1").update(
        kubelet_version="1.34.8"
    )
    upgrade.start(cast.kubernetes("running"), "1.35.7", actor=Actor.of(alice))
    reassess(list(Workspace.objects.values_list("pk", flat=True)), cast.NOW)
    rows = [version.as_rule() for version in KubernetesVersion.objects.all()]
    expected = {
        seen.name
        for seen in Workspace.objects.select_related("project", "management_cluster")
        if any(not upgrades.refuse_upgrade(look(seen, cast.NOW).situation, row.version, rows) for row in rows)
        and upgrades.targets(look(seen, cast.NOW).situation, rows).eligible
    }
    assert expected == {"ledger-prod", "one-behind", "old-workers"}
    assert set(names(alices, state="upgradable")) == expected
    page = alices.get("/workspaces")
    assert counts(page)["upgradable"] == 3
    for shown in page.context["rows"]:
        seen = look(
            Workspace.objects.select_related("project", "management_cluster").get(pk=shown.pk), cast.NOW
        ).situation
        if shown.name != "running":
            assert shown.target == (upgrades.targets(seen, rows).recommended or "")


# --- Filters ----------------------------------------------------------------------------------------------------------
def test_the_search_looks_at_names_projects_and_the_beginning_of_ids(alices, workspace, metal):
    cast.kubernetes("rates-engine", project=cast.project("Sandbox"))
    assert names(alices, q="LEDG") == ["ledger-prod"]
    assert names(alices, q="sandb") == ["rates-engine"]
    assert names(alices, q=str(metal.pk)[:8]) == ["customs-archive"]
    assert names(alices, q="%") == []
    assert names(alices, q="\0") == ["customs-archive", "ledger-prod", "rates-engine"]


def test_type_project_and_state_narrow_together(alices, workspace, metal):
    sandbox = cast.project("Sandbox")
    cast.kubernetes("rates-engine", project=sandbox)
    assert names(alices, type="baremetal") == ["customs-archive"]
    assert names(alices, project=str(sandbox.pk)) == ["rates-engine"]
    assert names(alices, project=str(sandbox.pk), type="baremetal") == []
    assert names(alices, type="kubernetes", q="ledger") == ["ledger-prod"]


def test_a_project_in_the_address_is_the_place_and_the_counts_are_its_own(alices, workspace):
    sandbox = cast.project("Sandbox")
    cast.kubernetes("rates-engine", project=sandbox)
    answer = alices.get("/workspaces", {"project": str(sandbox.pk)})
    assert answer.context["place"].project == "Sandbox"
    assert counts(answer)[""] == 1
    assert answer.context["workspace_count"] == 2
    assert '<span class="place-project">Sandbox</span>' in answer.content.decode()


def test_superusers_choose_an_organization(client, root, workspace):
    fjordline = cast.project("Harbour", of="Fjordline")
    cast.kubernetes("fjord-api", project=fjordline)
    cast.sign_in(client, root)
    assert names(client) == ["fjord-api", "ledger-prod"]
    answer = client.get("/workspaces", {"organization": str(fjordline.organization_id)})
    assert [row.name for row in answer.context["rows"]] == ["fjord-api"]
    assert answer.context["place"].organization == "Fjordline"
    assert [project.name for project in answer.context["projects"]] == ["Harbour"]


def test_a_project_of_another_organization_than_the_chosen_one_is_left_out(client, root, workspace):
    harbour = cast.project("Harbour", of="Fjordline")
    cast.kubernetes("fjord-api", project=harbour)
    query = {"organization": str(workspace.project.organization_id), "project": str(harbour.pk)}
    answer = cast.sign_in(client, root).get("/workspaces", query)
    assert [row.name for row in answer.context["rows"]] == ["ledger-prod"]
    assert "That project is of another organization" in answer.content.decode()


def test_a_member_of_two_organizations_sees_both(client, alice, workspace):
    harbour = cast.project("Harbour", of="Fjordline")
    Membership.objects.create(account=alice, organization=harbour.organization, role="viewer")
    cast.kubernetes("fjord-api", project=harbour)
    answer = cast.sign_in(client, alice).get("/workspaces")
    assert [row.name for row in answer.context["rows"]] == ["fjord-api", "ledger-prod"]
    assert answer.context["place"].organization == "All organizations"
    assert 'name="organization"' in answer.content.decode()


def test_members_of_one_organization_are_not_asked_which(alices, workspace):
    assert 'name="organization"' not in alices.get("/workspaces").content.decode()


@pytest.mark.parametrize(
    ("query", "note"),
    [
        ({"state": "bogus"}, "“bogus” is not a state of this list, so it is left out."),
        ({"type": "lambda"}, "“lambda” is not a type of this list, so it is left out."),
        ({"sort": "colour"}, "“colour” is not an order of this list, so it is left out."),
        ({"page": "two"}, "“two” is not a page."),
        ({"page": "0"}, "“0” is not a page."),
        ({"page": "²"}, "“²” is not a page."),
        ({"page": "7"}, "There is no page 7. This is the last one."),
        ({"state": "<script>"}, "“&lt;script&gt;” is not a state"),
    ],
)
def test_words_that_mean_nothing_are_left_out_with_a_note(alices, workspace, query, note):
    answer = alices.get("/workspaces", query)
    assert answer.status_code == 200
    assert note in answer.content.decode()
    assert [row.name for row in answer.context["rows"]] == ["ledger-prod"]


@pytest.mark.parametrize("name", ["project", "organization"])
def test_a_place_that_does_not_exist_is_not_found(alices, workspace, name):
    assert alices.get("/workspaces", {name: "00000000-0000-0000-0000-000000000000"}).status_code == 404
    assert alices.get("/workspaces", {name: "x"}).status_code == 404


def test_nothing_found_offers_to_clear_the_filters(alices, workspace):
    page = alices.get("/workspaces", {"q": "ledgr"}).content.decode()
    assert "<h2>No workspace matches “ledgr”</h2>" in page
    assert "clear the filters to see all 1 workspace." in page


def test_somebody_without_any_project_gets_an_honest_page(client, db):
    nobody = cast.account("nobody@kestrel.example")
    page = cast.sign_in(client, nobody).get("/workspaces")
    assert page.status_code == 200
    assert "<h2>No workspaces</h2>" in page.content.decode()


# --- Order and pages --------------------------------------------------------------------------------------------------
def test_versions_are_ordered_as_numbers(alices, workspace):
    cast.kubernetes("patched", version="1.34.11")
    cast.kubernetes("older", version="1.9.11")
    assert names(alices, sort="version") == ["older", "ledger-prod", "patched"]
    assert names(alices, sort="-version") == ["patched", "ledger-prod", "older"]


def test_the_next_window_comes_first_and_what_has_none_last_both_ways(alices, workspace, metal):
    MaintenancePlan.objects.filter(workspace=metal).update(hour_1=16)
    MaintenancePlan.objects.filter(workspace=cast.kubernetes("off-one")).update(enabled=False)
    assert names(alices, sort="window") == ["customs-archive", "ledger-prod", "off-one"]
    assert names(alices, sort="-window") == ["ledger-prod", "customs-archive", "off-one"]


def test_the_most_urgent_comes_first(alices, workspace):
    cast.kubernetes("a-busy")
    Operation.start(Workspace.objects.get(name="a-busy"), "maintenance", "Maintenance", [], actor=PLATFORM)
    cast.kubernetes("b-lost", observed_at=None)
    cast.kubernetes("c-warned", attention="Look", attention_tone="warn")
    cast.kubernetes("d-broken", attention="Broken", attention_tone="bad")
    assert names(alices, sort="health") == ["d-broken", "c-warned", "b-lost", "a-busy", "ledger-prod"]
    assert names(alices, sort="-health")[0] == "ledger-prod"


def test_what_was_seen_longest_ago_is_the_first_by_reconciliation(alices, workspace):
    cast.kubernetes("never", observed_at=None)
    cast.kubernetes("long-ago", observed_at=cast.NOW - timedelta(hours=1))
    assert names(alices, sort="reconciled") == ["never", "long-ago", "ledger-prod"]
    assert names(alices, sort="-reconciled") == ["ledger-prod", "long-ago", "never"]


def test_a_heading_sorts_and_sorts_the_other_way_the_second_time(alices, workspace):
    page = alices.get("/workspaces", {"sort": "version", "q": "ledger"}).content.decode()
    assert 'aria-sort="ascending"><a id="by-version" href="?q=ledger&amp;sort=-version">' in page
    assert '<a id="by-name" href="?q=ledger">' in page


def test_fifty_are_on_a_page(alices, workspace):
    Workspace.objects.bulk_create(
        Workspace(name=f"yard-{number:02}", project=workspace.project, type="baremetal") for number in range(60)
    )
    first = alices.get("/workspaces")
    assert (len(first.context["rows"]), first.context["total"]) == (50, 61)
    assert "1 to 50 of 61" in first.content.decode()
    second = alices.get("/workspaces", {"page": "2", "type": "baremetal"})
    assert (len(second.context["rows"]), second.context["total"]) == (10, 60)
    assert 'id="page-before" href="?type=baremetal"' in second.content.decode()


# --- htmx -------------------------------------------------------------------------------------------------------------
def test_htmx_gets_the_list_and_the_counts_alone_and_a_clean_address(alices, workspace):
    answer = alices.get("/workspaces?q=ledger&state=&project=&type=&sort=name", **HTMX)
    text = answer.content.decode()
    assert text.startswith('<div id="list">')
    assert "<html" not in text
    assert '<p class="lede" id="lede" hx-swap-oob="true">' in text
    assert '<b id="count-attention" hx-swap-oob="true">0</b>' in text
    assert answer.headers["HX-Push-Url"] == "/workspaces?q=ledger"
    assert "HX-Request" in answer.headers["Vary"]


def test_another_place_is_a_whole_new_page_because_it_changes_the_frame(alices, workspace):
    project = str(workspace.project_id)
    here = {"HTTP_HX_CURRENT_URL": "http://testserver/workspaces?q=led"} | HTMX
    answer = alices.get("/workspaces", {"q": "led", "project": project}, **here)
    assert answer.headers["HX-Redirect"] == f"/workspaces?q=led&project={project}"
    there = {"HTTP_HX_CURRENT_URL": f"http://testserver/workspaces?project={project}"} | HTMX
    assert "HX-Redirect" not in alices.get("/workspaces", {"q": "led", "project": project}, **there).headers


def test_going_back_in_the_browser_gets_the_whole_page(alices, workspace):
    answer = alices.get("/workspaces", HTTP_HX_REQUEST="true", HTTP_HX_HISTORY_RESTORE_REQUEST="true")
    assert "<html" in answer.content.decode()


def test_a_poll_is_answered_only_when_something_has_changed(alices, workspace, clock):
    seen = alices.get("/workspaces").context["seen"]
    clock.now += timedelta(seconds=15)
    unchanged = alices.get("/workspaces", {"seen": seen}, **HTMX)
    assert (unchanged.status_code, unchanged.content) == (204, b"")
    Workspace.objects.update(hosts_ready=2)
    changed = alices.get("/workspaces", {"seen": seen}, **HTMX)
    assert changed.status_code == 200
    assert "2 of 3" in changed.content.decode()
    assert "HX-Push-Url" not in changed.headers


def test_a_poll_of_the_next_minute_is_answered_so_that_its_times_are_right(alices, workspace, clock):
    seen = alices.get("/workspaces").context["seen"]
    clock.now += timedelta(minutes=1)
    assert "in 11 h 27 min" in alices.get("/workspaces", {"seen": seen}, **HTMX).content.decode()


def test_the_poll_keeps_filter_order_and_page(alices, workspace):
    page = alices.get("/workspaces", {"q": "ledger", "sort": "-version"}).content.decode()
    assert '<span hidden hx-get="/workspaces?q=ledger&amp;sort=-version"' in page


# --- Who sees what ----------------------------------------------------------------------------------------------------
def test_other_organizations_and_projects_appear_nowhere(client, bob, charlie, workspace, catalogue_rows):
    sandbox = cast.project("Sandbox")
    hidden = cast.kubernetes("rates-engine", project=sandbox, attention="Broken", attention_tone="bad")
    Operation.start(hidden, "upgrade", "Upgrade rates-engine from 1.34.8 to 1.35.7", [], actor=PLATFORM)
    cast.kubernetes("fjord-api", project=cast.project("Harbour", of="Fjordline"))
    for person, sees in ((bob, "ledger-prod"), (charlie, "fjord-api")):
        answer = cast.sign_in(client, person).get("/workspaces")
        text = answer.content.decode()
        assert [row.name for row in answer.context["rows"]] == [sees]
        assert counts(answer) == {"": 1, "attention": 0, "upgrading": 0, "upgradable": 1, "off": 0}
        assert (answer.context["workspace_count"], answer.context["open_operation_count"]) == (1, 0)
        assert "rates-engine" not in text
        assert "Sandbox" not in text
        assert "1 maintenance window today:" in text
        assert client.get("/workspaces", {"project": str(sandbox.pk)}).status_code == 404
        assert names(client, q="rates") == names(client, q=str(hidden.pk)) == []
    organization = str(workspace.project.organization_id)
    assert client.get("/workspaces", {"organization": organization}).status_code == 404


def test_deleted_workspaces_are_history(alices):
    cast.kubernetes(state="deleted")
    answer = alices.get("/workspaces")
    assert (list(answer.context["rows"]), counts(answer)[""]) == ([], 0)


def test_support_gets_the_way_to_the_admin_and_others_do_not(client, alice, root):
    assert 'href="/admin/"' not in cast.sign_in(client, alice).get("/workspaces").content.decode()
    assert 'href="/admin/"' in cast.sign_in(client, root).get("/workspaces").content.decode()
