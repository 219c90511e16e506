"""Who did what, when: written in the transaction of the change itself, and never changed afterwards."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import models
from django.utils import timezone

if TYPE_CHECKING:
    from workspaces.models.api_key import ApiKey
    from workspaces.models.operation import Operation
    from workspaces.models.tenancy import Account
    from workspaces.models.workspace import Workspace


@dataclass(frozen=True)
class Actor:
    """Who acts: a person, an API key, or the platform itself. `name` is kept even when the account is gone."""

    kind: str  # "account", "api_key" or "platform"
    name: str
    account_id: uuid.UUID | None = None

    @classmethod
    def of(cls, account: Account) -> Actor:
        """A signed-in person."""
        return cls("account", str(account), account.pk)

    @classmethod
    def of_key(cls, key: ApiKey) -> Actor:
        """A script with an API key."""
        return cls("api_key", f"API key {key.name}", key.pk)


PLATFORM = Actor("platform", "Loopback")


class Event(models.Model):
    """One line of the audit trail. Append-only: the database refuses UPDATE and DELETE (migration 0002)."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(default=timezone.now, db_index=True)
    actor_kind = models.CharField(max_length=10)
    actor_name = models.CharField(max_length=150)
    actor_id = models.UUIDField(null=True, blank=True)
    action = models.CharField(max_length=60)
    # Plain ids, not foreign keys: the trail outlives what it speaks of.
    organization_id = models.UUIDField(null=True, blank=True)
    project_id = models.UUIDField(null=True, blank=True)
    workspace_id = models.UUIDField(null=True, blank=True)
    operation_id = models.UUIDField(null=True, blank=True)
    summary = models.TextField()
    changes = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ("-id",)
        indexes = [models.Index(fields=["workspace_id", "-id"], name="event_by_workspace")]

    def __str__(self) -> str:
        return f"{self.actor_name}: {self.summary}"

    @classmethod
    def record(
        cls,
        actor: Actor,
        action: str,
        *,
        summary: str,
        workspace: Workspace | None = None,
        operation: Operation | None = None,
        changes: dict[str, Any] | None = None,
    ) -> Event:
        """Append one event; call it inside the transaction that makes the change."""
        return cls.objects.create(
            actor_kind=actor.kind,
            actor_name=actor.name,
            actor_id=actor.account_id,
            action=action,
            organization_id=workspace.project.organization_id if workspace else None,
            project_id=workspace.project_id if workspace else None,
            workspace_id=workspace.pk if workspace else None,
            operation_id=operation.pk if operation else None,
            summary=summary,
            changes=changes or {},
        )
