"""The maintenance page: the grid, the what-if, saving the whole plan, and everything that may be wrong with a form."""

import re
import uuid
from datetime import timedelta

import pytest

from tests import cast
from tests.views.reading import text
from tests.views.sockets import no_outside  # noqa: F401
from tests.views.stopped_clock import clock  # noqa: F401
from workspaces.models import Advisory, Event, Host, MaintenancePlan, Workspace

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_outside")]
HTMX = {"HTTP_HX_REQUEST": "true"}
FORM = {
    "version": "1",
    "enabled": "on",
    "priority_hour": "22",
    "day_0": "2",
    "day_1": "2",
    "day_2": "2",
    "day_3": "2",
    "day_4": "2",
    "day_5": "none",
    "day_6": "none",
    "compute_auto": "on",
    "kubernetes_auto": "on",
}
DISABLE_REFUSED = "Maintenance stays on: only an administrator may switch it off. The rest of the change is saved."


@pytest.fixture
def alices(client, alice):
    return cast.sign_in(client, alice)


@pytest.fixture
def bobs(client, bob):
    return cast.sign_in(client, bob)


def toasts(answer) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode().partition('id="toasts"')[2]))


def without_tokens(answer) -> str:
    return re.sub(r"[A-Za-z0-9]{64}", "token", answer.content.decode())


def url(workspace, *, preview=False) -> str:
    return f"/workspaces/{workspace.pk}/maintenance" + ("/preview" if preview else "")


def form(**changes) -> dict[str, str]:
    """The complete form of the cast's plan with changes; None leaves a field out."""
    return {name: value for name, value in (FORM | changes).items() if value is not None}


def stored(workspace) -> tuple:
    plan = MaintenancePlan.objects.get(workspace=workspace)
    rule = plan.as_rule()
    return (
        plan.version,
        rule.enabled,
        rule.hours,
        rule.priority_hour,
        rule.compute_auto_update,
        rule.kubernetes_auto_upgrade,
    )


UNCHANGED = (1, True, (2, 2, 2, 2, 2, None, None), 22, True, True)


def checked(answer) -> dict[str, str]:
    """The radios and switches that are on, as the browser would send them."""
    inputs = re.findall(r"<input [^>]*>", answer.content.decode())
    on = [i for i in inputs if " checked" in i and "name=" in i]
    return {re.search(r'name="(\w+)"', i)[1]: re.search(r'value="(\w*)"', i)[1] for i in on}


# --- Who sees it ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("who", ["alice", "bob", "victor", "root"])
def test_members_see_the_page(client, request, who, workspace, catalogue_rows):
    cast.sign_in(client, request.getfixturevalue(who))
    assert client.get(url(workspace)).status_code == 200


def test_for_a_stranger_it_looks_as_if_it_did_not_exist(client, charlie, workspace):
    cast.sign_in(client, charlie)
    random = f"/workspaces/{uuid.uuid4()}/maintenance"
    for ask in (lambda address: client.get(address), lambda address: client.post(address, form())):
        theirs, other = ask(url(workspace)), ask(random)
        assert theirs.status_code == other.status_code == 404
        assert without_tokens(theirs) == without_tokens(other)
    assert client.post(url(workspace, preview=True), form()).status_code == 404
    assert stored(workspace) == UNCHANGED


def test_a_viewer_reads_everything_and_why_nothing_can_be_changed(client, victor, workspace, catalogue_rows):
    cast.sign_in(client, victor)
    answer = client.get(url(workspace))
    assert "An operator or an administrator of Freight Core can change it." in text(answer)
    assert '<fieldset class="stack" data-gap="lg" disabled' in answer.content.decode()
    assert "Save schedule" not in text(answer)
    assert checked(answer)["day_2"] == "2"


def test_a_viewer_who_sends_the_form_anyway_is_refused(client, victor, workspace):
    cast.sign_in(client, victor)
    assert client.post(url(workspace), form(day_3="4")).status_code == 403
    assert client.post(url(workspace, preview=True), form(day_3="4")).status_code == 403
    assert stored(workspace) == UNCHANGED


# --- The page ---------------------------------------------------------------------------------------------------------
def test_the_form_shows_the_plan_as_it_is(alices, workspace, catalogue_rows):
    answer = alices.get(url(workspace))
    assert checked(answer) == {name: value for name, value in FORM.items() if name != "version"}
    assert "Next window Wed 02:00 UTC in 11 h 28 min, 03:00 in Berlin" in text(answer)
    assert "Next priority hour Today 22:00 UTC Kubernetes 1.34.8 to 1.34.11" in text(answer)
    assert "Your clock Berlin, UTC+1" in text(answer)
    assert "No unsaved changes." in text(answer)


def test_every_radio_says_its_day_its_hour_and_the_readers_hour(alices, workspace, catalogue_rows):
    body = alices.get(url(workspace)).content.decode()
    assert 'name="day_2" value="3" aria-label="Wednesday 03:00 UTC, 04:00 in Berlin"' in body
    assert 'name="day_6" value="23" aria-label="Sunday 23:00 UTC, 00:00 in Berlin"' in body
    assert 'name="day_6" value="none" aria-label="Sunday, no window" checked' in body
    assert body.count('type="radio"') == 24 + 7 * 25


def test_the_readers_hours_follow_the_readers_zone(alices, alice, workspace, catalogue_rows):
    alice.time_zone = "Asia/Kolkata"
    alice.save()
    answer = alices.get(url(workspace))
    assert 'aria-label="Wednesday 03:00 UTC, 08:30 in Kolkata"' in answer.content.decode()
    assert "Your clock Kolkata, UTC+5:30" in text(answer)
    alice.time_zone = "UTC"
    alice.save()
    answer = alices.get(url(workspace))
    assert "Wednesday 03:00 UTC, " not in answer.content.decode()
    assert 'aria-label="Wednesday 03:00 UTC"' in answer.content.decode()
    assert "Your clock" not in text(answer)


def test_the_readers_hours_follow_daylight_saving_within_the_week(client, alice, workspace, catalogue_rows, clock):  # noqa: F811
    clock.now = cast.NOW.replace(year=2027, month=3, day=26)  # Friday; Sunday 28 March is summer time in Berlin
    body = cast.sign_in(client, alice).get(url(workspace)).content.decode()
    assert 'aria-label="Saturday 03:00 UTC, 04:00 in Berlin"' in body
    assert 'aria-label="Sunday 03:00 UTC, 05:00 in Berlin"' in body


def test_the_coming_seven_days_say_what_runs_and_why_nothing_does(alices, workspace, catalogue_rows):
    shown = text(alices.get(url(workspace))).partition("Next 7 days")[2]
    assert "Today 24 Nov 22:00 23:00 in Berlin priority hour Kubernetes 1.34.8 to 1.34.11." in shown
    assert "Wed 25 Nov 02:00 03:00 in Berlin Operating system updates on 3 hosts." in shown
    assert "Sat 28 Nov No window." in shown
    assert "Mon 30 Nov 02:00" in shown
    assert "Tue 1 Dec" not in shown


def test_an_enforced_advisory_is_said_to_apply_whatever_the_flags_say(alices, workspace, catalogue_rows):
    MaintenancePlan.objects.update(compute_auto_update=False)
    Advisory.objects.create(name="DSA-6001", severity="critical", packages=["openssl"], enforced=True)
    assert "Security updates DSA-6001 on 3 hosts" in text(alices.get(url(workspace)))


def test_hosts_that_cannot_be_managed_are_named(alices, workspace, catalogue_rows):
    Host.objects.filter(name="ledger-prod-w3").update(ansible={})
    shown = text(alices.get(url(workspace)))
    assert "Installs package updates on 2 of 3 hosts" in shown
    assert "Left out, because they cannot be managed: ledger-prod-w3." in shown


def test_bare_metal_has_no_kubernetes_switch(alices, metal, catalogue_rows):
    answer = alices.get(url(metal))
    assert "kubernetes_auto" not in answer.content.decode()
    assert "Kubernetes patch releases" not in text(answer)


def test_a_plan_that_is_off_says_since_when_by_whom_and_that_nothing_runs(alices, workspace, catalogue_rows):
    MaintenancePlan.objects.update(enabled=False, disabled_by="M. Osei", disabled_at=cast.NOW - timedelta(days=1))
    shown = text(alices.get(url(workspace)))
    assert "Off since Mon 23 Nov 14:32 UTC, by M. Osei." in shown
    assert "Nothing runs. Maintenance is off. An administrator can switch it on." in shown


# --- What if ----------------------------------------------------------------------------------------------------------
def test_the_preview_shows_the_changes_in_words_and_the_days_with_them_and_stores_nothing(
    bobs, workspace, catalogue_rows
):
    answer = bobs.post(url(workspace, preview=True), form(day_3="4", kubernetes_auto="off"), **HTMX)
    assert answer.status_code == 200
    assert "2 unsaved changes. Thursday 02:00 to 04:00. Kubernetes patch releases on to off." in text(answer)
    assert "Thu 26 Nov 04:00 05:00 in Berlin was 02:00, not saved" in text(answer)
    assert "Kubernetes 1.34.8 to 1.34.11" not in text(answer)
    assert "<html" not in answer.content.decode()
    assert stored(workspace) == UNCHANGED
    assert not Event.objects.acts().exists()


def test_the_preview_of_switching_off_without_the_right_says_what_would_happen(bobs, workspace, catalogue_rows):
    answer = bobs.post(url(workspace, preview=True), form(enabled="off", day_3="4"), **HTMX)
    assert "1 unsaved change. Thursday 02:00 to 04:00." in text(answer)
    assert DISABLE_REFUSED in text(answer)


def test_the_preview_of_something_wrong_is_an_answer_too(bobs, workspace, catalogue_rows):
    answer = bobs.post(url(workspace, preview=True), form(day_3="24"), **HTMX)
    assert answer.status_code == 422
    assert "Not complete. “24”: Choose an hour from 00 to 23." in text(answer)


# --- Saving -----------------------------------------------------------------------------------------------------------
def test_saving_stores_the_whole_plan_with_an_event(bobs, workspace, catalogue_rows):
    changed = form(day_3="4", day_5="5", day_0="none", priority_hour="4", compute_auto="off", kubernetes_auto="off")
    answer = bobs.post(url(workspace), changed)
    assert answer.status_code == 303
    assert answer.headers["Location"] == url(workspace)
    assert stored(workspace) == (2, True, (None, 2, 2, 4, 2, 5, None), 4, False, False)
    event = Event.objects.acts().get()
    assert (event.actor_name, event.action) == ("Bob Berger", "maintenance.changed")
    assert "Thursday 02:00 to 04:00" in event.summary
    assert "Schedule of ledger-prod saved." in toasts(bobs.get(url(workspace)))


def test_a_switch_that_is_off_sends_only_its_hidden_off(bobs, workspace, catalogue_rows):
    both = {**form(), "compute_auto": ["off", "on"], "kubernetes_auto": ["off"]}
    assert bobs.post(url(workspace), both).status_code == 303
    assert stored(workspace) == (2, True, (2, 2, 2, 2, 2, None, None), 22, True, False)


def test_saving_without_a_change_stores_nothing_and_grows_no_version(bobs, workspace, catalogue_rows):
    assert bobs.post(url(workspace), form()).status_code == 303
    assert stored(workspace) == UNCHANGED
    assert not Event.objects.acts().exists()


def test_bare_metal_is_saved_without_the_kubernetes_switch(alices, metal, catalogue_rows):
    assert alices.post(url(metal), form(kubernetes_auto=None, day_3="4")).status_code == 303
    assert stored(metal) == (2, True, (2, 2, 2, 4, 2, None, None), 22, True, None)


def test_the_kubernetes_switch_on_bare_metal_is_wrong(alices, metal, catalogue_rows):
    answer = alices.post(url(metal), form())
    assert answer.status_code == 422
    assert "Only Kubernetes workspaces have this block." in text(answer)
    assert stored(metal)[0] == 1


def test_htmx_gets_the_page_it_was_sent_to_with_the_message(bobs, workspace, catalogue_rows):
    answer = bobs.post(url(workspace), form(day_3="4"), follow=True, **HTMX)
    assert answer.redirect_chain == [(url(workspace), 303)]
    assert checked(answer)["day_3"] == "4"
    assert "Schedule of ledger-prod saved." in toasts(answer)


# --- The master switch (M6) -------------------------------------------------------------------------------------------
def test_an_administrator_switches_it_off_and_is_named(alices, workspace, catalogue_rows):
    assert alices.post(url(workspace), form(enabled="off")).status_code == 303
    plan = MaintenancePlan.objects.get(workspace=workspace)
    assert (plan.enabled, plan.disabled_by, plan.disabled_at) == (False, "Alice Ahrens", cast.NOW)
    assert "Off since today 14:32 UTC, by Alice Ahrens." in text(alices.get(url(workspace)))


def test_without_the_right_the_switch_is_disabled_with_the_reason(bobs, workspace, catalogue_rows):
    answer = bobs.get(url(workspace))
    switch = re.search(
        r'<input class="switch"[^>]*role="switch"[^>]*aria-labelledby="m-l"[^>]*>', answer.content.decode()
    )
    assert " disabled" in switch[0]
    assert " checked" in switch[0]
    assert "name=" not in switch[0]
    assert '<input type="hidden" name="enabled" value="on">' in answer.content.decode()
    assert "Only an administrator may switch it off" in text(answer)


def test_a_forged_off_is_stored_as_on_the_rest_is_kept_and_it_says_so(bobs, workspace, catalogue_rows):
    answer = bobs.post(url(workspace), form(enabled="off", day_3="4"), follow=True)
    assert stored(workspace) == (2, True, (2, 2, 2, 4, 2, None, None), 22, True, True)
    assert DISABLE_REFUSED in toasts(answer)
    assert DISABLE_REFUSED in Event.objects.acts().get().summary


def test_a_forged_off_alone_leaves_an_event_too(bobs, workspace, catalogue_rows):
    answer = bobs.post(url(workspace), form(enabled="off"), follow=True)
    assert stored(workspace) == UNCHANGED
    assert DISABLE_REFUSED in toasts(answer)
    assert DISABLE_REFUSED in Event.objects.acts().get().summary


def test_what_an_administrator_switched_off_stays_off_when_an_operator_saves(bobs, workspace, catalogue_rows):
    MaintenancePlan.objects.update(enabled=False, disabled_by="Alice Ahrens", disabled_at=cast.NOW)
    page = bobs.get(url(workspace))
    assert '<input type="hidden" name="enabled" value="off">' in page.content.decode()
    assert "Only an administrator may switch it on again" in text(page)
    assert bobs.post(url(workspace), form(enabled="off", day_3="4")).status_code == 303
    assert stored(workspace) == (2, False, (2, 2, 2, 4, 2, None, None), 22, True, True)
    answer = bobs.post(url(workspace), form(enabled="on", day_3="4", version="2"), follow=True)
    assert stored(workspace)[:2] == (2, False)
    assert "Maintenance stays off: an administrator switched it off" in toasts(answer)


# --- Wrong forms ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("changes", "title", "sentence"),
    [
        ({"day_2": "24"}, "Wednesday", "“24”: Choose an hour from 00 to 23."),
        ({"day_2": "-1"}, "Wednesday", "“-1”: Choose an hour from 00 to 23."),
        ({"day_2": "2.0"}, "Wednesday", "“2.0”: Choose an hour from 00 to 23."),
        ({"day_2": "true"}, "Wednesday", "“true”: Choose an hour from 00 to 23."),
        ({"day_2": "two"}, "Wednesday", "“two”: Choose an hour from 00 to 23."),
        ({"day_2": "٢"}, "Wednesday", "“٢”: Choose an hour from 00 to 23."),
        ({"day_2": ""}, "Wednesday", "“”: Choose an hour from 00 to 23."),
        ({"day_2": None}, "Wednesday", "Nothing was sent. Choose a value."),
        ({"day_7": "3"}, "day_7", "“3”: There is no such day. Days are Monday to Sunday."),
        ({"day_x": "3"}, "day_x", "“3”: There is no such day. Days are Monday to Sunday."),
        ({"priority_hour": "24"}, "Priority hour", "“24”: Choose an hour from 00 to 23."),
        ({"priority_hour": "none"}, "Priority hour", "“none”: Choose an hour from 00 to 23."),
        ({"priority_hour": None}, "Priority hour", "Nothing was sent. Choose a value."),
        ({"enabled": None}, "Maintenance", "Nothing was sent. Choose a value."),
        ({"enabled": "yes"}, "Maintenance", "“yes”: Choose on or off."),
        ({"compute_auto": None}, "Operating system", "Nothing was sent. Choose a value."),
        ({"compute_auto": "1"}, "Operating system", "“1”: Choose on or off."),
        ({"kubernetes_auto": None}, "Kubernetes patch releases", "Nothing was sent. Choose a value."),
        ({"version": None}, "version", "The form does not say which schedule it was made from. Load the page again."),
        ({"version": "x"}, "version", "The form does not say which schedule it was made from. Load the page again."),
    ],
)
def test_a_wrong_form_stores_nothing_says_what_to_enter_and_keeps_the_rest(
    alices, workspace, catalogue_rows, changes, title, sentence
):
    answer = alices.post(url(workspace), form(day_4="9", **changes))
    assert answer.status_code == 422
    assert f"Nothing was saved {title} : {sentence}" in text(answer)
    assert '<div class="error-summary" tabindex="-1"' in answer.content.decode()
    assert checked(answer)["day_4"] == "9"
    assert stored(workspace) == UNCHANGED
    assert not Event.objects.acts().exists()


def test_markup_in_a_field_is_shown_as_text(alices, workspace, catalogue_rows):
    body = alices.post(url(workspace), form(day_2="<script>", **{"day_<b>": "1"})).content.decode()
    assert "<script>”" not in body
    assert "day_<b>" not in body


# --- Two people at once (M7) ------------------------------------------------------------------------------------------
def saved_meanwhile(client, bob, alice, workspace):
    """bob has the page open at version 1 while alice saves Thursday 05:00 and switches operating system updates off."""
    cast.sign_in(client, alice)
    assert client.post(url(workspace), form(day_3="5", compute_auto="off")).status_code == 303
    return cast.sign_in(client, bob)


def test_a_stale_form_is_not_stored_and_shows_both_values(client, bob, alice, workspace, catalogue_rows):
    bobs = saved_meanwhile(client, bob, alice, workspace)
    answer = bobs.post(url(workspace), form(day_3="4", day_5="6"))
    assert answer.status_code == 409
    shown = text(answer)
    assert "Somebody else saved this schedule meanwhile. Yours is not saved" in shown
    assert "Alice Ahrens saved " in shown
    assert "Thursday 05:00 UTC 04:00 UTC" in shown
    assert "Saturday no window 06:00 UTC" in shown
    assert "Operating system off on" in shown
    assert "Saving shows both first" not in shown
    assert stored(workspace) == (2, True, (2, 2, 2, 5, 2, None, None), 22, False, True)


def test_after_a_conflict_nothing_typed_is_lost_and_saving_again_puts_it_on_top(
    client, bob, alice, workspace, catalogue_rows
):
    bobs = saved_meanwhile(client, bob, alice, workspace)
    answer = bobs.post(url(workspace), form(day_3="4", day_5="6"))
    assert checked(answer)["day_3"] == "4"
    assert checked(answer)["day_5"] == "6"
    assert 'name="version" value="2"' in answer.content.decode()
    assert bobs.post(url(workspace), form(day_3="4", day_5="6", version="2")).status_code == 303
    assert stored(workspace) == (3, True, (2, 2, 2, 4, 2, 6, None), 22, True, True)


def test_a_stale_form_that_is_also_wrong_does_not_lose_the_conflict(client, bob, alice, workspace, catalogue_rows):
    bobs = saved_meanwhile(client, bob, alice, workspace)
    answer = bobs.post(url(workspace), form(day_3="24"))
    assert answer.status_code == 422
    assert 'name="version" value="1"' in answer.content.decode()
    assert bobs.post(url(workspace), form(day_3="4")).status_code == 409
    assert stored(workspace)[2][3] == 5


def test_a_stale_form_with_the_same_values_says_that_nothing_differs(client, bob, alice, workspace, catalogue_rows):
    bobs = saved_meanwhile(client, bob, alice, workspace)
    answer = bobs.post(url(workspace), form(day_3="5", compute_auto="off"))
    assert answer.status_code == 409
    assert "Yours and theirs are the same." in text(answer)


def test_the_preview_of_a_stale_form_warns(client, bob, alice, workspace, catalogue_rows):
    bobs = saved_meanwhile(client, bob, alice, workspace)
    answer = bobs.post(url(workspace, preview=True), form(day_3="4"), **HTMX)
    assert "Somebody else has saved since this page was loaded. Saving shows both first." in text(answer)


# --- Cost -------------------------------------------------------------------------------------------------------------
def test_the_page_of_thirty_hosts_costs_ten_queries_and_less_than_80_kb(
    alices, catalogue_rows, django_assert_max_num_queries
):
    large = cast.kubernetes("large", hosts=30)
    with django_assert_max_num_queries(12):
        answer = alices.get(url(large))
    assert len(answer.content) < 60_000


def test_the_preview_costs_seven_queries_and_saving_a_change_twelve(
    bobs, workspace, catalogue_rows, django_assert_max_num_queries
):
    with django_assert_max_num_queries(9):
        bobs.post(url(workspace, preview=True), form(day_3="4"), **HTMX)
    with django_assert_max_num_queries(12):
        assert bobs.post(url(workspace), form(day_3="4")).status_code == 303


def test_a_workspace_without_windows_says_so(alices, workspace, catalogue_rows):
    nothing = {f"day_{day}": "none" for day in range(7)}
    assert alices.post(url(workspace), form(**nothing)).status_code == 303
    assert "Next window None no weekday has a window" in text(alices.get(url(workspace)))
    assert Workspace.objects.get(pk=workspace.pk).maintenance_plan.as_rule().hours == (None,) * 7
