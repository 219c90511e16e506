"""The maintenance document: problems, the two ways to merge, notes, and the change in words."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspaces.rules.maintenance import Plan, Problem, difference, document, merge, validate

PLAN = Plan(
    enabled=True,
    hours=(2, 2, 2, 2, 2, 5, None),
    priority_hour=22,
    compute_auto_update=True,
    kubernetes_auto_upgrade=True,
)
BAREMETAL = replace(PLAN, kubernetes_auto_upgrade=None)
FULL = {
    "enabled": True,
    "schedule": {"0": 2, "1": 2, "2": 2, "3": 2, "4": 2, "5": 5, "6": None},
    "priority_hour": 22,
    "compute": {"auto_update": True},
    "kubernetes": {"auto_upgrade": True},
}

hours = st.one_of(st.none(), st.integers(0, 23))
plans = st.builds(
    Plan,
    enabled=st.booleans(),
    hours=st.tuples(*[hours] * 7),
    priority_hour=st.integers(0, 23),
    compute_auto_update=st.booleans(),
    kubernetes_auto_upgrade=st.one_of(st.none(), st.booleans()),
)


def type_of(plan):
    return "baremetal" if plan.kubernetes_auto_upgrade is None else "kubernetes"


def change(plan, sent, *, may_disable=True, semantics="merge-patch"):
    assert validate(sent, type_of(plan)) == []
    return merge(plan, sent, may_disable=may_disable, semantics=semantics, workspace_type=type_of(plan))


def codes(merged):
    return [note.code for note in merged.notes]


# --- validate ---


@pytest.mark.parametrize(
    "sent",
    [
        {},
        FULL,
        FULL | {"updated_at": "2026-11-24T14:00:00Z", "notes": []},
        {"schedule": {}},
        {"schedule": {"6": None, "0": 0}},
        {"priority_hour": 23},
        {"compute": {}},
    ],
)
def test_a_document_that_can_be_merged_has_no_problems(sent):
    assert validate(sent, "kubernetes") == []


@pytest.mark.parametrize(
    ("sent", "loc", "code"),
    [
        ([], (), "not_an_object"),
        (None, (), "not_an_object"),
        ({"window": 3}, ("window",), "unknown_field"),
        ({"enabled": 1}, ("enabled",), "not_a_boolean"),
        ({"enabled": "true"}, ("enabled",), "not_a_boolean"),
        ({"enabled": None}, ("enabled",), "not_a_boolean"),
        ({"priority_hour": 24}, ("priority_hour",), "not_an_hour"),
        ({"priority_hour": -1}, ("priority_hour",), "not_an_hour"),
        ({"priority_hour": True}, ("priority_hour",), "not_an_hour"),
        ({"priority_hour": 4.0}, ("priority_hour",), "not_an_hour"),
        ({"priority_hour": "4"}, ("priority_hour",), "not_an_hour"),
        ({"priority_hour": None}, ("priority_hour",), "not_an_hour"),
        ({"schedule": None}, ("schedule",), "not_an_object"),
        ({"schedule": [2, 2, 2, 2, 2, 2, 2]}, ("schedule",), "not_an_object"),
        ({"schedule": {"7": 2}}, ("schedule", "7"), "unknown_weekday"),
        ({"schedule": {"-1": 2}}, ("schedule", "-1"), "unknown_weekday"),
        ({"schedule": {"00": 2}}, ("schedule", "00"), "unknown_weekday"),
        ({"schedule": {"Monday": 2}}, ("schedule", "Monday"), "unknown_weekday"),
        ({"schedule": {"0": 24}}, ("schedule", "0"), "not_an_hour"),
        ({"schedule": {"0": False}}, ("schedule", "0"), "not_an_hour"),
        ({"schedule": {"0": 2.5}}, ("schedule", "0"), "not_an_hour"),
        ({"schedule": {"0": {"hour": 2}}}, ("schedule", "0"), "not_an_hour"),
        ({"compute": None}, ("compute",), "not_an_object"),
        ({"compute": True}, ("compute",), "not_an_object"),
        ({"compute": {"auto_update": None}}, ("compute", "auto_update"), "not_a_boolean"),
        ({"compute": {"auto_update": 0}}, ("compute", "auto_update"), "not_a_boolean"),
        ({"compute": {"auto_upgrade": True}}, ("compute", "auto_upgrade"), "unknown_field"),
        ({"kubernetes": {"auto_upgrade": "yes"}}, ("kubernetes", "auto_upgrade"), "not_a_boolean"),
    ],
)
def test_a_wrong_value_is_one_problem_at_its_place(sent, loc, code):
    assert [(problem.loc, problem.code) for problem in validate(sent, "kubernetes")] == [(loc, code)]


def test_a_baremetal_workspace_has_no_kubernetes_block():
    assert validate({"kubernetes": {"auto_upgrade": False}}, "baremetal") == [
        Problem(("kubernetes",), "not_for_baremetal", "Only Kubernetes workspaces have this block.")
    ]


def test_all_problems_are_told_at_once():
    sent = {"enabled": None, "schedule": {"0": 24, "7": 1}, "priority_hour": True}
    assert [".".join(problem.loc) for problem in validate(sent, "kubernetes")] == [
        "enabled",
        "priority_hour",
        "schedule.0",
        "schedule.7",
    ]


# --- merge ---


def test_plain_json_switches_off_what_it_does_not_name_and_says_so():
    merged = change(PLAN, {"priority_hour": 4}, semantics="json")
    assert merged.plan == replace(PLAN, priority_hour=4, compute_auto_update=False, kubernetes_auto_upgrade=False)
    assert codes(merged) == ["compute_turned_off_by_omission", "kubernetes_turned_off_by_omission"]


def test_a_note_names_only_a_flag_that_omission_really_turned_off():
    merged = change(replace(PLAN, compute_auto_update=False), {"priority_hour": 4}, semantics="json")
    assert codes(merged) == ["kubernetes_turned_off_by_omission"]


def test_an_empty_block_says_as_little_as_a_missing_one():
    merged = change(PLAN, {"compute": {}, "kubernetes": {"auto_upgrade": True}}, semantics="json")
    assert merged.plan == replace(PLAN, compute_auto_update=False)
    assert codes(merged) == ["compute_turned_off_by_omission"]
    assert change(PLAN, {"compute": {}}).plan == PLAN


def test_switching_a_flag_off_by_name_needs_no_note():
    merged = change(PLAN, FULL | {"compute": {"auto_update": False}}, semantics="json")
    assert merged.plan == replace(PLAN, compute_auto_update=False)
    assert merged.notes == ()


def test_plain_json_on_baremetal_touches_no_kubernetes_flag():
    merged = change(BAREMETAL, {}, semantics="json")
    assert merged.plan == replace(BAREMETAL, compute_auto_update=False)
    assert codes(merged) == ["compute_turned_off_by_omission"]


def test_merge_patch_leaves_alone_what_it_does_not_name():
    merged = change(PLAN, {"schedule": {"3": 4}})
    assert merged.plan == replace(PLAN, hours=(2, 2, 2, 4, 2, 5, None))
    assert merged.notes == ()


@pytest.mark.parametrize("semantics", ["json", "merge-patch"])
def test_the_schedule_merges_per_weekday_and_null_means_no_window_that_day(semantics):
    merged = change(PLAN, {"schedule": {"0": None, "6": 0}}, semantics=semantics)
    assert merged.plan.hours == (None, 2, 2, 2, 2, 5, 0)


@pytest.mark.parametrize("semantics", ["json", "merge-patch"])
def test_only_an_administrator_switches_maintenance_off_and_the_rest_of_the_save_is_kept(semantics):
    sent = FULL | {"enabled": False, "priority_hour": 4}
    by_operator = change(PLAN, sent, may_disable=False, semantics=semantics)
    assert by_operator.plan == replace(PLAN, priority_hour=4)
    assert codes(by_operator) == ["disable_refused"]
    assert by_operator.notes[0].message == (
        "Maintenance stays on: only an administrator may switch it off. The rest of the change is saved."
    )
    by_administrator = change(PLAN, sent, semantics=semantics)
    assert by_administrator.plan == replace(PLAN, enabled=False, priority_hour=4)
    assert by_administrator.notes == ()


@pytest.mark.parametrize(
    ("sent", "noted"), [({}, []), ({"enabled": False}, []), ({"enabled": True}, ["enable_refused"])]
)
def test_what_an_administrator_switched_off_stays_off_when_somebody_else_saves(sent, noted):
    off = replace(PLAN, enabled=False)
    merged = change(off, sent | {"priority_hour": 4}, may_disable=False)
    assert merged.plan == replace(off, priority_hour=4)
    assert codes(merged) == noted


def test_an_administrator_switches_maintenance_on_again():
    assert change(replace(PLAN, enabled=False), {"enabled": True}).plan == PLAN


# --- document ---


def test_the_document_has_the_shape_of_the_api():
    assert document(PLAN) == FULL
    assert document(BAREMETAL) == {key: value for key, value in FULL.items() if key != "kubernetes"}


@given(plans, st.sampled_from(["json", "merge-patch"]), st.booleans())
def test_sending_back_what_was_read_changes_nothing(plan, semantics, may_disable):
    merged = change(plan, document(plan), may_disable=may_disable, semantics=semantics)
    assert merged == type(merged)(plan, ())
    assert difference(plan, merged.plan) == []


@given(plans)
def test_an_empty_merge_patch_changes_nothing(plan):
    assert change(plan, {}).plan == plan


@given(plans, plans)
def test_a_whole_document_carries_every_value_over(before, after):
    after = replace(after, kubernetes_auto_upgrade=before.kubernetes_auto_upgrade)
    for semantics in ("json", "merge-patch"):
        assert change(before, document(after), semantics=semantics).plan == after


@given(plans, plans)
def test_nobody_but_an_administrator_moves_the_master_switch(before, after):
    after = replace(after, kubernetes_auto_upgrade=before.kubernetes_auto_upgrade)
    merged = change(before, document(after), may_disable=False)
    assert merged.plan == replace(after, enabled=before.enabled)


json_values = st.recursive(
    st.sampled_from([None, True, False, -1, 0, 1, 2.0, 23, 24, "", "2"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["0", "6", "7", "auto_update", "auto_upgrade", "x"]), inner, max_size=3)
    ),
)
documents = st.dictionaries(st.sampled_from([*FULL, "updated_at", "other"]), json_values, max_size=5)


@given(documents, plans, st.sampled_from(["json", "merge-patch"]))
def test_any_document_is_either_refused_or_merges_into_a_plan(sent, plan, semantics):
    if validate(sent, type_of(plan)):
        return
    merged = merge(plan, sent, may_disable=True, semantics=semantics, workspace_type=type_of(plan)).plan
    assert all(hour is None or (type(hour) is int and 0 <= hour <= 23) for hour in merged.hours)
    assert type(merged.priority_hour) is int
    assert 0 <= merged.priority_hour <= 23
    assert {type(merged.enabled), type(merged.compute_auto_update)} == {bool}
    assert (merged.kubernetes_auto_upgrade is None) == (plan.kubernetes_auto_upgrade is None)


# --- difference ---


def test_a_difference_is_told_in_words_in_the_order_of_the_form():
    after = Plan(
        enabled=False,
        hours=(None, 2, 2, 4, 2, 5, 0),
        priority_hour=3,
        compute_auto_update=False,
        kubernetes_auto_upgrade=False,
    )
    assert [change.sentence for change in difference(PLAN, after)] == [
        "Maintenance on to off",
        "Priority hour 22:00 to 03:00",
        "Monday 02:00 to no window",
        "Thursday 02:00 to 04:00",
        "Sunday no window to 00:00",
        "Operating system updates on to off",
        "Kubernetes patch releases on to off",
    ]


def test_a_difference_carries_the_field_and_both_values():
    (change,) = difference(PLAN, replace(PLAN, hours=(2, 2, 2, 4, 2, 5, None)))
    assert (change.field, change.before, change.after) == ("schedule.3", 2, 4)
