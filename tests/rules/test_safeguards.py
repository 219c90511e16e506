"""What stands between a click and a deletion: which safeguards block, in which order, and what they say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from workspaces.rules import lifecycle
from workspaces.rules.safeguards import DELETABLE, Facts, refuse, safeguards

CLEAR = Facts(
    name="ledger-prod",
    state="active",
    protected=False,
    open_operation=None,
    look="fresh",
    not_asked=(),
    volumes_removed=0,
    volumes_kept=0,
    certificates=0,
    revocable=0,
    second_person=False,
)


def test_a_workspace_with_nothing_against_it_is_all_green() -> None:
    assert [(one.code, one.tone, one.value) for one in safeguards(CLEAR)] == [
        ("protection", "ok", "off"),
        ("operation", "ok", "none"),
        ("inventory", "ok", "looked at just now"),
        ("data", "ok", "no volumes"),
        ("kubeconfigs", "ok", "none"),
    ]
    assert refuse(CLEAR) is None


@pytest.mark.parametrize(
    ("changed", "code", "refusal"),
    [
        ({"state": "deleting"}, "state", "not_deletable"),
        ({"protected": True}, "protection", "protected"),
        ({"open_operation": ("1", "Upgrade to 1.35.7")}, "operation", "operation_running"),
        ({"look": "old"}, "inventory", "not_looked"),
        ({"look": "never"}, "inventory", "not_looked"),
        ({"look": "under_way"}, "inventory", "not_looked"),
    ],
)
def test_what_blocks_is_told_and_is_the_refusal(changed: dict[str, Any], code: str, refusal: str) -> None:
    facts = replace(CLEAR, **changed)
    assert [one.code for one in safeguards(facts) if one.blocks] == [code]
    refused = refuse(facts)
    assert refused is not None
    assert refused.code == refusal


@pytest.mark.parametrize(
    ("changed", "code", "value"),
    [
        ({"volumes_removed": 1}, "data", "1 volume deleted for good"),
        ({"volumes_removed": 2, "volumes_kept": 1}, "data", "2 volumes deleted for good"),
        ({"certificates": 1, "revocable": 2}, "kubeconfigs", "3 valid"),
        ({"not_asked": ("Account kestrel: refused",)}, "inventory", "not all of it answered"),
        ({"second_person": True}, "second_person", "needed"),
    ],
)
def test_what_has_to_be_known_warns_and_blocks_nothing(changed: dict[str, Any], code: str, value: str) -> None:
    facts = replace(CLEAR, **changed)
    warned = [(one.code, one.value) for one in safeguards(facts) if one.tone == "warn"]
    assert warned == [(code, value)]
    assert refuse(facts) is None


def test_before_anybody_has_looked_nobody_says_that_there_are_no_volumes() -> None:
    data = next(one for one in safeguards(replace(CLEAR, look="never", seen=False)) if one.code == "data")
    assert (data.tone, data.value) == ("idle", "not known yet")


@pytest.mark.parametrize("state", [state for state, _ in lifecycle.WORKSPACE_STATES])
def test_only_what_is_not_leaving_can_be_deleted(state: str) -> None:
    assert (refuse(replace(CLEAR, state=state)) is None) == (state in DELETABLE)
    assert DELETABLE == ("provisioning", "active", "gated", "error")
