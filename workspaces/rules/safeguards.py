"""What stands between a click and the deletion of a workspace: each safeguard, whether it blocks, and what would help.

The page shows them all, the API and the command too; the first that blocks is the refusal. Typing the name and the
acknowledgement of backups belong to the one form and are asked by `operations/deletion_schedule`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from workspaces.rules import lifecycle
from workspaces.rules.lifecycle import Tone
from workspaces.rules.refusal import Refused

# States from which a workspace may be deleted; one that never came up as well.
DELETABLE: Final = ("provisioning", "active", "gated", "error")


@dataclass(frozen=True, slots=True)
class Facts:
    """What the safeguards go by.

    `open_operation` is its id and title, `look` one of fresh, old, never, under_way. `not_asked` are the things that
    did not answer, in words. `certificates` and `revocable` count the kubeconfigs that are valid outside.
    """

    name: str
    state: str
    protected: bool
    open_operation: tuple[str, str] | None
    look: str
    not_asked: tuple[str, ...]
    volumes_removed: int
    volumes_kept: int
    certificates: int
    revocable: int
    second_person: bool
    # Whether a look has ever come to its end: before, nothing of the world is known.
    seen: bool = True


@dataclass(frozen=True, slots=True)
class Safeguard:
    """One line of the list. `note` says what it means or what would help."""

    code: str
    label: str
    tone: Tone
    value: str
    note: str = ""
    blocks: bool = False


def safeguards(facts: Facts) -> tuple[Safeguard, ...]:
    """All of them, in the order in which a person reads them."""
    return tuple(_each(facts))


def refuse(facts: Facts) -> Refused | None:
    """already_scheduled, not_deletable, protected, operation_running, not_looked: the first that blocks."""
    if facts.state == "deletion_scheduled":
        return Refused("already_scheduled", f"The deletion of {facts.name} is scheduled already.")
    if facts.state not in DELETABLE:
        label = lifecycle.WORKSPACE[facts.state].label.lower()
        return Refused("not_deletable", f"{facts.name} cannot be deleted: it is {label}.", {"state": facts.state})
    if facts.protected:
        return Refused("protected", f"{facts.name} is protected. Take the protection off first.")
    if facts.open_operation:
        pk, title = facts.open_operation
        said = f"{title} is running. Wait for it to end, or stop it."
        return Refused("operation_running", said, {"operation": pk})
    if facts.look != "fresh":
        said = "What belongs to it has not been looked at lately. Look first: a deletion is agreed to by name."
        return Refused("not_looked", said, {"look": facts.look})
    return None


def _each(facts: Facts) -> Iterator[Safeguard]:
    if facts.state not in DELETABLE:
        yield Safeguard("state", "State", "bad", lifecycle.WORKSPACE[facts.state].label, blocks=True)
    if facts.protected:
        note = "Take the protection off first; whoever did that stands in the audit log."
        yield Safeguard("protection", "Deletion protection", "bad", "on", note, blocks=True)
    else:
        yield Safeguard("protection", "Deletion protection", "ok", "off")
    if facts.open_operation:
        note = "Wait for it to end, or stop it."
        yield Safeguard("operation", "Other work", "bad", facts.open_operation[1], note, blocks=True)
    else:
        yield Safeguard("operation", "Other work", "ok", "none")
    yield _look(facts)
    yield _data(facts)
    yield _kubeconfigs(facts)
    if facts.second_person:
        note = "After it is scheduled, another administrator has to agree. That prevents accidents, not intent."
        yield Safeguard("second_person", "Second person", "warn", "needed", note)


def _look(facts: Facts) -> Safeguard:
    label = "What belongs to it"
    if facts.look == "under_way":
        return Safeguard("inventory", label, "idle", "being looked at", blocks=True)
    if facts.look != "fresh":
        ago = "looked at too long ago" if facts.seen else "the last look broke off"
        value = "not looked at yet" if facts.look == "never" else ago
        return Safeguard("inventory", label, "bad", value, "Look again: a deletion is agreed to by name.", blocks=True)
    if facts.not_asked:
        note = f"{'; '.join(facts.not_asked)}. What is there under its label is deleted once it answers, unseen by you."
        return Safeguard("inventory", label, "warn", "not all of it answered", note)
    return Safeguard("inventory", label, "ok", "looked at just now")


def _data(facts: Facts) -> Safeguard:
    label = "Data"
    if not facts.seen:
        return Safeguard("data", label, "idle", "not known yet", "Volumes are told once somebody has looked.")
    if facts.volumes_removed:
        count = _count(facts.volumes_removed, "volume")
        note = "Loopback makes no backups. What you need of them has to be copied before the deletion begins."
        return Safeguard("data", label, "warn", f"{count} deleted for good", note)
    if facts.volumes_kept:
        note = "They stay at the provider, with their data, and go on costing."
        return Safeguard("data", label, "ok", f"{_count(facts.volumes_kept, 'volume')} kept", note)
    return Safeguard("data", label, "ok", "no volumes", "The disks of its hosts go with them.")


def _kubeconfigs(facts: Facts) -> Safeguard:
    label, count = "Kubeconfigs outside", facts.certificates + facts.revocable
    if not count:
        return Safeguard("kubeconfigs", label, "ok", "none")
    notes = []
    if facts.revocable:
        notes.append(f"{facts.revocable} can be revoked, and is when the deletion gets there.")
    if facts.certificates:
        notes.append(
            f"{facts.certificates} with a client certificate cannot be taken back: it works until the control plane is "
            "gone, its certificate ends, or the certificate authority is changed."
        )
    return Safeguard("kubeconfigs", label, "warn", f"{count} valid", " ".join(notes))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
