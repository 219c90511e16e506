"""Each cause is told from the others by its own evidence, with who can fix it; or it is said to be unknown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.rules.diagnosis_cases import (
    ACCOUNT,
    CASES,
    CLUSTER,
    GOES_ON,
    NEXT,
    NO_WORKER,
    OPERATION,
    SINCE,
    STUCK,
    WELL,
    checks,
    condition,
    failing,
    found,
    late,
    look,
    queue,
    with_condition,
    with_looks,
)
from tests.rules.health_cases import NOW
from workspaces.rules import looks
from workspaces.rules.diagnosis import CAUSES, diagnose
from workspaces.rules.diagnosis_facts import Facts
from workspaces.rules.trouble import Trouble


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
