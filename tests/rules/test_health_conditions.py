"""Every condition's values with reason and sentence, and which of them ask for a person."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.rules.health_cases import (
    DOWN,
    FROZEN,
    HELD,
    METAL,
    NOW,
    RECORD,
    REFUSED,
    REFUSED_SEED,
    REPLICAS,
    SILENT,
    UNSEEN,
    W1,
    W2,
    WAITING,
    brief,
    judge,
    seen,
    values,
)
from workspaces.rules.health_conditions import (
    Condition,
    control_plane,
    credentials,
    dns,
    drift,
    hosts,
    seeding,
    servers,
)
from workspaces.rules.health_seen import DriftSeen, HostSeen, SeedSeen, Seen, trouble_of
from workspaces.rules.trouble import Trouble


# --- The control plane ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("changes", "value", "reason", "message"),
    [
        ({}, "true", "ready", "Kamaji serves 1.35.7."),
        (
            {"control_plane_status": "Upgrading", "wanted_version": "1.36.2"},
            "false",
            "moving",
            "Kamaji says Upgrading: 1.35.7 runs, 1.36.2 is wanted.",
        ),
        (
            {"wanted_version": "1.36.2"},
            "false",
            "moving",
            "Kamaji says Ready: 1.35.7 runs, 1.36.2 is wanted.",
        ),
        (
            {"control_plane_status": "Provisioning", "running_version": ""},
            "false",
            "moving",
            "Kamaji says Provisioning: nothing runs, 1.35.7 is wanted.",
        ),
        (
            {"control_plane_status": "CertificateAuthorityRotating"},
            "false",
            "moving",
            "Kamaji changes its certificate authority.",
        ),
        ({"control_plane_status": "NotReady"}, "false", "notready", "Kamaji says NotReady."),
        ({"control_plane_status": "Sleeping"}, "false", "sleeping", "Kamaji says Sleeping."),
        (
            {"control_plane_status": "Gone", "wanted_version": ""},
            "false",
            "gone",
            "Its control plane is not on the management cluster any more.",
        ),
        (
            {"paused": True},
            "false",
            "paused",
            "The annotation kamaji.clastix.io/paused keeps Kamaji from working on it.",
        ),
        ({"control_plane_status": ""}, "unknown", "not_seen", "Kamaji has not been asked about it yet."),
        ({"management_trouble": REFUSED}, "unknown", "credential", "mgmt-fsn1: The credential was refused."),
    ],
)
def test_the_control_plane_condition(changes: dict[str, Any], value: str, reason: str, message: str) -> None:
    found = control_plane(seen(**changes))
    assert (found.type, *brief(found)) == ("control_plane", value, reason, message)


# --- Hosts ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("changes", "value", "reason", "message"),
    [
        ({}, "true", "ready", "2 of 2 ready."),
        (
            {"hosts": (W1, DOWN)},
            "false",
            "not_ready",
            "Not ready: web-2: Kubelet stopped posting node status.",
        ),
        ({"hosts": (replace(W1, ready=False),)}, "false", "not_ready", "Not ready: web-1"),
        (
            {"hosts": tuple(HostSeen(f"web-{n}", False, "", "") for n in range(1, 6))},
            "false",
            "not_ready",
            "Not ready: web-1, web-2, web-3 and 2 more",
        ),
        ({"hosts": (DOWN, UNSEEN)}, "false", "not_ready", "Not ready: web-2: Kubelet stopped posting node status."),
        ({"hosts": (W1, UNSEEN)}, "unknown", "not_seen", "Not seen yet: web-2"),
        (
            {"hosts": (replace(UNSEEN, message="No connection variables: it cannot be managed."),)},
            "unknown",
            "not_seen",
            "Not known: web-2: No connection variables: it cannot be managed.",
        ),
        ({"hosts": ()}, "unknown", "none", "No host is known."),
        ({"tenant_trouble": SILENT}, "unknown", "unreachable", "tenant web does not answer."),
    ],
)
def test_the_hosts_condition(changes: dict[str, Any], value: str, reason: str, message: str) -> None:
    found = hosts(seen(**changes))
    assert (found.type, *brief(found)) == ("hosts", value, reason, message)


# --- Servers ----------------------------------------------------------------------------------------------------------
def on(*states: str, **fields: Any) -> Seen:
    """A workspace whose hosts web-1, web-2 … have servers in these states."""
    found = [HostSeen(f"web-{n}", True, "1.35.7", "", server=state) for n, state in enumerate(states, 1)]
    return seen(hosts=tuple(found), **fields)


@pytest.mark.parametrize(
    ("what", "value", "reason", "message"),
    [
        (on("running", "running"), "true", "running", "2 of 2 running."),
        (on("running", "off"), "false", "off", "Switched off: web-2."),
        (on("off", "gone"), "false", "gone", "The provider has no server for web-2."),
        (on("running", "migrating"), "false", "moving", "web-2 is migrating."),
        (on("running", ""), "unknown", "not_seen", "Not seen yet: web-2."),
        (on("running", "unknown"), "unknown", "not_seen", "Not seen yet: web-2."),
        (on("running", provider_trouble=FROZEN), "unknown", "credential", "kestrel: The token was refused."),
        (
            seen(hosts=(replace(W1, server="running"), replace(W2, server="off", wanted_off=True))),
            "true",
            "running",
            "1 of 2 running, 1 off as wanted.",
        ),
    ],
)
def test_the_servers_condition(what: Seen, value: str, reason: str, message: str) -> None:
    assert brief(servers(what)) == (value, reason, message)


def test_a_server_that_is_off_asks_for_a_person_unless_an_operation_switches_it() -> None:
    assert (judge(on("off")).attention, judge(on("off")).tone) == ("Switched off: web-1.", "bad")
    assert judge(on("off", operation_open=True)).attention == ""


# --- DNS --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "value", "reason", "message"),
    [
        ({}, "true", "as_wanted", "2 of 2 as wanted."),
        ({"unseen_records": 1}, "unknown", "not_seen", "1 of 2 not seen yet."),
        (
            {"drift": (RECORD,)},
            "false",
            "repairing",
            "DNS record gw.customs.example AAAA is not as wanted, and set back at the next look.",
        ),
        (
            {"drift": (replace(RECORD, error="The zone is secondary."),)},
            "false",
            "differs",
            "DNS record gw.customs.example AAAA is not as wanted: The zone is secondary.",
        ),
        (
            {"drift": (replace(RECORD, policy="tell", reason="There is no zone customs.example."),)},
            "false",
            "differs",
            "DNS record gw.customs.example AAAA is not as wanted: There is no zone customs.example.",
        ),
        ({"dns_trouble": FROZEN}, "unknown", "credential", "kestrel: The token was refused."),
    ],
)
def test_the_dns_condition(changes: dict[str, Any], value: str, reason: str, message: str) -> None:
    assert brief(dns(seen(records=2, **changes))) == (value, reason, message)


def test_a_record_that_is_set_back_asks_for_nobody_and_one_that_cannot_be_asks() -> None:
    assert judge(seen(records=1, drift=(RECORD,))).attention == ""
    stuck = judge(seen(records=1, drift=(replace(RECORD, error="Refused."),)))
    assert (stuck.attention, stuck.tone) == (
        "DNS record gw.customs.example AAAA is not as wanted: Refused.",
        "warn",
    )


def test_without_records_nothing_is_said_of_dns() -> None:
    assert "dns" not in values(seen())
    assert values(seen(records=1))["dns"] == "true"


# --- Seeding ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "value", "reason", "message"),
    [
        ({"seeds_applied": 3}, "true", "as_wanted", "3 objects as wanted."),
        ({"seeds_applied": 1}, "true", "as_wanted", "1 object as wanted."),
        ({}, "unknown", "not_seen", "No object has been looked for yet."),
        ({"seeds": (HELD,)}, "false", "conflict", "ConfigMap kube-system/limits is held by argocd-controller."),
        (
            {"seeds": (REFUSED_SEED, HELD)},
            "false",
            "conflict",
            "ConfigMap kube-system/limits is held by argocd-controller, and 1 more.",
        ),
        (
            {"seeds": (REFUSED_SEED,)},
            "false",
            "failed",
            "Namespace tools could not be applied: PodSecurity is not known there.",
        ),
        (
            {"seeds": (WAITING,), "seeds_applied": 2},
            "unknown",
            "pending",
            "ConfigMap kube-system/late waits: no host is ready yet.",
        ),
        ({"seeding_trouble": SILENT}, "unknown", "unreachable", "tenant web does not answer."),
    ],
)
def test_the_seeding_condition(changes: dict[str, Any], value: str, reason: str, message: str) -> None:
    assert brief(seeding(seen(seeded=True, **changes))) == (value, reason, message)


def test_who_holds_a_field_is_who_can_give_it_up() -> None:
    assert seeding(seen(seeds=(HELD,))).who_can_fix == (
        "Whoever runs argocd-controller, by giving the field up; or an administrator, by leaving it to them."
    )


def test_seeding_is_told_only_of_kubernetes_with_manifests() -> None:
    assert "seeding" not in values(seen())
    assert "seeding" not in values(replace(METAL, seeded=True))
    assert values(seen(seeded=True))["seeding"] == "unknown"


@pytest.mark.parametrize(
    ("seeds", "attention", "tone"),
    [
        ((), "", ""),
        ((WAITING,), "", ""),
        ((HELD,), "ConfigMap kube-system/limits is held by argocd-controller.", "warn"),
        ((REFUSED_SEED,), "Namespace tools could not be applied: PodSecurity is not known there.", "bad"),
    ],
)
def test_what_of_seeding_asks_for_a_person(seeds: tuple[SeedSeen, ...], attention: str, tone: str) -> None:
    verdict = judge(seen(seeded=True, seeds=seeds))
    assert (verdict.attention, verdict.tone) == (attention, tone)


# --- Drift ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "reason", "message"),
    [
        (
            (REPLICAS,),
            "needs_decision",
            "Control plane: replicas is 3, not 2, changed by kubectl-edit. It needs a decision.",
        ),
        (
            (replace(REPLICAS, actor=""), REPLICAS, REPLICAS),
            "needs_decision",
            "Control plane: replicas is 3, not 2. 2 more need a decision.",
        ),
        (
            (REPLICAS, replace(RECORD, fought=True, policy="decide", actor="external-dns")),
            "fought",
            "DNS record gw.customs.example AAAA: records is changed again each time it is set back, by external-dns.",
        ),
        (
            (replace(RECORD, error="Hetzner Cloud: locked."),),
            "not_set_back",
            "DNS record gw.customs.example AAAA: records is not set back: Hetzner Cloud: locked.",
        ),
    ],
)
def test_the_drift_condition(found: tuple[DriftSeen, ...], reason: str, message: str) -> None:
    condition = drift(seen(drift=found))
    assert condition is not None
    assert brief(condition) == ("false", reason, message)


@pytest.mark.parametrize("found", [(), (RECORD,), (replace(REPLICAS, decided=True),)])
def test_drift_that_is_repaired_or_decided_asks_for_nobody(found: tuple[DriftSeen, ...]) -> None:
    assert drift(seen(drift=found)) is None
    assert judge(seen(drift=found)).attention == ""


def test_drift_that_needs_a_decision_takes_the_badge_off_green() -> None:
    verdict = judge(seen(drift=(REPLICAS,)))
    assert (verdict.attention, verdict.tone) == (
        "Control plane: replicas is 3, not 2, changed by kubectl-edit. It needs a decision.",
        "warn",
    )


# --- Credentials ------------------------------------------------------------------------------------------------------
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("stored", "issued", "value", "reason", "message"),
    [
        (None, None, "true", "accepted", "Accepted; no end is known."),
        (15 * DAY, 300 * DAY, "true", "accepted", "Accepted; the first certificate ends on 9 Dec 2026 14:32 UTC."),
        (
            14 * DAY,
            300 * DAY,
            "false",
            "ends_soon",
            "The client certificate for mgmt-fsn1 ends on 8 Dec 2026 14:32 UTC.",
        ),
        (
            timedelta(0),
            300 * DAY,
            "false",
            "ended",
            "The client certificate for mgmt-fsn1 ended on 24 Nov 2026 14:32 UTC.",
        ),
        (None, DAY / 2 + timedelta(seconds=1), "true", "accepted", None),
        (
            None,
            DAY / 2,
            "false",
            "not_renewed",
            "Kamaji has not renewed the certificate that ends on 25 Nov 2026 02:32 UTC.",
        ),
        (None, -DAY, "false", "ended", "Kamaji has not renewed the certificate that ended on 23 Nov 2026 14:32 UTC."),
    ],
)
def test_the_credentials_condition(
    stored: timedelta | None, issued: timedelta | None, value: str, reason: str, message: str | None
) -> None:
    what = seen(
        management="mgmt-fsn1",
        management_ends_at=None if stored is None else NOW + stored,
        certificate_ends_at=None if issued is None else NOW + issued,
    )
    found = brief(credentials(what, NOW))
    assert found == (value, reason, message or found[2])
    assert judge(what).tone == {"true": "", "false": "bad" if reason == "ended" else "warn"}[value]


def test_a_refused_credential_is_said_with_its_class_and_who_can_fix_it() -> None:
    assert credentials(seen(provider_trouble=FROZEN), NOW) == Condition(
        "credentials",
        "false",
        "refused",
        "kestrel: The token was refused.",
        "credential",
        "The operator of the platform, by storing a valid credential.",
    )


def test_credentials_that_could_not_be_tried_are_not_known_to_be_accepted() -> None:
    assert brief(credentials(seen(tenant_trouble=SILENT), NOW)) == (
        "unknown",
        "unreachable",
        "tenant web does not answer.",
    )


def test_the_end_of_a_certificate_speaks_before_the_silence_that_it_brings() -> None:
    verdict = judge(seen(management="mgmt-fsn1", management_ends_at=NOW, management_trouble=REFUSED))
    assert (verdict.attention, verdict.tone) == (
        "The client certificate for mgmt-fsn1 ended on 24 Nov 2026 14:32 UTC.",
        "bad",
    )


# --- Sentences of looks -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "name", "code", "message", "sentence"),
    [
        (
            "servers",
            "kestrel",
            "credential",
            "Hetzner Cloud: unable to authenticate (unauthorized)",
            "Hetzner account kestrel: unable to authenticate (unauthorized), since 24 Nov 14:32 UTC.",
        ),
        (
            "control_planes",
            "mgmt-fsn1",
            "unreachable",
            "management cluster mgmt-fsn1: the connection was refused.",
            "Management cluster mgmt-fsn1: the connection was refused, since 24 Nov 14:32 UTC.",
        ),
        ("cluster", "web", "conflict", "Busy.", "web: Busy, since 24 Nov 14:32 UTC."),
        (
            "servers",
            "kestrel",
            "overdue",
            "Not looked at for 3 min.",
            "Cloud servers of kestrel: not looked at since 24 Nov 14:32 UTC.",
        ),
    ],
)
def test_a_look_that_fails_is_a_sentence_with_what_and_since_when(
    kind: str, name: str, code: str, message: str, sentence: str
) -> None:
    assert trouble_of(kind, name, Trouble(code, message, "Somebody."), NOW) == Trouble(code, sentence, "Somebody.")
