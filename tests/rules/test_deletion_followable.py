"""Policies that can be followed, made rather than guessed: of random ones two in a hundred are accepted."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from workspaces.rules.deletion import PARTS, PolicyStep, document_of, faults_of, read

ORDER = list(PARTS)
# By hand, not from PARTS: (first, then).
BEFORE = [
    ("kubeconfigs", "control_plane"),
    ("control_plane", "data_store"),
    ("control_plane", "namespace"),
    ("hosts", "volumes"),
]
# What cannot go while the other is kept.
HELD = [("namespace", "control_plane"), ("data_store", "control_plane"), ("volumes", "hosts")]
ACTIONS = st.fixed_dictionaries({part: st.sampled_from(["delete", "keep"]) for part in ORDER})


def can_be_followed(order: list[str], actions: dict[str, str]) -> bool:
    in_order = all(order.index(first) < order.index(then) for first, then in BEFORE)
    return in_order and all(actions[goes] == "keep" or actions[holds] == "delete" for goes, holds in HELD)


def written(order: list[str], actions: dict[str, str]) -> list[dict[str, str]]:
    return [{"step": part, "action": actions[part]} for part in order]


@st.composite
def followable(draw: st.DrawFn) -> tuple[list[str], dict[str, str]]:
    """An order that respects BEFORE, and choices that respect HELD."""
    order: list[str] = []
    waiting = draw(st.permutations(ORDER))
    while waiting:
        part = next(one for one in waiting if not any(then == one and first in waiting for first, then in BEFORE))
        waiting = [one for one in waiting if one != part]
        order.append(part)
    actions = dict(draw(ACTIONS))
    for goes, holds in HELD:
        if actions[holds] == "keep":
            actions[goes] = "keep"
    return order, actions


@given(followable())
def test_whatever_can_be_followed_is_accepted_and_read_back_as_written(made: tuple[list[str], dict[str, str]]) -> None:
    order, actions = made
    assert can_be_followed(order, actions)
    assert faults_of(written(order, actions)) == []
    steps = read(written(order, actions))
    assert document_of(steps) == written(order, actions)
    assert steps == tuple(PolicyStep(part, actions[part]) for part in order)  # type: ignore[arg-type]


@given(st.permutations(ORDER), ACTIONS)
def test_nothing_else_is_accepted(order: list[str], actions: dict[str, str]) -> None:
    assert (faults_of(written(order, actions)) == []) == can_be_followed(order, actions)


@given(followable(), st.sampled_from(ORDER), st.sampled_from(ORDER))
def test_one_swap_is_judged_by_the_order_alone(made: tuple[list[str], dict[str, str]], one: str, other: str) -> None:
    order, actions = made
    swapped = [{one: other, other: one}.get(part, part) for part in order]
    assert (faults_of(written(swapped, actions)) == []) == can_be_followed(swapped, actions)


@given(followable(), st.sampled_from(["control_plane", "hosts"]))
def test_keeping_what_holds_others_is_judged_by_what_it_holds(
    made: tuple[list[str], dict[str, str]], kept: str
) -> None:
    order, actions = made
    changed = actions | {kept: "keep"}
    assert (faults_of(written(order, changed)) == []) == can_be_followed(order, changed)


ODD: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.lists(st.none(), max_size=2)
)


@given(followable(), st.integers(0, len(ORDER) - 1), st.sampled_from(["step", "action"]), ODD)
def test_a_policy_with_one_odd_value_is_told_in_sentences(
    made: tuple[list[str], dict[str, str]], place: int, key: str, value: Any
) -> None:
    document: list[dict[str, Any]] = [dict(step) for step in written(*made)]
    document[place][key] = value
    assert all(fault.endswith(".") for fault in faults_of(document))
    assert faults_of(document) != []
