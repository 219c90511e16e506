"""Looks: one row for each loop over each target, with its pace, how the last look went and what the last day was like.

What a look has seen stands on the rows it has seen. How often to look is `rules/looks.py`; looking, `operations/`.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db import models
from django.db.models import Q
from django.utils import timezone

from workspaces.models.infrastructure import ManagementCluster, ProviderAccount
from workspaces.models.workspace import Workspace
from workspaces.rules import looks
from workspaces.rules.trouble import Trouble


class Look(models.Model):
    """One loop over one target: exactly one of the three keys is set, as `rules/looks.LOOPS` says for its kind."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=20, choices=looks.KINDS)
    management_cluster = models.ForeignKey(
        ManagementCluster, models.CASCADE, null=True, blank=True, related_name="looks"
    )
    provider_account = models.ForeignKey(ProviderAccount, models.CASCADE, null=True, blank=True, related_name="looks")
    workspace = models.ForeignKey(Workspace, models.CASCADE, null=True, blank=True, related_name="looks")
    every = models.FloatField(help_text="Seconds between two looks, as long as it answers.")
    # Pushed on as soon as a look is handed to a worker: one that gets lost on the way is made up for a period later.
    due_at = models.DateTimeField(default=timezone.now)
    # Held while a worker looks, so that no second one looks at the same; a killed worker's lease runs out.
    lease_until = models.DateTimeField(null=True, blank=True)
    tried_at = models.DateTimeField(null=True, blank=True, help_text="When the last look began.")
    succeeded_at = models.DateTimeField(null=True, blank=True, help_text="When the last look that saw something began.")
    milliseconds = models.PositiveIntegerField(null=True, blank=True, help_text="What the last look took.")
    failures = models.PositiveIntegerField(default=0, help_text="In a row.")
    felt = models.BooleanField(
        default=False, help_text="What it was to see is unknown: it failed for good, or more than once in a row."
    )
    failing_since = models.DateTimeField(null=True, blank=True)
    error_code = models.CharField(max_length=30, blank=True)
    error = models.TextField(blank=True)
    who_can_fix = models.CharField(max_length=200, blank=True)
    # [minutes since 1970 of the half hour, longest look in ms, looks that failed], oldest first, of the last day.
    samples = models.JSONField(default=list, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(management_cluster__isnull=False, provider_account=None, workspace=None)
                | Q(management_cluster=None, provider_account__isnull=False, workspace=None)
                | Q(management_cluster=None, provider_account=None, workspace__isnull=False),
                name="look_has_one_target",
            ),
            models.UniqueConstraint(
                fields=["management_cluster", "kind"],
                condition=Q(management_cluster__isnull=False),
                name="look_once_per_cluster",
            ),
            models.UniqueConstraint(
                fields=["provider_account", "kind"],
                condition=Q(provider_account__isnull=False),
                name="look_once_per_account",
            ),
            models.UniqueConstraint(
                fields=["workspace", "kind"], condition=Q(workspace__isnull=False), name="look_once_per_workspace"
            ),
        ]
        indexes = [models.Index(fields=["due_at"], name="look_due")]

    def __str__(self) -> str:
        return f"{looks.LOOPS[self.kind].label} of {self.management_cluster or self.provider_account or self.workspace}"

    @property
    def trouble(self) -> Trouble | None:
        """Why the last look failed; None when it did not."""
        return Trouble(self.error_code, self.error, self.who_can_fix) if self.error_code else None

    def is_fresh(self, now: datetime) -> bool:
        """Whether what it saw may still be called present."""
        return looks.is_fresh(self.succeeded_at, self.every, now)
