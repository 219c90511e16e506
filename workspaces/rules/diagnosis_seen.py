"""Causes that were seen: something is not as it should be, and a condition of the workspace says so."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from workspaces.rules import gate, looks
from workspaces.rules.diagnosis_causes import GOES_ON, Tone, cause, of
from workspaces.rules.diagnosis_facts import Cause, Facts, Link


def control_plane(facts: Facts, now: datetime) -> Cause | None:
    """Kamaji says that the control plane is not well."""
    seen = facts.condition("control_plane")
    if seen is None or seen.value != "false":
        return None
    headlines = {
        "gone": "the control plane is gone",
        "paused": "Kamaji is told to leave the control plane alone",
        "notready": "no API server of the control plane is ready",
        "sleeping": "the control plane is scaled to nothing",
        "writelimited": "Kamaji limits what may be written",
        "moving": "Kamaji has not brought the control plane to its version yet",
    }
    headline = headlines.get(seen.reason, f"Kamaji reports {seen.reason}")
    meaning = {
        "gone": "Its hosts go on with what they run, and nobody can change anything.",
        "paused": "What runs goes on. Upgrades wait until the annotation is removed.",
        "notready": "Its pods do not start, or its data store does not answer. Workloads keep running meanwhile.",
    }
    text = f"{seen.message} {meaning.get(seen.reason, GOES_ON)}"
    soft = seen.reason in ("paused", "moving")
    step = "" if soft else "Ask Kamaji's log and the pods of the control plane"
    tone: Tone = "warn" if soft else "bad"
    return of(seen, f"control_plane_{seen.reason}", headline, text, "control_plane", step, tone=tone)


def servers(facts: Facts, now: datetime) -> Cause | None:
    """Servers are off or gone, which explains hosts that are not ready."""
    seen = facts.condition("servers")
    if seen is None or seen.value != "false" or seen.reason not in ("off", "gone"):
        return None
    headline = "a server is switched off" if seen.reason == "off" else "a server is gone"
    link: Link = "drift" if seen.reason == "off" else ""
    step = "Decide about it" if link else ""
    return of(seen, f"server_{seen.reason}", headline, f"{seen.message} Its node cannot be ready.", "cloud", step, link)


def hosts(facts: Facts, now: datetime) -> Cause | None:
    """Hosts are not ready, and nothing before explains it."""
    seen = facts.condition("hosts")
    if seen is None or seen.value != "false":
        return None
    who = "Whoever runs the hosts: the system of the host itself says why."
    headline = "hosts are not ready, although the API answers" if facts.type == "kubernetes" else "hosts do not answer"
    text = f"{seen.message.rstrip('.')}. Pods on other hosts keep running."
    return replace(of(seen, "hosts_not_ready", headline, text, "tenant"), who_can_fix=seen.who_can_fix or who)


def seeding(facts: Facts, now: datetime) -> Cause | None:
    """An object of a manifest is held by somebody else, or refused; the workspace may be gated by it."""
    seen, gated = facts.condition("seeding"), facts.state_reason.startswith(gate.SEEDING)
    if facts.state == "gated" and gated and (seen is None or seen.value != "false"):
        text = f"{facts.state_reason} {GOES_ON}"
        return cause("gated_seeding", "seeding has not converged", text, "kept", None, tone="warn")
    if seen is None or seen.value != "false":
        return None
    conflict = seen.reason == "conflict"
    headline = f"seeding has not converged: {seen.message.rstrip('.')}"
    waits = "No change is made to the workspace until it has." if facts.state == "gated" and gated else GOES_ON
    asks = "Nothing is taken from another writer by force unless somebody decides so. " if conflict else ""
    code = f"{'gated' if facts.state == 'gated' and gated else 'seeding'}_{seen.reason}"
    step = "Leave the field to them, or have it set back" if conflict else ""
    tone: Tone = "warn" if conflict else "bad"
    return of(seen, code, headline, f"{asks}{waits}", "kept", step, "drift" if conflict else "", tone=tone)


def dns(facts: Facts, now: datetime) -> Cause | None:
    """A DNS record cannot be brought to what is wanted."""
    seen = facts.condition("dns")
    if seen is None or seen.value != "false" or seen.reason == "repairing":
        return None
    headline = "a DNS record is not as wanted"
    return of(seen, "dns_differs", headline, seen.message, "kept", "See the drift", "drift", tone="warn")


def drift(facts: Facts, now: datetime) -> Cause | None:
    """Something was changed outside, and a person has to say what is to be."""
    seen = facts.condition("drift")
    if seen is None or seen.value != "false":
        return None
    headlines = {
        "fought": "somebody changes back what is set back here",
        "needs_decision": "something was changed outside of Loopback",
        "not_set_back": "a change made outside cannot be set back",
    }
    text = f"{seen.message} Nothing is changed until somebody decides."
    headline = headlines.get(seen.reason, "drift")
    return of(seen, f"drift_{seen.reason}", headline, text, "kept", "Decide about it", "drift", tone="warn")


def certificates(facts: Facts, now: datetime) -> Cause | None:
    """A certificate ends soon, or has ended."""
    seen = facts.condition("credentials")
    if seen is None or seen.value != "false" or seen.reason not in ("ended", "ends_soon", "not_renewed"):
        return None
    # The end of what we store is a credential's trouble; the end of what Kamaji issues is Kamaji's.
    ours = seen.reason == "ends_soon" or bool(seen.error_class)
    look, ended = facts.look(looks.CONTROL_PLANES), seen.reason == "ended"
    headlines = {
        "ended": "a certificate has ended",
        "ends_soon": "a certificate ends soon",
        "not_renewed": "Kamaji has not renewed a certificate",
    }
    then = "Nothing can be looked at or changed with it." if ended else "Nothing is wrong yet; then nobody is let in."
    tone: Tone = "bad" if ended else "warn"
    found = of(
        seen, f"certificate_{seen.reason}", headlines[seen.reason], f"{seen.message} {then}", "control_plane", tone=tone
    )
    if not ours or look is None:
        return found
    return replace(found, next_step="Store another kubeconfig", link="management_cluster", link_pk=look.key)


def operation(facts: Facts, now: datetime) -> Cause | None:
    """The last operation did not get through, or the workspace is in error or gated for another reason."""
    if facts.failed_operation:
        text = f"{facts.attention} Nothing else is started meanwhile; a person continues from there."
        return cause(
            "operation_failed", "the last operation did not get through", text, "", None,
            "Whoever the operation's page names.", "See the operation", "operation", facts.failed_operation,
        )  # fmt: skip
    if facts.state in ("error", "gated"):
        said = facts.state_reason or facts.attention
        headline = "the workspace is in error" if facts.state == "error" else "changes are held back"
        tone: Tone = "bad" if facts.state == "error" else "warn"
        who = "The operator of the platform, who can see and change its state."
        return cause(f"state_{facts.state}", headline, said, "", None, who, tone=tone)
    return None
