"""The questions of a preflight about the control plane, credentials and the tenant's API: each from what was seen.

Those about hosts and their pods are `preflight_hosts.py`; which of them stop an upgrade is `preflight.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from workspaces.rules.preflight_seen import ControlPlane, Credential, DeprecatedUse, Seen, Unknown
from workspaces.rules.upgrades import Hop
from workspaces.rules.versions import is_version, minor_of

Result = Literal["pass", "fail", "cannot_tell"]
OPERATOR: Final = "The operator of the management cluster"
GONE: Final = Unknown("Its control plane is not on the management cluster any more.", f"{OPERATOR}.")
ENDS_TOO_SOON: Final = timedelta(hours=24)
ENDS_SOON: Final = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one question; `details` are names, as many as there are."""

    result: Result
    evidence: str
    details: tuple[str, ...] = ()
    who_can_fix: str = ""


def passed(evidence: str, details: Collection[str] = ()) -> Answer:
    """As it should be."""
    return Answer("pass", evidence, tuple(details))


def failed(evidence: str, who_can_fix: str, details: Collection[str] = ()) -> Answer:
    """Not as it should be."""
    return Answer("fail", evidence, tuple(details), who_can_fix)


def cannot_tell(unknown: Unknown, details: Collection[str] = ()) -> Answer:
    """What could not be asked is never taken for good."""
    return Answer("cannot_tell", unknown.why, tuple(details), unknown.who_can_fix)


def count(number: int, noun: str) -> str:
    """ "1 host", "2 hosts"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def be(number: int) -> str:
    """ "is" for one, "are" for more."""
    return "is" if number == 1 else "are"


def have(number: int) -> str:
    """ "has" for one, "have" for more."""
    return "has" if number == 1 else "have"


# --- Control plane ----------------------------------------------------------------------------------------------------
def control_plane(seen: Seen, hop: Hop, _: datetime) -> Answer:
    """Ready, settled, and moved by nobody else."""
    plane = seen.control_plane
    if isinstance(plane, Unknown):
        return cannot_tell(plane)
    if plane is None:
        return failed(GONE.why, GONE.who_can_fix)
    if not isinstance(seen.waiting, Unknown) and seen.waiting and _is_cured_by(plane, hop):
        return passed(f"Kamaji cannot start {plane.wanted}. {hop.to} of the same minor takes its place.", seen.waiting)
    if trouble := next(_troubles(plane, hop), None):
        sentence, what = trouble
        return failed(sentence, f"{OPERATOR}{', by ' if what else ''}{what}.")
    if isinstance(seen.waiting, Unknown):
        return cannot_tell(seen.waiting)
    if seen.waiting:
        said = f"{count(len(seen.waiting), 'pod')} of the control plane cannot start."
        return failed(said, f"{OPERATOR}, by removing what keeps it from starting.", seen.waiting)
    ready = f"{plane.ready_replicas} of {count(plane.replicas, 'replica')} ready"
    if plane.wanted != plane.running:
        return passed(f"Kamaji is on the way from {plane.running} to {plane.wanted} already, {ready}.")
    return passed(f"Kamaji says {plane.status}: {plane.running} runs, {ready}.")


def _is_cured_by(plane: ControlPlane, hop: Hop) -> bool:
    """Whether another patch gets a rollout going whose pods cannot start, such as one whose image does not exist."""
    stuck = plane.status == "Upgrading" and not plane.paused and not plane.deleting and is_version(plane.wanted)
    return stuck and plane.wanted != hop.to and minor_of(plane.wanted) == minor_of(hop.to)


def _troubles(plane: ControlPlane, hop: Hop) -> Iterator[tuple[str, str]]:
    """What keeps Kamaji from moving it, and what helps. Kamaji itself takes a version and says nothing."""
    under_way = plane.wanted != plane.running and plane.wanted == hop.to
    if plane.deleting:
        yield "The control plane is being deleted.", ""
    if plane.paused:
        yield (
            "The annotation kamaji.clastix.io/paused keeps Kamaji from working on it.",
            "removing the annotation",
        )
    if plane.status == "Sleeping" or plane.replicas == 0:
        yield "The control plane is asleep (0 replicas): nothing would run the new version.", "waking it up"
    if plane.status == "WriteLimited":
        yield (
            "Kamaji limits writes to it (WriteLimited): it would stay at its version, and no host could be closed.",
            "lifting the limit",
        )
    if plane.wanted != plane.running and not under_way:
        yield f"{plane.running or 'Nothing'} runs, and {plane.wanted} has been asked for.", "finding out who asked"
    if not plane.settled:
        yield "Kamaji has not processed the latest change of it.", "reading Kamaji's log"
    if plane.status != "Ready" and not (under_way and plane.status == "Upgrading"):
        yield f"Kamaji says {plane.status or 'nothing'}.", "looking at the control plane's pods and Kamaji's log"
    if plane.ready_replicas < plane.replicas:
        ready = f"{plane.ready_replicas} of {count(plane.replicas, 'replica')}"
        yield f"{ready} of the control plane {be(plane.ready_replicas)} ready.", "looking at the control plane's pods"


def data_store(seen: Seen, _: Hop, __: datetime) -> Answer:
    """Without it Kamaji leaves its control planes as they are, without a word."""
    store = seen.data_store
    if isinstance(store, Unknown):
        return cannot_tell(store)
    if not store.exists:
        return failed(f"DataStore {store.name} does not exist.", f"{OPERATOR}, by restoring it.")
    if not store.ready:
        said = f"DataStore {store.name} is not ready: Kamaji would take the new version and do nothing."
        return failed(said, f"{OPERATOR}, by bringing the data store back.")
    return passed(f"DataStore {store.name} ({store.driver}) is ready.")


def control_plane_replicas(seen: Seen, hop: Hop, _: datetime) -> Answer:
    """One replica is an outage to announce."""
    plane = seen.control_plane or GONE
    if isinstance(plane, Unknown):
        return cannot_tell(plane)
    if hop.from_ == hop.to:
        return passed("The control plane does not move.")
    if plane.replicas < 2:
        runs = "1 replica runs" if plane.replicas else "No replica runs"
        said = f"{runs}, so the API server does not answer while it moves. The workloads go on."
        return failed(said, f"{OPERATOR}, by giving it a second replica.")
    return passed(f"{plane.replicas} replicas move one after the other, and the API server answers meanwhile.")


def pinned_addons(seen: Seen, hop: Hop, _: datetime) -> Answer:
    """An image tag in the control plane's spec is not moved by an upgrade."""
    plane = seen.control_plane or GONE
    if isinstance(plane, Unknown):
        return cannot_tell(plane)
    pinned = [f"{name} {tag}" for name, tag in plane.pinned if tag.removeprefix("v") != hop.to]
    if pinned:
        said = f"Kamaji leaves {count(len(pinned), 'add-on')} at a set image tag: {', '.join(pinned)}."
        return failed(said, f"{OPERATOR}, by setting the tag anew or removing it.", pinned)
    return passed("No add-on has a set image tag: Kamaji moves them.")


# --- Around it --------------------------------------------------------------------------------------------------------
def no_open_operation(seen: Seen, _: Hop, __: datetime) -> Answer:
    """One at a time."""
    if seen.open_operation:
        said = f"{seen.open_operation} has not ended."
        return failed(said, "An administrator, by waiting for it or stopping it.")
    return passed("No other operation is open.")


def credentials(seen: Seen, _: Hop, now: datetime) -> Answer:
    """Both kubeconfigs are accepted and stay so for a day."""
    both = (seen.management, seen.tenant)
    troubles = [(credential, credential.trouble) for credential in both if credential.trouble]
    refused = next((trouble for credential, trouble in troubles if credential.refused), None)
    if refused:
        return failed(refused.why, refused.who_can_fix)
    ending = [credential for credential in both if _ends_within(credential, ENDS_TOO_SOON, now)]
    if late := next((credential for credential in ending if not credential.reissued), None):
        who = "The operator of the platform, by storing a new kubeconfig."
        return failed(f"{late.name}: its client certificate {_end(late, now)}.", who)
    if troubles:
        return cannot_tell(troubles[0][1])
    said = [
        f"{credential.name}: certificate {_end(credential, now)}{', and Kamaji makes it anew' * credential.reissued}"
        for credential in both
        if _ends_within(credential, ENDS_SOON, now)
    ]
    return passed(f"{' and '.join(credential.name for credential in both)} are accepted.", said)


def _ends_within(credential: Credential, limit: timedelta, now: datetime) -> bool:
    return credential.ends_at is not None and credential.ends_at - now <= limit


def _end(credential: Credential, now: datetime) -> str:
    if credential.ends_at is None:
        return "does not end"
    word = "ended" if credential.ends_at <= now else "ends"
    return f"{word} on {credential.ends_at:%d %b %Y at %H:%M} UTC"


# --- The tenant's API -------------------------------------------------------------------------------------------------
def admission_webhooks(seen: Seen, _: Hop, __: datetime) -> Answer:
    """One that fails closed and answers nobody refuses every change of a pod or a node."""
    if isinstance(seen.webhooks, Unknown):
        return cannot_tell(seen.webhooks)
    strict = [webhook for webhook in seen.webhooks if webhook.strict]
    silent = [f"{webhook.name} ({webhook.service})" for webhook in strict if webhook.answers is False]
    if silent:
        nobody = "its service has" if len(silent) == 1 else "their services have"
        said = (
            f"{count(len(silent), 'webhook')} must answer before a pod or node changes, and {nobody} no ready endpoint."
        )
        return failed(said, "The owners of these webhooks, by bringing their services back.", silent)
    if unknown := next((webhook.answers for webhook in strict if isinstance(webhook.answers, Unknown)), None):
        return cannot_tell(unknown, [webhook.name for webhook in strict if isinstance(webhook.answers, Unknown)])
    outside = [webhook.name for webhook in strict if webhook.answers is None]
    asked = len(strict) - len(outside)
    left = f" {count(len(outside), 'webhook')} outside of the cluster {be(len(outside))} not asked." if outside else ""
    if not asked:
        return passed(f"No service has to answer before a pod or node changes.{left}", outside)
    return passed(f"{count(asked, 'webhook')} must answer before a pod or node changes, and can.{left}", outside)


def deprecated_apis(seen: Seen, hop: Hop, now: datetime) -> Answer:
    """APIs that somebody asks for and the new version does not have."""
    use, end = seen.deprecated, seen.end or hop.to
    if isinstance(use, Unknown):
        return cannot_tell(use)
    if is_version(hop.from_) and minor_of(hop.from_) == minor_of(end):
        return passed(f"Within {minor_of(end)[0]}.{minor_of(end)[1]} no API is removed.")
    names = {api: f"{api.name} (removed in {api.removed_release or 'no version so far'})" for api in use.apis}
    removed = {api: _removed(api.removed_release, end) for api in use.apis}
    if gone := [names[api] for api, is_removed in removed.items() if is_removed]:
        said = f"{count(len(gone), 'API')} in use {be(len(gone))} not in {end} any more. Counted {_since(use, now)}."
        return failed(said, "The owners of the clients, by moving them to the API that follows.", gone)
    if unread := [names[api] for api, is_removed in removed.items() if is_removed is None]:
        said = f"When {count(len(unread), 'API')} in use {be(len(unread))} removed cannot be read."
        return cannot_tell(Unknown(said, "The owners of the clients, by looking it up."), unread)
    if names:
        said = f"{count(len(names), 'deprecated API')} {be(len(names))} in use, and {end} still has all of them."
        return passed(f"{said} Counted {_since(use, now)}.", names.values())
    return passed(f"No deprecated API was asked for {_since(use, now)}.")


def _removed(release: str, target: str) -> bool | None:
    """Whether `target` is without it; None when the release cannot be read. As numbers: 1.9 comes before 1.29."""
    if not release:
        return False
    text = f"{release}.0"
    return minor_of(text) <= minor_of(target) if is_version(text) else None


def _since(use: DeprecatedUse, now: datetime) -> str:
    if use.since is None:
        return "since the API servers started (they do not say when)"
    hours = (now - use.since).total_seconds() / 3600
    age = f"{hours / 24:.0f} d" if hours >= 48 else f"{hours:.0f} h" if hours >= 1 else f"{hours * 60:.0f} min"
    day = "" if use.since.date() == now.date() else f"{use.since:%d %b} "
    return f"since the API servers started ({day}{use.since:%H:%M} UTC, {age} ago)"
