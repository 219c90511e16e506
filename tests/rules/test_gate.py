"""When a workspace is gated and when not any more."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from workspaces.rules.gate import Change, Facts, GatingSeed, judge
from workspaces.rules.health_seen import SeedSeen

NOW = datetime(2026, 11, 24, 14, 32, tzinfo=UTC)
BEFORE = NOW - timedelta(minutes=10)
HELD = SeedSeen("v1 ConfigMap kube-system/limits", "conflict", "", ("argocd-controller",))
REFUSED = SeedSeen("v1 Namespace /tools", "failed", "PodSecurity is not known there.")
PENDING = SeedSeen("v1 Namespace /tools", "pending", "not tried yet")
WELL = Facts("active", "", "ledger-prod", "ws-ledger-prod", control_plane_gone=False, seeds=(), looked_at=NOW)
SEEDING = "Seeding has not converged: ConfigMap kube-system/limits is held by argocd-controller."
GONE = "The control plane is gone: ws-ledger-prod/ledger-prod is not on the management cluster any more."


def seeds(*found: SeedSeen, since: datetime | None = BEFORE) -> tuple[GatingSeed, ...]:
    """Gating objects that have been in their state since then."""
    return tuple(GatingSeed(seed, since) for seed in found)


@pytest.mark.parametrize(
    ("facts", "change"),
    [
        (WELL, None),
        (replace(WELL, control_plane_gone=True), Change("gated", GONE)),
        (replace(WELL, seeds=seeds(HELD)), Change("gated", SEEDING)),
        (replace(WELL, seeds=seeds(PENDING)), None),
        (
            replace(WELL, seeds=seeds(REFUSED)),
            Change(
                "gated",
                "Seeding has not converged: Namespace tools could not be applied: PodSecurity is not known there.",
            ),
        ),
        (
            replace(WELL, seeds=seeds(REFUSED, HELD)),
            Change(
                "gated",
                "Seeding has not converged: ConfigMap kube-system/limits is held by argocd-controller, and 1 more.",
            ),
        ),
    ],
)
def test_what_must_be_there_and_is_not_gates(facts: Facts, change: Change | None) -> None:
    assert judge(facts) == change


@pytest.mark.parametrize(
    ("since", "looked_at", "gates"),
    [
        (NOW, NOW, False),  # the look that found it first
        (BEFORE, NOW, True),  # the one after it
        (BEFORE, None, False),
        (None, NOW, False),
        (NOW, BEFORE, False),
    ],
)
def test_only_a_second_look_gates(since: datetime | None, looked_at: datetime | None, gates: bool) -> None:
    facts = replace(WELL, seeds=seeds(HELD, since=since), looked_at=looked_at)
    assert (judge(facts) == Change("gated", SEEDING)) == gates


@pytest.mark.parametrize(
    ("facts", "change"),
    [
        (WELL, Change("active", "")),
        (replace(WELL, seeds=seeds(HELD)), None),
        # It has changed, and has been seen once: neither set anew nor lifted.
        (replace(WELL, seeds=seeds(HELD, since=NOW)), None),
        (replace(WELL, seeds=seeds(PENDING)), None),
        (replace(WELL, control_plane_gone=True), Change("gated", GONE)),
    ],
)
def test_a_gate_of_ours_is_lifted_when_all_holds_again(facts: Facts, change: Change | None) -> None:
    assert judge(replace(facts, state="gated", state_reason=SEEDING)) == change


def test_a_gate_that_somebody_set_is_left_alone() -> None:
    theirs = replace(WELL, state="gated", state_reason="Billing is being clarified.")
    assert judge(theirs) is None
    assert judge(replace(theirs, control_plane_gone=True)) is None


@pytest.mark.parametrize("state", ["provisioning", "error", "deletion_scheduled", "deleting", "deleted"])
def test_other_states_are_left_alone(state: str) -> None:
    assert judge(replace(WELL, state=state, control_plane_gone=True)) is None


def test_a_long_reason_fits_its_column() -> None:
    change = judge(replace(WELL, seeds=seeds(replace(REFUSED, message="x" * 900), HELD, since=BEFORE)[:1]))
    assert change is not None
    assert len(change.reason) <= 300
    assert change.reason.startswith("Seeding has not converged: Namespace tools could not be applied: xxx")
