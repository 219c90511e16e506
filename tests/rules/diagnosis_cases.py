"""A workspace that is well, what can be wrong with it, and by which evidence each cause is told: for test_diagnosis."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from tests.rules.health_cases import NOW
from workspaces.rules import looks
from workspaces.rules.diagnosis import diagnose
from workspaces.rules.diagnosis_facts import Diagnosis, Facts, QueueFact, QueueFacts
from workspaces.rules.health_freshness import ConditionSeen, LookSeen
from workspaces.rules.trouble import Trouble

SINCE: Final = NOW - timedelta(minutes=41)
CLUSTER, ACCOUNT, ITSELF, OPERATION = (UUID(int=number) for number in range(1, 5))
TARGETS: Final = {
    looks.CONTROL_PLANES: (CLUSTER, "mgmt-fsn1"),
    looks.SERVERS: (ACCOUNT, "kestrel"),
    looks.DNS: (ACCOUNT, "kestrel"),
    looks.CLUSTER: (ITSELF, "customs-gateway"),
    looks.SEEDING: (ITSELF, "customs-gateway"),
}
GOES_ON = "Workloads keep running; changes and the repair of drift wait."
NEXT = "The next look is due at 24 Nov 14:34 UTC; once one succeeds, all of this goes away by itself."


def look(kind: str, **changes: Any) -> LookSeen:
    """A look that succeeded 12 s ago."""
    key, name = TARGETS[kind]
    values: dict[str, Any] = {
        "kind": kind,
        "key": key,
        "name": name,
        "every": 60.0,
        "due_at": NOW + timedelta(minutes=2),
        "succeeded_at": NOW - timedelta(seconds=12),
        "milliseconds": 85,
    }
    return LookSeen(**(values | changes))


def failing(kind: str, code: str, message: str = "Said.", failures: int = 14) -> LookSeen:
    """A look that has failed for 41 minutes."""
    trouble = Trouble(code, message, "Somebody.")
    seen = SINCE - timedelta(seconds=60)
    return look(kind, failures=failures, felt=True, failing_since=SINCE, trouble=trouble, succeeded_at=seen)


def late(kind: str) -> LookSeen:
    """A look that nobody has made for 41 minutes."""
    return look(kind, succeeded_at=SINCE)


def condition(
    type_: str, value: str = "true", reason: str = "ready", message: str = "Said.", **more: Any
) -> ConditionSeen:
    tones: dict[str, Any] = {"true": "ok", "false": "bad", "unknown": "idle"}
    values: dict[str, Any] = {
        "type": type_,
        "name": type_,
        "tone": tones[value],
        "value": value,
        "reason": reason,
        "message": message,
        "error_class": "",
        "who_can_fix": "",
        "since": SINCE,
        "observed_at": NOW,
        "next_look_at": NOW,
        "every": 60.0,
    }
    return ConditionSeen(**(values | more))


HEALTHY_QUEUE: Final = QueueFacts(
    "", True, [QueueFact("operations", 0, None, 2), QueueFact("ticks", 0, None, 2), QueueFact("reconcile", 2, NOW, 2)]
)
WELL: Final = Facts(
    name="customs-gateway",
    type="kubernetes",
    state="active",
    state_reason="",
    attention="",
    attention_tone="",
    conditions=[
        condition("control_plane"),
        condition("hosts"),
        condition("servers"),
        condition("dns"),
        condition("seeding"),
        condition("credentials"),
    ],
    looks=[look(kind) for kind in looks.LOOPS],
    queue=HEALTHY_QUEUE,
)


def with_looks(*changed: LookSeen, **fields: Any) -> Facts:
    """A workspace that asks for a person, with these looks instead of healthy ones."""
    kinds = {one.kind for one in changed}
    found = [*changed, *(one for one in WELL.looks if one.kind not in kinds)]
    return replace(WELL, looks=found, attention="Something.", **fields)


def with_condition(type_: str, reason: str, message: str = "Said.", value: str = "false", **fields: Any) -> Facts:
    """A workspace that asks for a person because of this condition."""
    changed = condition(type_, value, reason, message, **fields)
    return replace(
        WELL, conditions=[*(one for one in WELL.conditions if one.type != type_), changed], attention="Said."
    )


def queue(**changes: Any) -> QueueFacts:
    """The machinery with these differences."""
    return replace(HEALTHY_QUEUE, **changes)


def found(facts: Facts) -> Diagnosis:
    diagnosis = diagnose(facts, NOW)
    assert diagnosis is not None
    return diagnosis


def checks(facts: Facts) -> list[tuple[str, str, str, str]]:
    """Name, tone, value and note of each check."""
    return [(check.name, check.tone, check.value, check.note) for check in found(facts).checks]


# --- Which cause ------------------------------------------------------------------------------------------------------
NO_WORKER = queue(queues=[QueueFact("ticks", 9, SINCE, 0), QueueFact("reconcile", 21, SINCE, 0)])
NO_RECONCILER = queue(
    queues=[QueueFact("operations", 0, None, 1), QueueFact("ticks", 0, None, 1), QueueFact("reconcile", 21, SINCE, 0)]
)
STUCK = queue(
    queues=[QueueFact("operations", 0, None, 2), QueueFact("ticks", 0, None, 2), QueueFact("reconcile", 21, SINCE, 2)]
)
CASES: Final[list[tuple[str, Facts, str, str, str]]] = [
    ("no_worker", with_looks(late("cluster"), queue=NO_WORKER), "no worker is running", "queue", "bad"),
    ("no_worker", with_looks(late("cluster"), queue=NO_RECONCILER), "no worker serves reconcile", "queue", "bad"),
    (
        "no_scheduler",
        with_looks(late("cluster"), queue=queue(scheduler_alive=False)),
        "the scheduler is not running",
        "queue",
        "bad",
    ),
    (
        "queue_down",
        with_looks(late("cluster"), queue=queue(trouble="The queue cannot be reached: ConnectionError.")),
        "the queue cannot be reached",
        "queue",
        "bad",
    ),
    ("queue_stuck", with_looks(late("cluster"), queue=STUCK), "the queue reconcile is stuck", "queue", "bad"),
    (
        "credential",
        with_looks(failing("servers", "credential")),
        "Hetzner Cloud refuses the token of account kestrel",
        "account",
        "bad",
    ),
    (
        "credential",
        with_looks(failing("control_planes", "credential")),
        "management cluster mgmt-fsn1 refuses the stored credential",
        "management_cluster",
        "bad",
    ),
    (
        "certificate_ended",
        replace(
            with_condition("credentials", "ended", "It ended."),
            looks=with_looks(failing("control_planes", "credential")).looks,
        ),
        "the certificate for management cluster mgmt-fsn1 has ended",
        "management_cluster",
        "bad",
    ),
    (
        "certificate_ends_soon",
        with_condition("credentials", "ends_soon", "It ends."),
        "a certificate ends soon",
        "management_cluster",
        "warn",
    ),
    (
        "certificate_not_renewed",
        with_condition("credentials", "not_renewed"),
        "Kamaji has not renewed a certificate",
        "",
        "warn",
    ),
    (
        "rate_limit",
        with_looks(failing("servers", "rate_limit")),
        "account kestrel has used up its calls to Hetzner Cloud",
        "",
        "bad",
    ),
    (
        "cloud_api",
        with_looks(failing("servers", "cloud_api")),
        "Hetzner Cloud answers with errors, asked for account kestrel",
        "",
        "bad",
    ),
    (
        "unreachable",
        with_looks(failing("dns", "unreachable")),
        "Hetzner Cloud does not answer, asked for account kestrel",
        "",
        "bad",
    ),
    (
        "unreachable",
        with_looks(failing("control_planes", "unreachable")),
        "management cluster mgmt-fsn1 does not answer",
        "management_cluster",
        "bad",
    ),
    (
        "control_plane_paused",
        with_condition("control_plane", "paused"),
        "Kamaji is told to leave the control plane alone",
        "",
        "warn",
    ),
    (
        "control_plane_notready",
        with_condition("control_plane", "notready"),
        "no API server of the control plane is ready",
        "",
        "bad",
    ),
    ("control_plane_gone", with_condition("control_plane", "gone"), "the control plane is gone", "", "bad"),
    (
        "tenant_unreachable",
        with_looks(failing("cluster", "unreachable")),
        "the API of customs-gateway does not answer",
        "",
        "bad",
    ),
    (
        "tenant_credential",
        with_looks(failing("cluster", "credential")),
        "the API of customs-gateway refuses the credential that Kamaji issued",
        "",
        "bad",
    ),
    ("server_off", with_condition("servers", "off"), "a server is switched off", "drift", "bad"),
    ("server_gone", with_condition("servers", "gone"), "a server is gone", "", "bad"),
    (
        "hosts_not_ready",
        with_condition("hosts", "not_ready"),
        "hosts are not ready, although the API answers",
        "",
        "bad",
    ),
    (
        "seeding_conflict",
        with_condition("seeding", "conflict", "ConfigMap a/b is held by argocd-controller."),
        "seeding has not converged: ConfigMap a/b is held by argocd-controller",
        "drift",
        "warn",
    ),
    (
        "gated_conflict",
        replace(
            with_condition("seeding", "conflict", "ConfigMap a/b is held by argocd-controller."),
            state="gated",
            state_reason="Seeding has not converged: ConfigMap a/b is held by argocd-controller.",
        ),
        "seeding has not converged: ConfigMap a/b is held by argocd-controller",
        "drift",
        "warn",
    ),
    (
        "seeding_unreachable",
        with_looks(failing("seeding", "unreachable")),
        "the seeded objects of customs-gateway cannot be looked at",
        "",
        "bad",
    ),
    ("dns_differs", with_condition("dns", "differs"), "a DNS record is not as wanted", "drift", "warn"),
    ("drift_fought", with_condition("drift", "fought"), "somebody changes back what is set back here", "drift", "warn"),
    (
        "drift_needs_decision",
        with_condition("drift", "needs_decision"),
        "something was changed outside of Loopback",
        "drift",
        "warn",
    ),
    (
        "operation_failed",
        replace(WELL, attention="Upgrade failed.", failed_operation=OPERATION),
        "the last operation did not get through",
        "operation",
        "bad",
    ),
    ("state_error", replace(WELL, state="error", attention="In error."), "the workspace is in error", "", "bad"),
    (
        "state_gated",
        replace(WELL, state="gated", state_reason="Billing.", attention="Billing."),
        "changes are held back",
        "",
        "warn",
    ),
    ("overdue", with_looks(late("cluster")), "looks are overdue although the platform lives", "queue", "warn"),
    ("overdue", with_looks(late("cluster"), queue=None), "looks are overdue", "queue", "warn"),
    (
        "overdue",
        with_looks(failing("servers", "overdue", failures=0)),
        "looks are overdue although the platform lives",
        "queue",
        "warn",
    ),
]
