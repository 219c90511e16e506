"""What a reader asks the audit trail for, and the events that answer: one way in for the page, its export and the API.

Only what the caller may read is ever searched, so a filter that names somebody else's object finds as little as one
that names nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from workspaces.models.event import Event, EventQuerySet
from workspaces.models.tenancy import Caller
from workspaces.models.workspace import Workspace

ACTOR_KINDS = {
    "account": "Person",
    "api_key": "API key",
    "platform": "Platform",
    "command": "Command",
    "database": "Database user",
    "anonymous": "Nobody signed in",
}


@dataclass(frozen=True, slots=True)
class Trail:
    """What to look for; empty parts do not narrow. `since` belongs to the span, `until` no more."""

    actor: str = ""  # a part of the name, or the id of an account or API key
    kind: str = ""  # of ACTOR_KINDS
    action: str = ""  # a noun ("workspace"), or an action whole ("workspace.changed")
    text: str = ""  # a part of the sentence
    organization: UUID | None = None
    project: UUID | None = None
    workspace: UUID | None = None
    workspace_name: str = ""  # a part of it
    operation: UUID | None = None
    request: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    told: bool = True  # False: every row change as well

    def read_by(self, caller: Caller) -> EventQuerySet:
        """The events that the caller may read and that this asks for, newest first."""
        events = Event.objects.readable(caller).filter(self._conditions(caller)).order_by("-id")
        return events.told() if self.told else events

    def _conditions(self, caller: Caller) -> Q:
        exact = {
            "actor_kind": self.kind,
            "organization_id": self.organization,
            "project_id": self.project,
            "workspace_id": self.workspace,
            "operation_id": self.operation,
            "request_id": self.request,
            "at__gte": self.since,
            "at__lt": self.until,
            "summary__icontains": self.text,
        }
        asked = Q(**{lookup: value for lookup, value in exact.items() if value})
        if self.actor:
            asked &= _actor(self.actor)
        if self.action:
            asked &= Q(action=self.action) | Q(action__startswith=f"{self.action}.")
        if self.workspace_name:
            named = Workspace.objects.allowing(caller).filter(name__icontains=self.workspace_name)
            asked &= Q(workspace_id__in=named.values("pk"))
        return asked


def _actor(text: str) -> Q:
    try:
        return Q(actor_id=UUID(text))
    except ValueError:
        return Q(actor_name__icontains=text)
