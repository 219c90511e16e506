"""Judging a workspace: which conditions it has, and which reason asks for a person first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.rules.health_cases import DOWN, FROZEN, METAL, REFUSED, SILENT, UNSEEN, W1, W2, WELL, judge, seen, values
from workspaces.rules.health_seen import HostSeen


# --- Which conditions there are ---------------------------------------------------------------------------------------
def test_a_healthy_workspace_is_true_throughout_and_nobody_has_to_look() -> None:
    verdict = judge(WELL)
    assert {condition.type: condition.value for condition in verdict.conditions} == {
        "control_plane": "true",
        "hosts": "true",
        "credentials": "true",
    }
    assert (verdict.attention, verdict.tone) == ("", "")


def test_bare_metal_has_no_control_plane_to_judge() -> None:
    assert values(METAL) == {"hosts": "true"}
    assert judge(METAL).attention == ""


def test_bare_hosts_in_a_cloud_have_servers_and_credentials() -> None:
    assert values(replace(METAL, hosts=(replace(W1, server="running"),))) == {
        "hosts": "true",
        "servers": "true",
        "credentials": "true",
    }


@pytest.mark.parametrize(
    ("changes", "type_"),
    [
        ({"management_trouble": REFUSED}, "control_plane"),
        ({"tenant_trouble": SILENT}, "hosts"),
        ({"provider_trouble": FROZEN}, "servers"),
    ],
)
def test_what_could_not_be_asked_is_never_green_however_well_it_was_before(changes: dict[str, Any], type_: str) -> None:
    verdict = judge(seen(**changes))
    assert {c.type: c.value for c in verdict.conditions}[type_] == "unknown"
    assert verdict.attention
    assert verdict.tone == "warn"


def test_blind_everywhere_means_nothing_is_green() -> None:
    blind = seen(management_trouble=REFUSED, tenant_trouble=SILENT, provider_trouble=FROZEN)
    assert values(blind) == {
        "control_plane": "unknown",
        "hosts": "unknown",
        "servers": "unknown",
        "credentials": "false",
    }
    assert judge(blind).attention == "mgmt-fsn1: The credential was refused."


def test_what_was_never_seen_is_unknown_and_does_not_pass_for_well() -> None:
    fresh = seen(control_plane_status="", running_version="", wanted_version="", hosts=(UNSEEN,))
    assert {**values(fresh), "credentials": ""} == {"control_plane": "unknown", "hosts": "unknown", "credentials": ""}
    assert (judge(fresh).attention, judge(fresh).tone) == ("Kamaji has not been asked about it yet.", "warn")
    assert judge(replace(fresh, operation_open=True)).attention == ""


# --- What asks for a person first -------------------------------------------------------------------------------------
# From the most urgent down; each is removed in turn and the next one speaks.
REASONS: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    ({"state": "error", "state_reason": "Order refused."}, {"state": "active"}, "Order refused.", "bad"),
    (
        {"failed_operation": "Upgrade web failed. Budget."},
        {"failed_operation": ""},
        "Upgrade web failed. Budget.",
        "bad",
    ),
    ({"management_trouble": REFUSED}, {"management_trouble": None}, "mgmt-fsn1: The credential was refused.", "warn"),
    ({"tenant_trouble": SILENT}, {"tenant_trouble": None}, "tenant web does not answer.", "warn"),
    (
        {"hosts": (replace(W1, kubelet_version="1.34.8"), DOWN)},
        {"hosts": (replace(W1, kubelet_version="1.34.8"), W2)},
        "Not ready: web-2: Kubelet stopped posting node status.",
        "bad",
    ),
    ({"provider_trouble": FROZEN}, {"provider_trouble": None}, "kestrel: The token was refused.", "warn"),
    ({}, {"hosts": (W1, W2)}, "1 of 2 hosts still run 1.34.8, the control plane 1.35.7.", "warn"),
    ({}, {}, "", ""),
]


def test_the_most_urgent_reason_speaks_and_the_next_one_after_it() -> None:
    worst = WELL
    for broken, *_ in REASONS:
        worst = replace(worst, **broken)
    spoken = []
    for _, mended, *_ in REASONS:
        verdict = judge(worst)
        spoken.append((verdict.attention, verdict.tone))
        worst = replace(worst, **mended)
    assert spoken == [(attention, tone) for _, _, attention, tone in REASONS]


@pytest.mark.parametrize(
    ("state", "reason", "attention", "tone"),
    [
        ("error", "", "In error.", "bad"),
        ("gated", "Seeding has not converged.", "Seeding has not converged.", "warn"),
        ("gated", "", "Reconciliation has stopped changes.", "warn"),
    ],
)
def test_a_state_that_asks_for_a_person_says_why(state: str, reason: str, attention: str, tone: str) -> None:
    verdict = judge(seen(state=state, state_reason=reason, hosts=(W1, DOWN)))
    assert (verdict.attention, verdict.tone) == (attention, tone)


@pytest.mark.parametrize("state", ["provisioning", "deletion_scheduled", "deleting", "deleted"])
def test_a_workspace_that_comes_or_goes_asks_for_nobody_whatever_is_down(state: str) -> None:
    failed = "" if state == "deleting" else "Upgrade failed."
    leaving = seen(state=state, hosts=(W1, DOWN), tenant_trouble=SILENT, failed_operation=failed)
    assert judge(leaving).attention == ""


def test_a_deletion_that_has_failed_asks_for_a_person() -> None:
    verdict = judge(seen(state="deleting", failed_operation="Delete ledger-prod failed."))
    assert (verdict.attention, verdict.tone) == ("Delete ledger-prod failed.", "bad")


@pytest.mark.parametrize(
    ("changes", "tone"),
    [
        ({"control_plane_status": "NotReady"}, "bad"),
        ({"control_plane_status": "Gone", "wanted_version": ""}, "bad"),
        ({"wanted_version": "1.36.2"}, "warn"),
        ({"paused": True}, "warn"),
        ({"hosts": ()}, "warn"),
    ],
)
def test_what_is_down_is_bad_and_what_moves_or_is_unknown_is_a_warning(changes: dict[str, Any], tone: str) -> None:
    verdict = judge(seen(**changes))
    assert verdict.attention
    assert verdict.tone == tone


# --- An open operation ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "changes",
    [
        {"control_plane_status": "Upgrading", "wanted_version": "1.36.2"},
        {"hosts": (W1, DOWN)},
        {"hosts": (W1, replace(W2, kubelet_version="1.34.8"))},
    ],
)
def test_an_open_operation_explains_what_moves(changes: dict[str, Any]) -> None:
    assert judge(seen(**changes)).attention
    explained = judge(seen(**changes, operation_open=True))
    assert explained.attention == ""
    assert [c.value for c in explained.conditions] == [c.value for c in judge(seen(**changes)).conditions]


def test_an_open_operation_does_not_explain_blindness() -> None:
    verdict = judge(seen(tenant_trouble=SILENT, operation_open=True))
    assert (verdict.attention, verdict.tone) == ("tenant web does not answer.", "warn")


# --- Half-upgraded ----------------------------------------------------------------------------------------------------
def test_a_new_control_plane_with_old_hosts_is_said_with_both_versions() -> None:
    half = seen(hosts=(W1, replace(W2, kubelet_version="1.34.11"), HostSeen("web-3", True, "1.34.11", "")))
    assert judge(half).attention == "2 of 3 hosts still run 1.34.11, the control plane 1.35.7."
    assert judge(half).tone == "warn"


def test_a_host_whose_kubelet_was_never_seen_is_not_called_old() -> None:
    assert judge(seen(hosts=(W1, replace(W2, kubelet_version="")))).attention == ""


def test_without_a_known_version_nothing_is_called_half_upgraded() -> None:
    unseen = seen(control_plane_status="", wanted_version="", running_version="")
    assert judge(unseen).attention == "Kamaji has not been asked about it yet."
