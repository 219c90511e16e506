"""A healthy workspace as a preflight sees it, and what may be different: for the tests of its checks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from workspaces.rules.preflight import Check, judge
from workspaces.rules.preflight_seen import (
    Budget,
    ControlPlane,
    Credential,
    DataStore,
    DeprecatedApi,
    DeprecatedUse,
    Host,
    Node,
    Pod,
    Seen,
    Unknown,
    Webhook,
    Workload,
)
from workspaces.rules.upgrades import Hop

NOW = datetime(2026, 11, 28, 17, 2, tzinfo=UTC)
HOP = Hop("1.34.8", "1.35.7", True, "")
PATCH = Hop("1.35.4", "1.35.7", True, "")
FINISH = Hop("1.35.7", "1.35.7", True, "")
GIB = 1024**3

W1, W2, W3 = (Host(f"web-{number}", f"web-{number}") for number in (1, 2, 3))
N1, N2, N3 = (Node(f"web-{number}", "1.34.8", cpu_millis=4000, memory_bytes=8 * GIB, pods=110) for number in (1, 2, 3))
P1 = Pod("shop/web-a", "web-1", "ReplicaSet/web", budgets=("shop/web",), cpu_millis=1500, memory_bytes=2 * GIB)
P2 = Pod("shop/web-b", "web-2", "ReplicaSet/web", budgets=("shop/web",), cpu_millis=1500, memory_bytes=2 * GIB)
PLANE = ControlPlane("Ready", "1.34.8", "1.34.8", 2, 2)
MANAGEMENT = Credential("The kubeconfig of management cluster mgmt-fsn1", ends_at=NOW + timedelta(days=300))
TENANT = Credential("the kubeconfig of web", ends_at=NOW + timedelta(days=200), reissued=True)
OPEN = Budget("shop/web", allowed=1, healthy=2, needed=1)
SHUT = Budget("shop/web", allowed=0, healthy=2, needed=2)
USE = DeprecatedUse((), NOW - timedelta(hours=3))
WELL = Seen(
    control_plane=PLANE,
    waiting=(),
    data_store=DataStore("default", ready=True, driver="etcd"),
    management=MANAGEMENT,
    tenant=TENANT,
    hosts=(W1, W2, W3),
    groups=((W1,), (W2,), (W3,)),
    nodes=(N1, N2, N3),
    pods=(P1, P2),
    workloads=(Workload("shop", "ReplicaSet/web", 2),),
    budgets=(OPEN,),
    webhooks=(),
    deprecated=USE,
)
SILENT = Unknown("tenant web: it did not answer in time.", "The operator of the platform.", "unreachable")
DENIED = Unknown("tenant web: the stored credential lacks a right.", "The operator of the platform.", "credential")
HOOK = Webhook("policy: pods.policy.example", "policy/hook")
CRON = DeprecatedApi("batch/v1beta1 cronjobs", "1.35")
ENDPOINTS = DeprecatedApi("v1 endpoints", "")


def checks(hop: Hop = HOP, **changes: object) -> dict[str, Check]:
    """All checks of a healthy workspace with these differences, by code."""
    return {check.code: check for check in judge(replace(WELL, **changes), hop, NOW)}


def plane(**changes: object) -> dict[str, object]:
    """The control plane with these differences."""
    return {"control_plane": replace(PLANE, **changes)}
