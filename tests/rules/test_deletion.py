"""Deletion policies: which orders and choices a deletion can follow, and what is wrong with the others."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspaces.rules.deletion import DEFAULT, PARTS, document_of, faults_of, read, steps_for

ORDER = list(PARTS)


def policy(order: list[str] = ORDER, **actions: str) -> list[dict[str, str]]:
    return [{"step": part, "action": actions.get(part, "delete")} for part in order]


def moved(part: str, before: str) -> list[str]:
    order = [one for one in ORDER if one != part]
    order.insert(order.index(before), part)
    return order


def test_the_default_can_be_followed_and_keeps_volumes_alone() -> None:
    assert faults_of(document_of(DEFAULT)) == []
    assert [step.part for step in DEFAULT if step.action == "keep"] == ["volumes"]
    assert [step.part for step in DEFAULT] == [
        "integrations",
        "dns",
        "kubeconfigs",
        "load_balancers",
        "hosts",
        "volumes",
        "control_plane",
        "data_store",
        "namespace",
    ]


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (
            moved("namespace", "control_plane"),
            "“Namespace” stands before “Control plane”: it has to be the other way round.",
        ),
        (
            moved("data_store", "control_plane"),
            "“Data store” stands before “Control plane”: it has to be the other way round.",
        ),
        (
            moved("control_plane", "kubeconfigs"),
            "“Control plane” stands before “Kubeconfigs”: it has to be the other way round.",
        ),
        (moved("volumes", "hosts"), "“Volumes” stands before “Hosts”: it has to be the other way round."),
    ],
)
def test_an_order_that_the_vendors_cannot_follow_is_refused(order: list[str], said: str) -> None:
    assert faults_of(policy(order)) == [said]


@pytest.mark.parametrize(
    ("actions", "said"),
    [
        (
            {"control_plane": "keep", "data_store": "keep"},
            "The namespace cannot be deleted while the control plane in it is kept.",
        ),
        (
            {"control_plane": "keep", "namespace": "keep"},
            "The data store cannot be deleted while the control plane that uses it is kept.",
        ),
        ({"hosts": "keep"}, "Volumes cannot be deleted while the hosts that hold them are kept."),
    ],
)
def test_what_others_stand_on_cannot_go_alone(actions: dict[str, str], said: str) -> None:
    assert faults_of(policy(**actions)) == [said]


@pytest.mark.parametrize(
    ("document", "faults"),
    [
        ({}, ["A policy is a list of steps, each with its action."]),
        (["dns"], ["A policy is a list of steps, each with its action."]),
        ([*policy(), {"step": "backups", "action": "keep"}], ["There is no step “backups”."]),
        ([*policy(), {"step": "dns", "action": "keep"}], ["“dns” is there twice."]),
        (policy([one for one in ORDER if one != "dns"]), ["“dns” is missing: say delete or keep."]),
        (policy(dns="forget"), ["“dns” has neither delete nor keep."]),
        ([*policy(), {"action": "keep"}], ["There is no step “None”."]),
        ([*policy(), {"step": [], "action": "keep"}], ["There is no step “[]”."]),
    ],
)
def test_what_is_no_policy_is_said_in_sentences(document: Any, faults: list[str]) -> None:
    assert faults_of(document) == faults
    with pytest.raises(ValueError, match=r"\S"):
        read(document)


def test_bare_metal_has_the_steps_that_concern_it() -> None:
    assert [step.part for step in steps_for(DEFAULT, "baremetal")] == [
        "integrations",
        "dns",
        "load_balancers",
        "hosts",
        "volumes",
    ]
    assert steps_for(DEFAULT, "kubernetes") == DEFAULT


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["step", "action", "x"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(JSON)
def test_no_document_makes_the_rule_break(document: Any) -> None:
    assert isinstance(faults_of(document), list)
