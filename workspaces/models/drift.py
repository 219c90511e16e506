"""Drift: a field of something we keep that is not as wanted, with who changed it where an API tells.

One row from the look that finds it until it is as wanted again, accepted or gone; then it stays as a record, by which a
field that somebody else changes back again and again is recognized.
"""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from workspaces.models.infrastructure import Host
from workspaces.models.tenancy import Caller, Project
from workspaces.models.workspace import Workspace
from workspaces.rules import drift


class DriftQuerySet(models.QuerySet["Drift"]):
    """Drift by whether it is there, and who may see it."""

    def open(self) -> DriftQuerySet:
        """What is not as wanted now."""
        return self.filter(ended_at=None)

    def needs_decision(self) -> DriftQuerySet:
        """What waits for a person, who has not decided yet."""
        return self.open().filter(policy="decide", decision="")

    def allowing(self, caller: Caller, key: str = "workspace.view") -> DriftQuerySet:
        """That of workspaces on whose project the caller holds the permission `key`."""
        if caller.is_superuser:
            return self
        return self.filter(workspace__project__in=Project.objects.allowing(caller, key))


class Drift(models.Model):
    """One field of one thing of one workspace. `wanted` and `seen` are plain values; null: it is not there."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="drifts")
    kind = models.CharField(max_length=20, choices=drift.KINDS)
    # Of the host, the DNS record or the seed it is about; empty: the control plane.
    ref = models.CharField(max_length=36, blank=True)
    host = models.ForeignKey(Host, models.CASCADE, null=True, blank=True, related_name="drifts")
    subject = models.CharField(max_length=300, help_text="What a person calls it.")
    field = models.CharField(max_length=300)
    wanted = models.JSONField(null=True, blank=True)
    seen = models.JSONField(null=True, blank=True)
    actor = models.CharField(max_length=200, blank=True, help_text="Who changed it, as the API tells. Empty: unknown.")
    actor_at = models.DateTimeField(null=True, blank=True, help_text="When, as the API tells.")
    policy = models.CharField(max_length=10, choices=drift.POLICIES)
    reason = models.CharField(max_length=300, blank=True, help_text="Why it is not repaired by itself.")
    since = models.DateTimeField(help_text="When a look first saw it.")
    repairs = models.PositiveIntegerField(default=0, help_text="How often it was set back, in this row and before it.")
    repaired_at = models.DateTimeField(null=True, blank=True)
    fought = models.BooleanField(default=False, help_text="Somebody changes it back each time it is set back.")
    decision = models.CharField(max_length=10, blank=True, choices=drift.DECISIONS)
    decided_by = models.CharField(max_length=150, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True, help_text="Why the last repair failed.")
    ended_at = models.DateTimeField(null=True, blank=True)
    ending = models.CharField(max_length=10, blank=True, choices=drift.ENDINGS)
    objects = DriftQuerySet.as_manager()

    class Meta:
        ordering = ("subject", "field")
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "kind", "ref", "field"], condition=Q(ended_at=None), name="drift_open_once"
            )
        ]
        indexes = [
            models.Index(fields=["workspace", "-since"], name="drift_by_workspace"),
            models.Index(fields=["policy"], condition=Q(ended_at=None), name="drift_open"),
            models.Index(fields=["ended_at"], condition=Q(ended_at__isnull=False), name="drift_ended"),
        ]

    def __str__(self) -> str:
        return f"{self.subject}: {self.field}"
