"""What holds for every plan and every change of it: whole documents, RFC 7396, omission, and the change in words.

Single problems, notes and sentences are in `test_maintenance.py`.
"""

import json
from copy import deepcopy
from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from workspaces.rules.maintenance import Plan, difference, document, merge, validate

plans = st.builds(
    Plan,
    enabled=st.booleans(),
    hours=st.tuples(*[st.sampled_from([None, *range(24)])] * 7),
    priority_hour=st.integers(0, 23),
    compute_auto_update=st.booleans(),
    kubernetes_auto_upgrade=st.none() | st.booleans(),
)
semantics = st.sampled_from(["json", "merge-patch"])

HOUR = {"type": "integer", "minimum": 0, "maximum": 23}


def flag(name):
    return {"type": "object", "properties": {name: {"type": "boolean"}}, "additionalProperties": False}


SCHEMA = {
    "type": "object",
    "properties": {
        "enabled": {"type": "boolean"},
        "schedule": {
            "type": "object",
            "patternProperties": {"^[0-6]$": {"anyOf": [HOUR, {"type": "null"}]}},
            "additionalProperties": False,
        },
        "priority_hour": HOUR,
        "compute": flag("auto_update"),
        "kubernetes": flag("auto_upgrade"),
        "updated_at": True,
        "notes": True,
    },
    "additionalProperties": False,
}


def type_of(plan):
    return "baremetal" if plan.kubernetes_auto_upgrade is None else "kubernetes"


def merged(plan, sent, how, *, may_disable=True):
    return merge(plan, sent, may_disable=may_disable, semantics=how, workspace_type=type_of(plan))


@st.composite
def changes(draw, workspace_type):
    """A valid document that names some of the fields, with what an answer carries beside them."""
    parts = {
        "enabled": st.booleans(),
        "schedule": st.dictionaries(st.sampled_from("0123456"), st.sampled_from([None, *range(24)])),
        "priority_hour": st.integers(0, 23),
        "compute": st.fixed_dictionaries({}, optional={"auto_update": st.booleans()}),
        "updated_at": st.just("2026-11-24T14:32:00Z"),
        "notes": st.just([{"code": "disable_refused", "message": "Maintenance stays on."}]),
    }
    if workspace_type == "kubernetes":
        parts["kubernetes"] = st.fixed_dictionaries({}, optional={"auto_upgrade": st.booleans()})
    return draw(st.fixed_dictionaries({}, optional=parts))


plans_and_changes = plans.flatmap(lambda plan: st.tuples(st.just(plan), changes(type_of(plan))))
pairs = st.tuples(plans, plans).map(
    lambda pair: (pair[0], replace(pair[1], kubernetes_auto_upgrade=pair[0].kubernetes_auto_upgrade))
)


# --- whole documents --------------------------------------------------------------------------------------------------
@given(plans, pairs, semantics)
def test_a_whole_document_goes_out_and_comes_back_as_it_was(plan, pair, how):
    before, after = pair
    for target in (plan, after):
        current = replace(before, kubernetes_auto_upgrade=target.kubernetes_auto_upgrade)
        sent = json.loads(json.dumps(document(target)))
        assert validate(sent, type_of(target)) == []
        stored = merged(current, sent, how)
        assert (stored.plan, stored.notes) == (target, ())
        assert document(stored.plan) == sent


# --- validate ---------------------------------------------------------------------------------------------------------
values = st.recursive(
    st.sampled_from([None, True, False, -1, 0, 23, 24, 2.5, "", "2"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["0", "6", "7", "00", "auto_update", "auto_upgrade"]), inner, max_size=3)
    ),
    max_leaves=5,
)
anything = values | st.dictionaries(st.sampled_from([*SCHEMA["properties"], "window"]), values, max_size=4)


@st.composite
def mutated(draw):
    """A change with one other value somewhere, just inside or just outside of what is valid, or with one more name."""
    sent = {"schedule": {}, "priority_hour": 0, "compute": {}, "kubernetes": {}} | deepcopy(draw(changes("kubernetes")))
    block = draw(st.sampled_from([sent, *(block for block in sent.values() if isinstance(block, dict))]))
    name = draw(st.sampled_from([*block, "0", "7", "auto_update", "auto_upgrade"]))
    block[name] = draw(st.sampled_from([None, True, -1, 0, 23, 24]) | values)
    return sent


@given(anything | mutated(), st.sampled_from(["kubernetes", "kubernetes", "baremetal"]))
@example({"schedule": {"7": 2}}, "kubernetes")
@example({"schedule": {"0": -1}}, "kubernetes")
@settings(max_examples=300)
def test_a_document_has_problems_exactly_when_a_json_schema_of_it_finds_errors(sent, workspace_type):
    schema = deepcopy(SCHEMA)
    if workspace_type == "baremetal":
        del schema["properties"]["kubernetes"]
    problems = validate(sent, workspace_type)
    assert bool(problems) is not Draft202012Validator(schema).is_valid(sent)
    for problem in problems:
        place = sent
        for part in problem.loc:
            assert part in place
            place = place[part]


# --- merge ------------------------------------------------------------------------------------------------------------
def merge_patch(target, patch):
    """RFC 7396, section 2, word for word."""
    if not isinstance(patch, dict):
        return patch
    target = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        else:
            target[name] = merge_patch(target.get(name), value)
    return target


def plain(shown):
    """A document without what is not stored; no window on a day is written as null or by leaving the day out."""
    stored = {name: value for name, value in shown.items() if name not in ("updated_at", "notes")}
    return stored | {"schedule": {day: hour for day, hour in shown["schedule"].items() if hour is not None}}


@given(plans_and_changes)
def test_a_merge_patch_is_that_of_rfc_7396(made):
    plan, sent = made
    assert plain(document(merged(plan, sent, "merge-patch").plan)) == plain(merge_patch(document(plan), sent))


@given(plans_and_changes)
def test_plain_json_is_the_merge_patch_with_every_missing_flag_off(made):
    plan, sent = made
    blocks = {"compute": {"auto_update": False} | sent.get("compute", {})}
    if plan.kubernetes_auto_upgrade is not None:
        blocks["kubernetes"] = {"auto_upgrade": False} | sent.get("kubernetes", {})
    stored = merged(plan, sent, "json")
    assert stored.plan == merged(plan, sent | blocks, "merge-patch").plan
    named = {name: bool(sent.get(name)) for name in ("compute", "kubernetes")}
    assert [note.code for note in stored.notes] == [
        *(["compute_turned_off_by_omission"] if plan.compute_auto_update and not named["compute"] else []),
        *(["kubernetes_turned_off_by_omission"] if plan.kubernetes_auto_upgrade and not named["kubernetes"] else []),
    ]


@given(plans_and_changes, semantics, st.booleans())
def test_what_is_sent_twice_changes_nothing_the_second_time(made, how, may_disable):
    plan, sent = made
    once = merged(plan, sent, how, may_disable=may_disable)
    twice = merged(once.plan, sent, how, may_disable=may_disable)
    assert twice.plan == once.plan
    assert {note.code for note in twice.notes} <= {"disable_refused", "enable_refused"}


@given(plans_and_changes, semantics)
def test_without_the_right_to_disable_only_the_switch_differs(made, how):
    plan, sent = made
    allowed, refused = (merged(plan, sent, how, may_disable=may) for may in (True, False))
    assert refused.plan == replace(allowed.plan, enabled=plan.enabled)
    moved = {True: "enable_refused", False: "disable_refused"}[allowed.plan.enabled]
    switch = [note.code for note in refused.notes if note.code in ("disable_refused", "enable_refused")]
    assert switch == ([moved] if allowed.plan.enabled != plan.enabled else [])
    assert [note for note in refused.notes if note.code not in switch] == list(allowed.notes)


# --- difference -------------------------------------------------------------------------------------------------------
@given(pairs)
def test_a_difference_is_empty_exactly_when_nothing_changes(pair):
    before, after = pair
    assert (difference(before, after) == []) is (before == after)
    assert difference(before, before) == difference(after, after) == []


@given(plans_and_changes, semantics)
def test_the_differences_applied_to_the_old_document_give_the_new_one(made, how):
    plan, sent = made
    after = merged(plan, sent, how).plan
    shown = json.loads(json.dumps(document(plan)))
    changed = difference(plan, after)
    for change in changed:
        block, _, name = change.field.rpartition(".")
        place = shown[block] if block else shown
        assert place[name] == change.before != change.after
        place[name] = change.after
    assert shown == document(after)
    assert len({change.field for change in changed}) == len(changed)


@given(pairs)
def test_there_and_back_the_differences_are_the_same_with_their_sides_exchanged(pair):
    before, after = pair
    there, back = difference(before, after), difference(after, before)
    assert [(change.field, change.before, change.after) for change in there] == [
        (change.field, change.after, change.before) for change in back
    ]
