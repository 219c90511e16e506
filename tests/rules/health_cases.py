"""A healthy workspace and what can be wrong with it, for the tests of health and of diagnosis."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from workspaces.rules import health
from workspaces.rules.health import Verdict
from workspaces.rules.health_conditions import Condition
from workspaces.rules.health_seen import DriftSeen, HostSeen, SeedSeen, Seen
from workspaces.rules.trouble import Trouble

NOW = datetime(2026, 11, 24, 14, 32, tzinfo=UTC)

W1 = HostSeen("web-1", True, "1.35.7", "")
W2 = HostSeen("web-2", True, "1.35.7", "")
DOWN = HostSeen("web-2", False, "1.35.7", "Kubelet stopped posting node status.")
UNSEEN = HostSeen("web-2", None, "", "")
WELL = Seen(
    type="kubernetes",
    state="active",
    state_reason="",
    control_plane_status="Ready",
    wanted_version="1.35.7",
    running_version="1.35.7",
    hosts=(W1, W2),
)
METAL = Seen("baremetal", "active", "", "", "", "", (W1, W2))
REFUSED = Trouble("credential", "mgmt-fsn1: The credential was refused.")
RECORD = DriftSeen("dns", "DNS record gw.customs.example AAAA", "records", ["2a01:4f9::1"], None)
HELD = SeedSeen("v1 ConfigMap kube-system/limits", "conflict", "", ("argocd-controller",))
REFUSED_SEED = SeedSeen("v1 Namespace /tools", "failed", "PodSecurity is not known there.")
WAITING = SeedSeen("v1 ConfigMap kube-system/late", "pending", "no host is ready yet")
REPLICAS = DriftSeen("control_plane", "Control plane", "replicas", 2, 3, "kubectl-edit", "decide")
SILENT = Trouble("unreachable", "tenant web does not answer.")
FROZEN = Trouble("credential", "kestrel: The token was refused.")


def seen(**changes: Any) -> Seen:
    """A healthy Kubernetes workspace with these differences."""
    return replace(WELL, **changes)


def judge(what: Seen) -> Verdict:
    """The verdict as of NOW."""
    return health.judge(what, NOW)


def brief(condition: Condition) -> tuple[str, str, str]:
    """Value, reason and message."""
    return condition.value, condition.reason, condition.message


def values(what: Seen) -> dict[str, str]:
    """Condition by condition."""
    return {condition.type: condition.value for condition in judge(what).conditions}
