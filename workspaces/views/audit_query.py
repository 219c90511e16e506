"""What a reader asks the audit log for: words in the address, read strictly, and the trail they mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpRequest

from workspaces.models.trail import ACTOR_KINDS, Trail
from workspaces.rules.ids import as_id

# The first part of every action: what our own sentences speak of, and what the watched tables hold (migration 0004).
NOUNS = {
    "account": "Accounts and sign-in",
    "admin": "Support admin",
    "advisory": "Advisories",
    "agreement": "Agreements",
    "agreement_clause": "Agreement clauses",
    "api_key": "API keys",
    "audit": "Audit log",
    "ca_rotation": "Authority changes",
    "calendar_feed": "Calendar feeds",
    "compute_profile": "Compute profiles",
    "decision": "Decisions",
    "deletion": "Deletions",
    "deletion_policy": "Deletion policies",
    "dns_record": "DNS records",
    "drift": "Drift",
    "fleet": "Fleet",
    "hold": "Holds",
    "host": "Hosts",
    "host_order": "Host orders",
    "host_removal": "Host removals",
    "host_resize": "Host resizes",
    "integration": "Integrations",
    "invitation": "Invitations",
    "kubeconfig": "Kubeconfigs",
    "kubernetes_version": "Kubernetes versions",
    "log_line": "Log lines",
    "maintenance": "Maintenance",
    "maintenance_plan": "Maintenance plans",
    "manifest": "Manifests",
    "management_cluster": "Management clusters",
    "membership": "Memberships",
    "operation": "Operations",
    "organization": "Organizations",
    "package_update": "Package updates",
    "permission_of_staff_group": "Permissions of staff groups",
    "profile_location": "Profile locations",
    "project": "Projects",
    "provider_account": "Provider accounts",
    "rollout": "Rollouts",
    "second_factor": "Second factors",
    "seeding": "Seeding",
    "single_sign-on": "Single sign-on",
    "server": "Servers",
    "ssh_key": "SSH keys",
    "staff_group": "Staff groups",
    "staff_group_of_account": "Staff groups of accounts",
    "staff_permission_of_account": "Staff permissions of accounts",
    "step": "Steps",
    "transfer": "Transfers",
    "upgrade": "Upgrades",
    "version_of_advisory": "Versions of advisories",
    "workspace": "Workspaces",
}
_FILTERS = ("q", "who", "kind", "action", "organization", "project", "workspace", "operation", "request", "from", "to")
_IDS = {"organization": "the id of an organization", "project": "the id of a project", "operation": "an operation’s id"}
_IDS |= {"request": "a request’s id"}
_MORE = ("kind", "workspace", "operation", "request", "from", "to")


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """The filters as words of the address, the trail they mean, and where the page begins (an event's id)."""

    words: dict[str, str]
    trail: Trail
    before: int | None = None
    after: int | None = None
    notes: list[str] = field(default_factory=list)

    def address(self, **more: object) -> str:
        """The query string of the newest page of this list, with `more`."""
        return f"?{urlencode(self.words | {name: str(value) for name, value in more.items()})}"

    @property
    def filters(self) -> dict[str, str]:
        """What narrows the list."""
        return {name: word for name, word in self.words.items() if name in _FILTERS}

    @property
    def asks_more(self) -> bool:
        """Whether one of the filters in the fold is used."""
        return any(name in self.words for name in _MORE)


def parse(request: HttpRequest) -> AuditQuery:
    """The query of a request. Words that mean nothing are left out with a note; ids are not looked up."""
    asked = {name: request.GET.get(name, "").replace("\0", "").strip()[:100] for name in (*_FILTERS, "rows")}
    words, notes = {name: word for name, word in asked.items() if word}, list[str]()
    ids = {name: _read(words, notes, name, UUID, noun) for name, noun in _IDS.items()}
    since = _read(words, notes, "from", _midnight, "a date such as 2026-11-24")
    until = _read(words, notes, "to", _midnight, "a date such as 2026-11-24")
    _read(words, notes, "kind", ACTOR_KINDS.__getitem__, "a kind of actor")
    _read(words, notes, "rows", {"all": True}.__getitem__, "a way to show rows")
    workspace = as_id(words.get("workspace", ""))
    trail = Trail(
        actor=words.get("who", ""),
        kind=words.get("kind", ""),
        action=words.get("action", ""),
        text=words.get("q", ""),
        workspace=workspace,
        workspace_name="" if workspace else words.get("workspace", ""),
        since=since,
        until=until,
        told="rows" not in words,
        **ids,
    )
    return AuditQuery(words, trail, _position(request, "before"), _position(request, "after"), notes)


def _read[T](words: dict[str, str], notes: list[str], name: str, read: Callable[[str], T], noun: str) -> T | None:
    """The word as a value; one that is none is taken out of `words` and noted."""
    if name not in words:
        return None
    try:
        return read(words[name])
    except (ValueError, KeyError):
        notes.append(f"“{words.pop(name)[:40]}” is not {noun}, so it is left out.")
        return None


def _midnight(text: str) -> datetime:
    return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)


def _position(request: HttpRequest, name: str) -> int | None:
    text = request.GET.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None
