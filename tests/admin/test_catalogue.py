"""The version catalogue: refused in words what nobody could follow, and sorted as numbers."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests.admin.forms import address, errors, last, trail, version
from workspaces.models import KubernetesVersion

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


def test_a_range_that_matches_nothing_in_the_catalogue_is_pointed_out(as_root: Client, catalogue_rows: Any) -> None:
    answer = as_root.post(ADD, version(upgrade_from="1.35.5 || 1.32.x"), follow=True)
    assert said(answer) == [
        "No version of the catalogue leads to 1.36.4: nothing in it matches “1.35.5 || 1.32.x”.",
    ]
    assert said(as_root.post(ADD, version(version="1.36.5", upgrade_from="1.36.x"), follow=True)) == []
    assert said(as_root.post(ADD, version(version="1.30.0", upgrade_from="1.29.x"), follow=True)) == []


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
