"""The version catalogue: refused in words what nobody could follow, pointed out what is wrong, sorted as numbers."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests import cast
from tests.admin.forms import address, errors, last, trail, version
from tests.views.stopped_clock import clock  # noqa: F401
from workspaces.models import KubernetesVersion, Workspace

ADD = "/admin/workspaces/kubernetesversion/add/"


def said(answer: Any) -> list[str]:
    """The warnings after a save."""
    return [str(message) for message in answer.context["messages"] if message.level_tag == "warn"]


def test_a_version_is_added_with_an_event(as_root: Client) -> None:
    assert as_root.post(ADD, version()).status_code == 302
    assert KubernetesVersion.objects.get(version="1.36.4").active
    assert (last().action, last().summary) == ("kubernetes_version.added", "Added Kubernetes version 1.36.4")
    assert last().changes["upgrade_from"] == [None, ">=1.35.4 <1.37.0"]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"upgrade_from": "whatever"}, "“whatever” is not understood. Write any, 1.34.5, 1.34.x or bounds"),
        ({"upgrade_from": ">=1.36.0 <1.35.0"}, "can never hold: no version satisfies all of it."),
        ({"version": "latest"}, "“latest” is not a version. Write it like 1.35.4."),
        ({"version": "1.36.4-nightly.3"}, "“1.36.4-nightly.3” is not a pre-release the catalogue knows."),
        ({"withdrawn_reason": "Hangs"}, "Empty this: the version is active. Or withdraw it."),
    ],
)
def test_what_the_rules_could_not_follow_is_refused_in_words(
    as_root: Client, fields: dict[str, Any], sentence: str
) -> None:
    assert sentence in errors(as_root.post(ADD, version(**fields)))
    assert not KubernetesVersion.objects.exists()
    assert trail() == []


def test_a_change_keeps_before_and_after(as_root: Client, catalogue_rows: Any) -> None:
    row = KubernetesVersion.objects.get(version="1.35.7")
    data = version(version="1.35.7", upgrade_from=row.upgrade_from, end_of_life_on="2027-05-31")
    assert as_root.post(address("kubernetesversion", row), data).status_code == 302
    assert last().summary == "Changed end of life on of Kubernetes version 1.35.7"
    assert trail() == [("kubernetes_version.changed", {"end_of_life_on": ["2027-06-30", "2027-05-31"]})]


def test_a_save_that_changes_nothing_leaves_no_event(as_root: Client, catalogue_rows: Any) -> None:
    row = KubernetesVersion.objects.get(version="1.35.7")
    data = version(version="1.35.7", upgrade_from=row.upgrade_from, end_of_life_on="2027-06-30")
    assert as_root.post(address("kubernetesversion", row), data).status_code == 302
    assert trail() == []


def test_a_version_is_withdrawn_with_a_reason_only(as_root: Client, catalogue_rows: Any) -> None:
    row = KubernetesVersion.objects.get(version="1.35.7")
    data = version(version="1.35.7", upgrade_from=row.upgrade_from, end_of_life_on="2027-06-30")
    del data["active"]
    assert "Say why the version is withdrawn" in errors(as_root.post(address("kubernetesversion", row), data))
    data |= {"withdrawn_reason": "Volume detach can hang."}
    assert as_root.post(address("kubernetesversion", row), data).status_code == 302
    assert trail() == [
        (
            "kubernetes_version.changed",
            {"active": [True, False], "withdrawn_reason": ["", "Volume detach can hang."]},
        )
    ]


def test_a_version_that_is_not_offered_yet_needs_no_reason(as_root: Client) -> None:
    data = version()
    del data["active"]
    assert as_root.post(ADD, data).status_code == 302


def test_what_is_wrong_in_the_whole_catalogue_is_said_after_saving(as_root: Client, catalogue_rows: Any) -> None:
    ended = "Support of 1.33.9 ended on 31 Oct 2026 and it is still offered."
    answer = as_root.post(ADD, version(upgrade_from="1.35.5 || 1.32.x"), follow=True)
    assert said(answer) == [
        "1.36.4 accepts 1.35.5, which is not in the catalogue. Add 1.35.5, or name another source.",
        "1.36.4 accepts 1.32.x: no lower version of the catalogue is one. The nearest lower is 1.36.2.",
        "No active version leads to 1.36.4 in one hop: it accepts 1.35.5, or 1.32.x, and Kamaji goes one minor at a "
        "time. Widen its upgrade.from, or activate a version between.",
        "No active version leads on from 1.36.2, although 1.36.4 is offered: workspaces stay on it. "
        "Let the upgrade.from of a higher patch or of the next minor admit 1.36.2.",
        f"{ended} Withdraw it with the reason, or correct the date.",
    ]
    as_root.post(address("kubernetesversion", KubernetesVersion.objects.get(version="1.36.4"), "delete"), {"post": "y"})
    assert [one[: len(ended)] for one in said(as_root.post(ADD, version(upgrade_from="1.36.x"), follow=True))] == [
        ended
    ]


def test_of_many_findings_ten_are_said_and_how_many_more_there_are(as_root: Client) -> None:
    for patch in range(12):
        KubernetesVersion.objects.create(version=f"1.35.{patch}", active=True, end_of_life_on="2026-01-31")
    messages = said(as_root.post(ADD, version(upgrade_from="1.35.x"), follow=True))
    assert len(messages) == 11
    assert messages[-1] == "2 more are on the page of versions in the console."


@pytest.mark.parametrize(
    ("fields", "field", "sentence"),
    [
        ({"upgrade_from": "1.35.7 || 1.36.4"}, "upgrade_from", "1.36.4 accepts itself: 1.36.4 → 1.36.4."),
        ({"upgrade_from": "1.37.1"}, "upgrade_from", "1.36.4 accepts 1.37.1, which is higher: 1.37.1 → 1.36.4."),
        ({"version": "1.36.2"}, "version", "Kubernetes version with this Version already exists."),
        ({"version": "v1.36.2"}, "version", "Kubernetes version with this Version already exists."),
        (
            {"released_on": "2026-10-13", "end_of_life_on": "2026-10-12"},
            "end_of_life_on",
            "Support of 1.36.4 ends on 12 Oct 2026, before its release on 13 Oct 2026.",
        ),
    ],
)
def test_an_error_of_the_catalogue_is_refused_at_its_field(
    as_root: Client, catalogue_rows: Any, fields: dict[str, Any], field: str, sentence: str
) -> None:
    answer = as_root.post(ADD, version(**fields))
    found = answer.context["adminform"].form.errors
    assert list(found) == [field]
    assert len(found[field]) == 1
    assert found[field][0].startswith(sentence)
    assert KubernetesVersion.objects.count() == 8


def test_a_way_around_through_another_version_is_refused_and_named(as_root: Client) -> None:
    KubernetesVersion.objects.create(version="1.36.2", active=True, upgrade_from="1.35.7")
    row = KubernetesVersion.objects.create(version="1.35.7", active=True)
    data = version(version="1.35.7", upgrade_from="1.36.2")
    assert "1.35.7 → 1.36.2 → 1.35.7." in errors(as_root.post(address("kubernetesversion", row), data))


def test_an_error_at_the_row_itself_is_refused_also_where_it_was_there_before(as_root: Client) -> None:
    row = KubernetesVersion.objects.create(version="1.35.7", active=True, upgrade_from="1.35.7")
    data = version(version="1.35.7", upgrade_from="1.35.7", notes="Kept.")
    assert "1.35.7 accepts itself" in errors(as_root.post(address("kubernetesversion", row), data))


def test_errors_that_are_there_already_can_be_mended_one_by_one(as_root: Client) -> None:
    first = KubernetesVersion.objects.create(version="1.34.1", active=True, upgrade_from="1.34.1")
    KubernetesVersion.objects.create(version="1.35.7", active=True, upgrade_from="1.35.7")
    data = version(version="1.34.1", upgrade_from="any")
    answer = as_root.post(address("kubernetesversion", first), data, follow=True)
    assert said(answer)[0].startswith("1.35.7 accepts itself: 1.35.7 → 1.35.7.")
    assert KubernetesVersion.objects.get(version="1.34.1").upgrade_from == "any"


def test_a_version_is_stored_without_the_v(as_root: Client) -> None:
    assert as_root.post(ADD, version(version="v1.36.4")).status_code == 302
    assert KubernetesVersion.objects.get().version == "1.36.4"


def test_the_list_says_how_many_workspaces_run_a_version_and_leads_to_them(
    as_root: Client, catalogue_rows: Any, workspace: Any
) -> None:
    cast.kubernetes("second")
    Workspace.objects.filter(pk=cast.kubernetes("gone").pk).update(state="deleted")
    cast.kubernetes("other", version="1.34.11")
    as_root.get("/admin/workspaces/kubernetesversion/")
    with CaptureQueriesContext(connection) as queries:
        answer = as_root.get("/admin/workspaces/kubernetesversion/")
    assert (
        sum('"workspaces_workspace"' in query["sql"] for query in queries if "kubernetesversion" in query["sql"]) == 1
    )
    shown = {row.version: row.running for row in answer.context["cl"].result_list}
    assert (shown["1.34.8"], shown["1.34.11"], shown["1.35.7"]) == (2, 1, 0)
    (link,) = re.findall(r'<td class="field-workspaces"><a href="([^"]+)">2</a>', answer.content.decode())
    listed = as_root.get(link.replace("&amp;", "&")).context["cl"].result_list
    assert sorted(row.name for row in listed) == ["ledger-prod", "second"]


def test_a_version_is_deleted_with_an_event(as_root: Client, catalogue_rows: Any) -> None:
    row = KubernetesVersion.objects.get(version="1.37.1")
    assert as_root.post(address("kubernetesversion", row, "delete"), {"post": "yes"}).status_code == 302
    assert not KubernetesVersion.objects.filter(version="1.37.1").exists()
    assert last().summary == "Deleted Kubernetes version 1.37.1"


def test_rows_deleted_from_the_list_leave_an_event_each_under_one_request(as_root: Client, catalogue_rows: Any) -> None:
    chosen = [str(row.pk) for row in KubernetesVersion.objects.filter(version__startswith="1.35")]
    as_root.post(
        "/admin/workspaces/kubernetesversion/",
        {"action": "delete_selected", "_selected_action": chosen, "post": "yes"},
    )
    assert [action for action, _ in trail()] == ["kubernetes_version.deleted"] * 3


def test_the_list_sorts_versions_as_numbers(as_root: Client, catalogue_rows: Any) -> None:
    for column in ("1", "-1"):
        listed = as_root.get("/admin/workspaces/kubernetesversion/", {"o": column}).context["cl"].result_list
        shown = [row.version for row in listed if row.version.startswith("1.34")]
        assert shown == (["1.34.8", "1.34.11"] if column == "1" else ["1.34.11", "1.34.8"])
