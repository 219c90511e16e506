"""The conditions of a workspace, one by one: value, reason, sentence, and the class of trouble where there is one.

Blind is never green: what could not be asked is "unknown", with the reason. Nothing here knows how old a look is; that
is added when a condition is read (`health_freshness`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from workspaces.rules.drift_words import field_in_words, value_in_words
from workspaces.rules.health_seen import DriftSeen, Seen, named, on
from workspaces.rules.trouble import Trouble, who_can_fix

Value = Literal["true", "false", "unknown"]

# How long before its end a certificate is to be replaced. Kamaji renews those of tenants a day before.
STORED_ENDS: Final = timedelta(days=14)
ISSUED_ENDS: Final = timedelta(hours=12)
_STORE_ANOTHER: Final = "The operator of the platform, by storing a kubeconfig with a newer certificate."
_ISSUED: Final = "The operator of the management cluster: Kamaji renews this certificate, and its log says why not."
_DECIDE: Final = "An operator or administrator, by accepting it or by having it set back."
_MANAGER: Final = "Whoever runs {}, by giving the field up; or an administrator, by leaving it to them."


@dataclass(frozen=True, slots=True)
class Condition:
    """One aspect of health. `value` true is good; `error_class` is a class of `trouble` where that is the reason."""

    type: str
    value: Value
    reason: str
    message: str
    error_class: str = ""
    who_can_fix: str = ""


def _unknown(type_: str, trouble: Trouble) -> Condition:
    fixer = trouble.who_can_fix or who_can_fix(trouble.code)
    return Condition(type_, "unknown", trouble.code, trouble.message, trouble.code, fixer)


# --- The cluster ------------------------------------------------------------------------------------------------------
def control_plane(seen: Seen) -> Condition:
    """Whether Kamaji serves the version that is wanted."""
    status = seen.control_plane_status
    if seen.management_trouble:
        return _unknown("control_plane", seen.management_trouble)
    if status == "Gone":
        return Condition(
            "control_plane",
            "false",
            "gone",
            "Its control plane is not on the management cluster any more.",
            who_can_fix="The operator of the management cluster: nothing here brings a deleted control plane back.",
        )
    if seen.paused:
        text = "The annotation kamaji.clastix.io/paused keeps Kamaji from working on it."
        fixer = "The operator of the platform, by removing the annotation."
        return Condition("control_plane", "false", "paused", text, who_can_fix=fixer)
    if not status:
        return Condition("control_plane", "unknown", "not_seen", "Kamaji has not been asked about it yet.")
    if status == "Ready" and seen.wanted_version == seen.running_version:
        return Condition("control_plane", "true", "ready", f"Kamaji serves {seen.running_version}.")
    if status == "CertificateAuthorityRotating":
        return Condition("control_plane", "false", "moving", "Kamaji changes its certificate authority.")
    if status in ("Upgrading", "Provisioning") or seen.wanted_version != seen.running_version:
        runs = f"{seen.running_version or 'nothing'} runs, {seen.wanted_version} is wanted."
        return Condition("control_plane", "false", "moving", f"Kamaji says {status}: {runs}")
    fixer = "The operator of the management cluster: Kamaji's log and its pods say why."
    return Condition("control_plane", "false", status.lower(), f"Kamaji says {status}.", who_can_fix=fixer)


def hosts(seen: Seen) -> Condition:
    """Whether every host is ready."""
    if seen.tenant_trouble:
        return _unknown("hosts", seen.tenant_trouble)
    if not seen.hosts:
        return Condition("hosts", "unknown", "none", "No host is known.")
    down = [host for host in seen.hosts if host.ready is False]
    if down:
        said = f": {down[0].message}" if down[0].message else ""
        return Condition("hosts", "false", "not_ready", f"Not ready: {named([host.name for host in down])}{said}")
    unknown = [host for host in seen.hosts if host.ready is None]
    if unknown:
        said = f": {unknown[0].message}" if unknown[0].message else ""
        names = named([host.name for host in unknown])
        return Condition("hosts", "unknown", "not_seen", f"{'Not known' if said else 'Not seen yet'}: {names}{said}")
    return Condition("hosts", "true", "ready", f"{len(seen.hosts)} of {len(seen.hosts)} ready.")


def servers(seen: Seen) -> Condition:
    """Whether the cloud servers of its hosts run."""
    if seen.provider_trouble:
        return _unknown("servers", seen.provider_trouble)
    states = {host.name: host.server for host in seen.hosts if host.server is not None}
    resting = {host.name for host in seen.hosts if host.server == "off" and host.wanted_off}
    if gone := [name for name, state in states.items() if state == "gone"]:
        fixer = "An administrator, by ordering another host and removing this one."
        return Condition("servers", "false", "gone", f"The provider has no server for {named(gone)}.", "", fixer)
    if off := [name for name, state in states.items() if state == "off" and name not in resting]:
        fixer = "An operator, by switching it on, or by accepting that it is off."
        return Condition("servers", "false", "off", f"Switched off: {named(off)}.", "", fixer)
    if unseen := [name for name, state in states.items() if state in ("", "unknown")]:
        return Condition("servers", "unknown", "not_seen", f"Not seen yet: {named(unseen)}.")
    if moving := [f"{name} is {state}" for name, state in states.items() if state not in ("running", "off")]:
        return Condition("servers", "false", "moving", f"{named(moving)}.")
    apart = f", {len(resting)} off as wanted" if resting else ""
    return Condition("servers", "true", "running", f"{len(states) - len(resting)} of {len(states)} running{apart}.")


# --- What is kept in it -----------------------------------------------------------------------------------------------
def dns(seen: Seen) -> Condition:
    """Whether its DNS records say what is wanted."""
    if seen.dns_trouble:
        return _unknown("dns", seen.dns_trouble)
    different = [drift for drift in seen.drift if drift.kind == "dns"]
    if stuck := [drift for drift in different if drift.error or drift.policy == "tell" or drift.needs_decision]:
        why = stuck[0].error or stuck[0].reason
        text = f"{named(_subjects(stuck))} is not as wanted{f': {why}' if why else '.'}"
        return Condition("dns", "false", "differs", text, "", _DECIDE if stuck[0].needs_decision else "")
    if different:
        text = f"{named(_subjects(different))} is not as wanted, and set back at the next look."
        return Condition("dns", "false", "repairing", text)
    if seen.unseen_records:
        return Condition("dns", "unknown", "not_seen", f"{seen.unseen_records} of {seen.records} not seen yet.")
    return Condition("dns", "true", "as_wanted", f"{seen.records} of {seen.records} as wanted.")


def _subjects(found: list[DriftSeen]) -> list[str]:
    return list(dict.fromkeys(drift.subject for drift in found))


def seeding(seen: Seen) -> Condition:
    """Whether the objects of the manifests that are for it are there."""
    if seen.seeding_trouble:
        return _unknown("seeding", seen.seeding_trouble)
    stuck = [seed for seed in seen.seeds if seed.state in ("conflict", "failed")]
    if stuck:
        first = next((seed for seed in stuck if seed.state == "conflict"), stuck[0])
        more = f", and {len(stuck) - 1} more" if len(stuck) > 1 else ""
        fixer = _MANAGER.format(" and ".join(first.managers)) if first.managers else ""
        return Condition("seeding", "false", first.state, f"{first.sentence}{more}.", "", fixer)
    if seen.seeds:
        return Condition("seeding", "unknown", "pending", f"{seen.seeds[0].sentence}.")
    if not seen.seeds_applied:
        return Condition("seeding", "unknown", "not_seen", "No object has been looked for yet.")
    count = f"{seen.seeds_applied} object{'s' if seen.seeds_applied > 1 else ''}"
    return Condition("seeding", "true", "as_wanted", f"{count} as wanted.")


def drift(seen: Seen) -> Condition | None:
    """What waits for a person, or could not be set back; None while there is nothing of the kind."""
    fought = [one for one in seen.drift if one.fought and one.needs_decision]
    waiting = [one for one in seen.drift if one.needs_decision]
    failed = [one for one in seen.drift if one.error and not one.needs_decision]
    if fought:
        text = f"{_field(fought[0])} is changed again each time it is set back, by {fought[0].actor or 'somebody'}."
        return Condition("drift", "false", "fought", text, "", _DECIDE)
    if waiting:
        first = waiting[0]
        by = f", changed by {first.actor}" if first.actor else ""
        more = f" {len(waiting) - 1} more need a decision." if len(waiting) > 1 else " It needs a decision."
        now, wanted = (value_in_words(first.kind, first.field, value) for value in (first.seen, first.wanted))
        text = f"{_field(first)} is {now}, not {wanted}{by}.{more}"
        return Condition("drift", "false", "needs_decision", text, "", _DECIDE)
    if failed:
        return Condition("drift", "false", "not_set_back", f"{_field(failed[0])} is not set back: {failed[0].error}")
    return None


def _field(one: DriftSeen) -> str:
    return f"{one.subject}: {field_in_words(one.kind, one.field)}"


# --- Credentials ------------------------------------------------------------------------------------------------------
def credentials(seen: Seen, now: datetime) -> Condition:
    """Whether we are let in everywhere, and go on to be."""
    ends, issued = seen.management_ends_at, seen.certificate_ends_at
    if ends and ends <= now:
        text = f"The client certificate for {seen.management} ended on {on(ends)}."
        return Condition("credentials", "false", "ended", text, "credential", _STORE_ANOTHER)
    if refused := next((trouble for trouble in seen.troubles if trouble.code == "credential"), None):
        fixer = refused.who_can_fix or who_can_fix("credential")
        return Condition("credentials", "false", "refused", refused.message, "credential", fixer)
    if seen.troubles:
        return _unknown("credentials", seen.troubles[0])
    if ends and ends <= now + STORED_ENDS:
        text = f"The client certificate for {seen.management} ends on {on(ends)}."
        return Condition("credentials", "false", "ends_soon", text, "", _STORE_ANOTHER)
    if issued and issued <= now + ISSUED_ENDS:
        ended = issued <= now
        text = f"Kamaji has not renewed the certificate that {'ended' if ended else 'ends'} on {on(issued)}."
        return Condition("credentials", "false", "ended" if ended else "not_renewed", text, "", _ISSUED)
    first = min((end for end in (ends, issued) if end), default=None)
    text = f"Accepted; the first certificate ends on {on(first)}." if first else "Accepted; no end is known."
    return Condition("credentials", "true", "accepted", text)
