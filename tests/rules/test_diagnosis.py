"""Each cause is told from the others by its own evidence, with who can fix it; or it is said to be unknown."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import pytest

from tests.rules.health_cases import NOW
from workspaces.rules import looks
from workspaces.rules.diagnosis import CAUSES, diagnose
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


# --- When there is one ------------------------------------------------------------------------------------------------
def test_a_workspace_that_is_well_and_seen_has_none() -> None:
    assert diagnose(WELL, NOW) is None


def test_one_that_asks_for_a_person_or_is_not_seen_has_one() -> None:
    assert diagnose(replace(WELL, attention="Something."), NOW) is not None
    assert diagnose(with_looks(late("cluster")), NOW) is not None
    assert diagnose(replace(with_looks(late("cluster")), attention=""), NOW) is not None


def test_a_new_workspace_whose_first_look_is_coming_has_none() -> None:
    new = [look(kind, succeeded_at=None) for kind in looks.LOOPS]
    assert diagnose(replace(WELL, looks=new), NOW) is None


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


@pytest.mark.parametrize(
    ("code", "facts", "headline", "link", "tone"), CASES, ids=[f"{c[0]}-{n}" for n, c in enumerate(CASES)]
)
def test_each_cause_by_its_evidence(code: str, facts: Facts, headline: str, link: str, tone: str) -> None:
    diagnosis = found(facts)
    assert (diagnosis.cause, diagnosis.headline) == (code, f"Most likely cause: {headline}")
    assert (diagnosis.link, diagnosis.tone) == (link, tone)
    assert diagnosis.explanation
    assert diagnosis.since == SINCE or code.startswith(("no_", "queue", "overdue", "operation", "state"))
    keys = {"account": ACCOUNT, "management_cluster": CLUSTER, "operation": OPERATION}
    assert diagnosis.link_pk == keys.get(link)
    assert bool(link) <= bool(diagnosis.next_step)


def test_every_cause_has_a_case() -> None:
    seen = {next(finder for finder in CAUSES if finder(facts, NOW)) for _, facts, *_ in CASES}
    assert {finder.__name__ for finder in CAUSES} - {finder.__name__ for finder in seen} == {"first_look"}


def test_what_no_cause_explains_is_said_to_be_unknown() -> None:
    diagnosis = found(replace(WELL, attention="2 of 3 hosts still run 1.34.8, the control plane 1.35.7."))
    assert (diagnosis.cause, diagnosis.headline, diagnosis.tone) == ("not_known", "The cause is not known", "warn")
    assert diagnosis.explanation == "2 of 3 hosts still run 1.34.8, the control plane 1.35.7."
    assert (diagnosis.link, diagnosis.who_can_fix, diagnosis.next_step) == ("", "", "")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        (
            {"failures": 1, "trouble": Trouble("unreachable", "It did not answer in time.")},
            " It did not answer in time.",
        ),
    ],
)
def test_a_first_look_that_is_still_to_come_or_has_failed_once_is_said(changes: dict[str, Any], said: str) -> None:
    new = [look(looks.CLUSTER, succeeded_at=None, **changes)]
    waiting = replace(WELL, looks=new, attention="Kamaji has not been asked about it yet.")
    assert found(waiting).headline == "Most likely cause: not all of it has been seen yet"
    assert found(waiting).explanation == (
        f"Not seen yet: Cluster and hosts of customs-gateway.{said} The next look is due at 24 Nov 14:34 UTC."
    )


# --- What it says -----------------------------------------------------------------------------------------------------
def test_a_refused_token_is_explained_with_numbers_and_what_goes_on() -> None:
    message = "Hetzner account kestrel: unable to authenticate (unauthorized), since 24 Nov 13:51 UTC."
    facts = with_looks(failing("servers", "credential", message), others_answered=True)
    diagnosis = found(facts)
    assert diagnosis.explanation == (
        f"The last 14 looks have failed. {message} Other accounts are answered. {GOES_ON} {NEXT}"
    )
    assert diagnosis.who_can_fix == "Somebody."
    assert (diagnosis.next_step, diagnosis.since) == ("Replace the token of account kestrel", SINCE)
    assert found(replace(facts, others_answered=None)).explanation == (
        f"The last 14 looks have failed. {message} {GOES_ON} {NEXT}"
    )
    assert "No other account is answered either." in found(replace(facts, others_answered=False)).explanation


def test_a_stuck_queue_is_explained_with_its_depth_its_age_and_its_workers() -> None:
    assert found(with_looks(late("cluster"), queue=STUCK)).explanation == (
        "21 jobs wait on the queue reconcile, the oldest since 24 Nov 13:51 UTC: more work comes in than 2 workers can "
        f"do, or each waits long for an answer. {GOES_ON}"
    )


# --- Which comes first ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("facts", "cause"),
    [
        # Without a worker nobody finds out that the token has been replaced.
        (with_looks(failing("servers", "credential"), queue=NO_WORKER), "no_worker"),
        # A queue that is behind explains only what is late.
        (with_looks(failing("servers", "credential"), queue=STUCK), "credential"),
        # Through the management cluster the tenant is reached.
        (with_looks(failing("control_planes", "unreachable"), failing("cluster", "unreachable")), "unreachable"),
        (with_looks(failing("cluster", "unreachable"), failing("seeding", "unreachable")), "tenant_unreachable"),
        (with_looks(failing("servers", "credential"), failing("cluster", "unreachable")), "tenant_unreachable"),
        # A trouble that is over explains nothing, nor does the queue when everything is seen.
        (replace(WELL, attention="Upgrade failed.", failed_operation=OPERATION, queue=NO_WORKER), "operation_failed"),
    ],
)
def test_the_most_far_reaching_cause_is_told(facts: Facts, cause: str) -> None:
    assert found(facts).cause == cause


# --- Checks -----------------------------------------------------------------------------------------------------------
def test_the_checks_of_a_refused_token_as_the_page_has_them() -> None:
    facts = with_looks(failing("servers", "credential"), failing("dns", "credential"), others_answered=True)
    assert checks(facts) == [
        ("Cloud credentials", "bad", "refused since 24 Nov 13:51 UTC", ""),
        ("Hetzner Cloud API", "ok", "answers others", ""),
        ("Control plane", "ok", "answering, 85 ms", ""),
        ("Tenant API", "ok", "answering, 85 ms", ""),
        ("Seeding and DNS", "warn", "refused since 24 Nov 13:51 UTC", "A result of the above."),
        ("Task queue", "ok", "2 waiting", ""),
    ]
    assert checks(replace(facts, others_answered=None))[1] == (
        "Hetzner Cloud API",
        "idle",
        "refuses before it answers",
        "A result of the above.",
    )


def test_what_a_management_cluster_that_is_silent_explains() -> None:
    silent = [failing(kind, "unreachable") for kind in ("control_planes", "cluster", "seeding")]
    assert checks(with_looks(*silent))[2:] == [
        ("Control plane", "bad", "no answer since 24 Nov 13:51 UTC", ""),
        ("Tenant API", "bad", "no answer since 24 Nov 13:51 UTC", "A result of the above."),
        ("Seeding and DNS", "warn", "no answer since 24 Nov 13:51 UTC", "A result of the above."),
        ("Task queue", "ok", "2 waiting", ""),
    ]


def test_without_a_worker_everything_late_is_a_result_of_that() -> None:
    facts = with_looks(*(late(kind) for kind in looks.LOOPS), queue=NO_WORKER)
    assert checks(facts)[0] == (
        "Cloud credentials",
        "idle",
        "not seen since 24 Nov 13:51 UTC",
        "A result of what the task queue shows.",
    )
    assert checks(facts)[-1] == ("Task queue", "bad", "no worker for ticks and reconcile", "")
    assert {check.tone for check in found(facts).checks} == {"idle", "bad"}


def test_bare_metal_is_asked_for_its_hosts_and_the_queue_alone() -> None:
    metal = replace(
        with_looks(failing("cluster", "unreachable")),
        type="baremetal",
        conditions=[condition("hosts", "unknown")],
        looks=[failing("cluster", "unreachable")],
    )
    assert checks(metal) == [
        ("Hosts", "bad", "no answer since 24 Nov 13:51 UTC", ""),
        ("Task queue", "ok", "2 waiting", ""),
    ]
    assert found(metal).headline == "Most likely cause: customs-gateway does not answer"


@pytest.mark.parametrize(
    ("facts", "place", "line"),
    [
        (with_looks(late("cluster"), queue=None), -1, ("Task queue", "idle", "not asked", "")),
        (with_looks(late("cluster"), queue=queue(trouble="Down.")), -1, ("Task queue", "bad", "not reachable", "")),
        (
            with_looks(late("cluster"), queue=queue(scheduler_alive=False)),
            -1,
            ("Task queue", "bad", "no scheduler", ""),
        ),
        (
            with_looks(failing("servers", "cloud_api"), queue=STUCK),
            -1,
            ("Task queue", "warn", "21 waiting, the oldest since 24 Nov 13:51 UTC", ""),
        ),
        (
            with_looks(look("cluster", failures=1, trouble=Trouble("unreachable", "Said."))),
            3,
            ("Tenant API", "warn", "the last look failed", ""),
        ),
        (with_looks(look("servers", milliseconds=None)), 1, ("Hetzner Cloud API", "ok", "answering", "")),
        (with_looks(look("servers", succeeded_at=None)), 0, ("Cloud credentials", "idle", "not tried yet", "")),
        (with_looks(look("servers", succeeded_at=None)), 1, ("Hetzner Cloud API", "idle", "not asked yet", "")),
        (with_condition("control_plane", "paused"), 2, ("Control plane", "bad", "paused", "")),
        (with_condition("hosts", "not_ready"), 3, ("Tenant API", "warn", "answers, hosts not ready", "")),
        (with_condition("credentials", "ends_soon"), 2, ("Control plane", "warn", "a certificate ends soon", "")),
        (with_condition("seeding", "conflict", tone="warn"), 4, ("Seeding and DNS", "warn", "conflict", "")),
        (with_condition("dns", "not_seen", value="unknown"), 4, ("Seeding and DNS", "idle", "not known", "")),
    ],
)
def test_single_checks(facts: Facts, place: int, line: tuple[str, str, str, str]) -> None:
    assert checks(facts)[place] == line


def test_no_check_is_green_without_a_fresh_look() -> None:
    """Every loop in turn, in every way of being blind, takes the green from the checks that rest on it."""
    resting = {
        looks.CONTROL_PLANES: {"control_plane"},
        looks.SERVERS: {"credentials", "cloud"},
        looks.DNS: {"credentials", "cloud", "kept"},
        looks.CLUSTER: {"tenant"},
        looks.SEEDING: {"kept"},
    }
    for kind, codes in resting.items():
        blind = [late(kind), look(kind, succeeded_at=None)]
        blind += [failing(kind, code) for code in ("credential", "unreachable", "cloud_api", "rate_limit", "overdue")]
        for one in blind:
            unknown = [replace(c, value="unknown", tone="idle") for c in WELL.conditions]
            green = {check.code for check in found(with_looks(one, conditions=unknown)).checks if check.tone == "ok"}
            assert green & codes == set(), (kind, one)
