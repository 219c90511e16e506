"""Refusals, targets, multi-hop plans and patch targets."""

from dataclasses import replace
from datetime import date

import pytest

from workspaces.rules.refusal import Refused
from workspaces.rules.upgrades import (
    CatalogueVersion,
    Hop,
    NotOffered,
    Situation,
    find,
    patch_target,
    plan,
    recommended,
    refuse_upgrade,
    route,
    targets,
)

CATALOGUE = [
    CatalogueVersion("1.33.9", active=True, upgrade_from="1.32.x || 1.33.x"),
    CatalogueVersion("1.34.5", active=True, upgrade_from="1.33.x || 1.34.x"),
    CatalogueVersion("1.34.8", active=True, upgrade_from="1.33.x || 1.34.x"),
    CatalogueVersion("1.34.11", active=True, upgrade_from="1.33.x || 1.34.x", security=True),
    CatalogueVersion("1.35.4", active=True, upgrade_from=">=1.34.8 <1.36.0"),
    CatalogueVersion("1.35.6", active=False, upgrade_from="any", withdrawn_reason="volume detach can hang."),
    CatalogueVersion("1.35.7", active=True, upgrade_from=">=1.34.8 <1.36.0"),
    CatalogueVersion("1.36.0-rc.1", active=True, upgrade_from=">=1.35.4"),
    CatalogueVersion("1.36.4", active=True, upgrade_from=">=1.35.4"),
    CatalogueVersion("1.37.1", active=True, upgrade_from="any"),
    CatalogueVersion("1.38.0", active=False),
]
AT_1_34_8 = Situation(
    workspace_type="kubernetes",
    state="active",
    running_version="1.34.8",
    kubelet_versions=("v1.34.8", "v1.34.8"),
    kamaji_max="1.36",
    control_plane_wanted="v1.34.8",
)
HALF_UPGRADED = replace(
    AT_1_34_8, running_version="1.35.7", control_plane_wanted="v1.35.7", kubelet_versions=("v1.35.7", "v1.34.8")
)


def refusal(target, situation=AT_1_34_8, **changes):
    refused = refuse_upgrade(replace(situation, **changes), target, CATALOGUE)
    return refused and refused.code


def message(target, situation=AT_1_34_8, **changes):
    return refuse_upgrade(replace(situation, **changes), target, CATALOGUE).message


@pytest.mark.parametrize("target", ["1.34.11", "1.35.4", "1.35.7", "v1.35.7"])
def test_an_eligible_version_is_not_refused(target):
    assert refusal(target) is None


@pytest.mark.parametrize(
    ("target", "changes", "code", "sentence"),
    [
        (
            "1.35.7",
            {"workspace_type": "baremetal", "running_version": None, "kubelet_versions": ()},
            "not_kubernetes",
            "This workspace has no Kubernetes. Its hosts are updated in maintenance windows.",
        ),
        (
            "1.35.7",
            {"state": "deletion_scheduled"},
            "not_active",
            "The deletion of the workspace is scheduled. Undo it first.",
        ),
        (
            "1.35.7",
            {"state": "gated"},
            "gated",
            "Reconciliation holds changes back until the workspace has converged. It lifts the gate by itself.",
        ),
        ("1.35.8", {}, "unknown_version", "“1.35.8” is not in the version catalogue."),
        ("latest", {}, "unknown_version", "“latest” is not in the version catalogue."),
        ("1.35.6", {}, "inactive_version", "Withdrawn by the operator: volume detach can hang."),
        ("1.38.0", {}, "inactive_version", "1.38.0 is known, but not active in the catalogue."),
        ("1.34.8", {}, "same_version", "The workspace already runs 1.34.8."),
        (
            "1.34.5",
            {},
            "not_reachable",
            "1.34.5 is lower than 1.34.8, which runs now. Kamaji does not go back.",
        ),
        (
            "1.36.4",
            {},
            "not_reachable",
            "Not reachable in one hop from 1.34.8. Kamaji goes one minor at a time: 1.35 is next.",
        ),
        (
            "1.35.7",
            {"running_version": "1.34.5"},
            "not_reachable",
            "Not reachable in one hop. It accepts 1.34.8 or later, below 1.36.0; this workspace runs 1.34.5.",
        ),
        (
            "1.37.1",
            {"running_version": "1.36.4", "control_plane_wanted": None},
            "not_reachable",
            "Kamaji in this management cluster accepts versions up to 1.36. "
            "The operator raises the limit after updating Kamaji.",
        ),
        (
            "1.34.11",
            {"kamaji_max": ""},
            "not_reachable",
            "Kamaji in this management cluster accepts versions up to a limit that is not configured. "
            "The operator raises the limit after updating Kamaji.",
        ),
        (
            "1.34.11",
            {"control_plane_wanted": "v1.35.7"},
            "not_reachable",
            "The control plane has been asked for 1.35.7 already. Kamaji does not go back to 1.34.11.",
        ),
        (
            "1.35.4",
            {"kubelet_versions": ("v1.35.7", "v1.34.8")},
            "not_reachable",
            "A host runs kubelet 1.35.7. A kubelet must not be newer than its control plane.",
        ),
        (
            "1.35.7",
            {"running_version": None},
            "not_reachable",
            "The running version is not known yet. Reconciliation reads it.",
        ),
        (
            "1.35.7",
            {"open_operation": ("4f1c", "Order host web-3")},
            "operation_running",
            "Order host web-3 is running. Wait for it to end, or stop it.",
        ),
        (
            "1.35.7",
            {"kubelet_versions": ("v1.31.4", "v1.31.2", "v1.34.8")},
            "workers_too_old",
            "1.35.7 needs kubelet 1.32 or later. The kubelet of 2 hosts is older (oldest: 1.31.2). "
            "Bring the workers up to 1.34.8 first.",
        ),
        (
            "1.35.7",
            {"kubelet_versions": ("", "v1.34.8")},
            "workers_too_old",
            "The kubelet version of 1 host is not known. Reconciliation reads it once the host has joined.",
        ),
    ],
)
def test_a_refusal_has_a_code_and_says_why_and_what_clears_it(target, changes, code, sentence):
    assert (refusal(target, **changes), message(target, **changes)) == (code, sentence)


def test_the_refusal_for_a_running_operation_names_it():
    situation = replace(AT_1_34_8, open_operation=("4f1c", "Order host web-3"))
    assert refuse_upgrade(situation, "1.35.7", CATALOGUE).evidence == {"operation": "4f1c"}


def test_the_order_of_checks_is_stable():
    everything = {
        "workspace_type": "baremetal",
        "state": "gated",
        "open_operation": ("4f1c", "Order host web-3"),
        "kubelet_versions": ("v1.31.4",),
    }
    seen = [refusal("9.9.9", **everything)]
    seen.append(refusal("9.9.9", **everything | {"workspace_type": "kubernetes"}))
    active = everything | {"workspace_type": "kubernetes", "state": "active"}
    seen += [refusal(target, **active) for target in ("9.9.9", "1.35.6", "1.34.5", "1.35.7")]
    seen.append(refusal("1.34.8", **active | {"kubelet_versions": ("v1.34.8",)}))
    seen.append(refusal("1.35.7", **active | {"open_operation": None}))
    assert seen == [
        "not_kubernetes",
        "gated",
        "unknown_version",
        "inactive_version",
        "not_reachable",
        "operation_running",
        "same_version",
        "workers_too_old",
    ]


def test_three_minors_behind_is_still_served():
    assert refusal("1.35.7", kubelet_versions=("v1.32.0",)) is None


def test_kamaji_takes_a_later_pre_release_of_the_same_minor_for_lower():
    catalogue = [CatalogueVersion("1.35.5-rc.1", active=True)]
    situation = replace(AT_1_34_8, running_version="1.35.4", control_plane_wanted=None)
    assert refuse_upgrade(situation, "1.35.5-rc.1", catalogue).message == (
        "Kamaji does not look at the patch number and takes 1.35.5-rc.1 for lower than 1.35.4."
    )


def test_an_attempt_that_hangs_on_a_missing_patch_can_be_moved_to_another_patch_of_that_minor():
    assert refusal("1.35.7", control_plane_wanted="v1.35.99") is None
    assert refusal("1.36.4", control_plane_wanted="v1.35.99") == "not_reachable"


def test_an_upgrade_from_that_cannot_be_read_admits_nobody():
    catalogue = [CatalogueVersion("1.35.7", active=True, upgrade_from="from anywhere, really")]
    assert refuse_upgrade(AT_1_34_8, "1.35.7", catalogue).code == "not_reachable"


# --- a half-upgraded cluster ---


def test_asking_again_for_the_version_the_control_plane_already_runs_finishes_the_workers():
    assert refusal("1.35.7", HALF_UPGRADED) is None
    assert targets(HALF_UPGRADED, CATALOGUE).finish_workers == "1.35.7"
    assert plan(HALF_UPGRADED, "1.35.7", CATALOGUE) == [
        Hop("1.35.7", "1.35.7", True, "The control plane is there already; the workers follow.")
    ]


def test_workers_far_behind_may_always_be_brought_up_to_the_running_version():
    assert refusal("1.35.7", HALF_UPGRADED, kubelet_versions=("v1.31.0",)) is None


def test_there_is_nothing_to_finish_once_the_workers_are_there():
    assert refusal("1.35.7", HALF_UPGRADED, kubelet_versions=("v1.35.7",)) == "same_version"
    assert targets(AT_1_34_8, CATALOGUE).finish_workers is None


def test_workers_are_not_finished_while_the_control_plane_is_asked_for_something_else():
    assert refusal("1.35.7", HALF_UPGRADED, control_plane_wanted="v1.36.4") == "same_version"


# --- targets ---


def test_every_other_version_is_either_a_target_or_has_its_reason():
    seen = targets(AT_1_34_8, CATALOGUE)
    assert [row.version for row in seen.eligible] == ["1.35.7", "1.35.4", "1.34.11"]
    assert seen.recommended == "1.35.7"
    step = "Not reachable in one hop from 1.34.8. Kamaji goes one minor at a time: 1.35 is next."
    back = "is lower than 1.34.8, which runs now. Kamaji does not go back."
    assert seen.not_offered == (
        NotOffered("1.38.0", "inactive_version", "1.38.0 is known, but not active in the catalogue."),
        NotOffered(
            "1.37.1",
            "not_reachable",
            "Kamaji in this management cluster accepts versions up to 1.36. "
            "The operator raises the limit after updating Kamaji.",
        ),
        NotOffered("1.36.4", "not_reachable", step, hops=2),
        NotOffered("1.36.0-rc.1", "not_reachable", step, hops=2),
        NotOffered("1.35.6", "inactive_version", "Withdrawn by the operator: volume detach can hang."),
        NotOffered("1.34.5", "not_reachable", f"1.34.5 {back}"),
        NotOffered("1.33.9", "not_reachable", f"1.33.9 {back}"),
    )


def test_a_pre_release_is_eligible_but_not_recommended():
    situation = replace(AT_1_34_8, running_version="1.35.7", control_plane_wanted=None, kubelet_versions=())
    catalogue = [row for row in CATALOGUE if row.version != "1.36.4"]
    seen = targets(situation, catalogue)
    assert [row.version for row in seen.eligible] == ["1.36.0-rc.1"]
    assert seen.recommended is None


def ending(**days):
    """CATALOGUE with the end of life of these versions, "1_35_7" for 1.35.7."""
    ends = {name.removeprefix("v").replace("_", "."): day for name, day in days.items()}
    return [replace(row, end_of_life_on=ends.get(row.version)) for row in CATALOGUE]


@pytest.mark.parametrize("choose", [lambda *known: targets(*known).recommended, recommended])
def test_a_version_that_has_ended_is_recommended_only_when_nothing_else_is_left(choose):
    today, gone = date(2026, 11, 24), date(2026, 11, 23)
    assert choose(AT_1_34_8, ending(v1_35_7=gone), today) == "1.35.4"
    assert choose(AT_1_34_8, ending(v1_35_7=gone, v1_35_4=gone), today) == "1.34.11"
    assert choose(AT_1_34_8, ending(v1_35_7=gone, v1_35_4=gone, v1_34_11=gone), today) == "1.35.7"
    assert choose(AT_1_34_8, ending(v1_35_7=today), today) == "1.35.7"
    assert choose(AT_1_34_8, ending(v1_35_7=gone)) == "1.35.7"


def test_what_has_ended_stays_eligible():
    seen = targets(AT_1_34_8, ending(v1_35_7=date(2020, 1, 1)), date(2026, 11, 24))
    assert [row.version for row in seen.eligible] == ["1.35.7", "1.35.4", "1.34.11"]


def test_versions_are_numbers_and_not_texts():
    catalogue = [CatalogueVersion(f"1.{minor}.0", active=True) for minor in (8, 9, 10, 11)]
    situation = replace(
        AT_1_34_8, running_version="1.9.9", kubelet_versions=("v1.9.9",), kamaji_max="1.11", control_plane_wanted=None
    )
    seen = targets(situation, catalogue)
    assert ([row.version for row in seen.eligible], seen.recommended) == (["1.10.0"], "1.10.0")
    assert [(row.version, row.hops) for row in seen.not_offered] == [("1.11.0", 2), ("1.9.0", 0), ("1.8.0", 0)]
    assert [hop.to for hop in plan(situation, "1.11.0", catalogue)] == ["1.10.0", "1.11.0"]
    patches = [CatalogueVersion(f"1.34.{patch}", active=True) for patch in (10, 9, 11)]
    assert targets(AT_1_34_8, patches).recommended == "1.34.11"
    assert refuse_upgrade(replace(AT_1_34_8, kubelet_versions=("v1.34.10",)), "1.34.9", patches).code == "not_reachable"


@pytest.mark.parametrize(
    ("changes", "hops"),
    [
        ({}, {"1.36.4": 2, "1.36.0-rc.1": 2}),
        ({"kubelet_versions": ("v1.31.0",)}, {}),
        ({"kubelet_versions": ("",)}, {}),
        ({"kubelet_versions": ("v1.35.7",)}, {"1.36.4": 2, "1.36.0-rc.1": 2}),
        ({"control_plane_wanted": "v1.35.99"}, {"1.36.4": 2, "1.36.0-rc.1": 2}),
        ({"running_version": None}, {}),
        ({"running_version": "1.34.5", "control_plane_wanted": None}, {"1.36.4": 3, "1.35.7": 2, "1.35.4": 2}),
    ],
)
def test_what_is_not_offered_says_how_many_hops_lead_there(changes, hops):
    seen = targets(replace(AT_1_34_8, **changes), CATALOGUE).not_offered
    assert {row.version: row.hops for row in seen if row.hops} == hops | (
        {"1.36.0-rc.1": 3} if changes.get("running_version") else {}
    )


def test_an_open_operation_or_a_gate_does_not_empty_the_list():
    busy = replace(AT_1_34_8, state="gated", open_operation=("4f1c", "Order host web-3"))
    assert targets(busy, CATALOGUE) == targets(AT_1_34_8, CATALOGUE)


def test_a_baremetal_workspace_has_no_targets():
    seen = targets(Situation("baremetal", "active"), CATALOGUE)
    assert seen.eligible == ()
    assert {row.code for row in seen.not_offered} == {"not_kubernetes"}
    assert len(seen.not_offered) == len(CATALOGUE)


def test_a_version_is_found_with_or_without_v():
    assert find("v1.35.7", CATALOGUE) == find("1.35.7", CATALOGUE) == CATALOGUE[6]


# --- plans ---


def test_one_hop_moves_the_workers_too():
    assert plan(AT_1_34_8, "1.35.7", CATALOGUE) == [
        Hop("1.34.8", "1.35.7", True, "Last hop: the workers move to 1.35.7.")
    ]


def test_a_plan_has_the_fewest_hops_each_as_high_as_possible_and_workers_move_last():
    assert plan(AT_1_34_8, "1.36.4", CATALOGUE) == [
        Hop("1.34.8", "1.35.7", False, "The workers stay: kubelet 1.34.8 is within 3 minors of 1.36.4."),
        Hop("1.35.7", "1.36.4", True, "Last hop: the workers move to 1.36.4."),
    ]


def test_workers_move_earlier_only_where_the_next_hop_would_leave_them_behind():
    situation = replace(AT_1_34_8, kubelet_versions=("v1.32.4", "v1.34.8"))
    assert plan(situation, "1.36.4", CATALOGUE) == [
        Hop("1.34.8", "1.35.7", True, "The workers move: kubelet 1.32.4 is too old for 1.36.4, the next hop."),
        Hop("1.35.7", "1.36.4", True, "Last hop: the workers move to 1.36.4."),
    ]


def test_without_hosts_no_workers_move():
    situation = replace(AT_1_34_8, kubelet_versions=())
    assert [hop.workers_move for hop in plan(situation, "1.36.4", CATALOGUE)] == [False, False]


def test_a_plan_takes_a_patch_hop_when_the_graph_needs_one():
    situation = replace(AT_1_34_8, running_version="1.34.5", kubelet_versions=("v1.34.5",), control_plane_wanted=None)
    assert [(hop.from_, hop.to) for hop in plan(situation, "1.36.4", CATALOGUE)] == [
        ("1.34.5", "1.34.11"),
        ("1.34.11", "1.35.7"),
        ("1.35.7", "1.36.4"),
    ]


def test_a_plan_does_not_lead_below_what_the_control_plane_was_asked_for():
    hanging = replace(AT_1_34_8, running_version="1.34.5", control_plane_wanted="v1.35.99", kubelet_versions=())
    assert plan(hanging, "1.36.4", CATALOGUE).code == "not_reachable"
    assert len(plan(replace(hanging, control_plane_wanted="v1.34.5"), "1.36.4", CATALOGUE)) == 3


def test_no_plan_leads_to_what_kamaji_was_asked_to_pass_already():
    hanging = replace(AT_1_34_8, control_plane_wanted="v1.35.99")
    assert plan(hanging, "1.34.11", CATALOGUE).message == (
        "The control plane has been asked for 1.35.99 already. Kamaji does not go back to 1.34.11."
    )


def test_a_control_plane_that_is_still_asked_for_an_older_minor_goes_on_from_there():
    behind = replace(AT_1_34_8, control_plane_wanted="v1.33.9")
    assert message("1.35.7", behind) == (
        "The control plane is still asked for 1.33.9. Kamaji goes one minor at a time from there."
    )
    assert [hop.to for hop in plan(behind, "1.35.7", CATALOGUE)] == ["1.34.11", "1.35.7"]


def test_no_plan_leads_below_a_kubelet():
    ahead = replace(AT_1_34_8, kubelet_versions=("v1.35.7",))
    assert plan(ahead, "1.35.4", CATALOGUE).message == (
        "A host runs kubelet 1.35.7. A kubelet must not be newer than its control plane."
    )


def test_a_plan_does_not_stop_below_a_kubelet():
    catalogue = [CatalogueVersion("1.35.4", active=True), CatalogueVersion("1.36.4", active=True)]
    ahead = replace(AT_1_34_8, kubelet_versions=("v1.35.7",))
    assert plan(ahead, "1.36.4", catalogue).code == "not_reachable"
    assert len(plan(AT_1_34_8, "1.36.4", catalogue)) == 2


def test_a_pre_release_is_no_stop_on_the_way():
    catalogue = [
        CatalogueVersion("1.35.0-rc.1", active=True),
        CatalogueVersion("1.36.4", active=True),
    ]
    assert plan(AT_1_34_8, "1.36.4", catalogue) == Refused(
        "not_reachable",
        "There is no route from 1.34.8 to 1.36.4: no active versions lead to it by their upgrade.from (any).",
        {"running": "1.34.8", "target": "1.36.4"},
    )
    assert [hop.to for hop in plan(AT_1_34_8, "1.35.0-rc.1", catalogue)] == ["1.35.0-rc.1"]


@pytest.mark.parametrize(
    ("to", "changes", "code", "sentence"),
    [
        ("9.9.9", {}, "unknown_version", "“9.9.9” is not in the version catalogue."),
        ("1.35.6", {}, "inactive_version", "Withdrawn by the operator: volume detach can hang."),
        ("1.34.8", {}, "same_version", "The workspace already runs 1.34.8."),
        ("1.33.9", {}, "not_reachable", "1.33.9 is lower than 1.34.8, which runs now. Kamaji does not go back."),
        (
            "1.37.1",
            {},
            "not_reachable",
            "Kamaji in this management cluster accepts versions up to 1.36. "
            "The operator raises the limit after updating Kamaji.",
        ),
        (
            "1.36.4",
            {"running_version": ""},
            "not_reachable",
            "The running version is not known yet. Reconciliation reads it.",
        ),
        (
            "1.36.4",
            {"kubelet_versions": ("v1.31.0",)},
            "workers_too_old",
            "1.35.7 needs kubelet 1.32 or later. The kubelet of 1 host is older (oldest: 1.31.0). "
            "Bring the workers up to 1.34.8 first.",
        ),
    ],
)
def test_where_no_plan_leads_the_refusal_says_why(to, changes, code, sentence):
    refused = plan(replace(AT_1_34_8, **changes), to, CATALOGUE)
    assert (refused.code, refused.message) == (code, sentence)


def test_a_minor_missing_from_the_catalogue_is_named():
    without = [row for row in CATALOGUE if not row.version.startswith("1.35.")]
    assert plan(AT_1_34_8, "1.36.4", without).message == (
        "There is no route from 1.34.8 to 1.36.4: the catalogue has no active 1.35 version, "
        "and Kamaji does not skip a minor."
    )


def test_a_plan_can_be_made_while_something_runs():
    busy = replace(AT_1_34_8, state="gated", open_operation=("4f1c", "Order host web-3"))
    assert len(plan(busy, "1.36.4", CATALOGUE)) == 2


# --- routes that may start ---


def test_without_versions_to_go_through_only_one_hop_is_asked_for():
    assert route(AT_1_34_8, "1.35.7", CATALOGUE) == plan(AT_1_34_8, "1.35.7", CATALOGUE)
    assert route(AT_1_34_8, "1.36.4", CATALOGUE).code == "not_reachable"


def test_a_route_is_started_as_it_was_shown():
    assert route(AT_1_34_8, "1.36.4", CATALOGUE, ["v1.35.7"]) == plan(AT_1_34_8, "1.36.4", CATALOGUE)
    assert len(route(AT_1_34_8, "1.35.7", CATALOGUE, [])) == 1


@pytest.mark.parametrize(
    ("to", "through", "now", "sentence"),
    [
        ("1.36.4", ["1.35.4"], ["1.35.7"], "The way to 1.36.4 leads through 1.35.7 now. Look at it and start again."),
        ("1.36.4", [], ["1.35.7"], "The way to 1.36.4 leads through 1.35.7 now. Look at it and start again."),
        ("1.35.7", ["1.34.11"], [], "The way to 1.35.7 leads in one hop now. Look at it and start again."),
    ],
)
def test_a_route_that_is_another_one_by_now_is_not_started(to, through, now, sentence):
    assert route(AT_1_34_8, to, CATALOGUE, through) == Refused("route_changed", sentence, {"through": now})


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"state": "gated"}, "gated"),
        ({"workspace_type": "baremetal"}, "not_kubernetes"),
        ({"open_operation": ("4f1c", "Order host web-3")}, "operation_running"),
        ({"kubelet_versions": ("v1.31.0",)}, "workers_too_old"),
        ({"kamaji_max": "1.35"}, "not_reachable"),
    ],
)
def test_a_route_is_refused_like_a_single_hop(changes, code):
    assert route(replace(AT_1_34_8, **changes), "1.36.4", CATALOGUE, ["1.35.7"]).code == code


def test_a_route_to_what_runs_finishes_the_workers():
    assert [hop.to for hop in route(HALF_UPGRADED, "1.35.7", CATALOGUE)] == ["1.35.7"]


# --- patches ---


def test_the_patch_target_is_the_furthest_active_patch_of_the_minor():
    assert patch_target(AT_1_34_8, CATALOGUE).version == "1.34.11"


@pytest.mark.parametrize(
    "changes",
    [
        {"running_version": "1.34.11"},
        {"running_version": None},
        {"running_version": "unknown"},
        {"control_plane_wanted": "v1.35.7"},
        {"workspace_type": "baremetal"},
        {"running_version": "1.35.7"},
    ],
)
def test_there_is_no_patch_target_without_a_newer_patch_to_reach(changes):
    assert patch_target(replace(AT_1_34_8, **changes), CATALOGUE) is None


def test_the_patch_target_is_one_hop_that_upgrade_from_allows():
    catalogue = [
        CatalogueVersion("1.34.9", active=True),
        CatalogueVersion("1.34.10", active=True, upgrade_from="1.34.8"),
        CatalogueVersion("1.34.11", active=True, upgrade_from=">=1.34.9"),
        CatalogueVersion("1.34.12", active=False),
        CatalogueVersion("1.34.13-rc.1", active=True),
    ]
    assert patch_target(AT_1_34_8, catalogue).version == "1.34.10"
