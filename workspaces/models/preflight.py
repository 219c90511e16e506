"""Preflights: what a worker saw when it asked whether a workspace may be upgraded, with the age of each answer.

What is looked at is `operations/preflight.py`, what it means `rules/preflight.py`. A page asks for one by a row and
reads the row; the upgrade's own first step leaves another, tied to its operation.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from workspaces.models.operation import Operation
from workspaces.models.workspace import Workspace

# A look that nobody has begun or ended for so long is lost: its worker died, or the queue was emptied.
LOST_AFTER = timedelta(seconds=120)


class PreflightQuerySet(models.QuerySet["Preflight"]):
    """Preflights by what they are about."""

    def about(self, workspace: Workspace, target: str) -> PreflightQuerySet:
        """Newest first."""
        return self.filter(workspace=workspace, target=target).order_by("-asked_at")


class Preflight(models.Model):
    """One look at everything that could stand in the way of the hop to `target`.

    `checks` are documents of `rules.preflight.Check`; `blast` says whom the upgrade touches (`rules.blast`).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="preflights")
    target = models.CharField(max_length=30)
    operation = models.ForeignKey(Operation, models.CASCADE, null=True, blank=True, related_name="preflights")
    asked_by = models.CharField(max_length=150)
    asked_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    checks = models.JSONField(default=list, blank=True)
    blast = models.JSONField(default=dict, blank=True)
    error = models.CharField(max_length=300, blank=True, help_text="Why the look broke off.")
    objects = PreflightQuerySet.as_manager()

    class Meta:
        ordering = ("-asked_at",)
        indexes = [models.Index(fields=["workspace", "target", "-asked_at"], name="preflight_newest")]

    def __str__(self) -> str:
        return f"Preflight of {self.workspace} for {self.target}"

    @classmethod
    def ask(cls, workspace: Workspace, target: str, by: str) -> tuple[Preflight, bool]:
        """The look that is under way, else a new one; and whether it is new and has to be handed to a worker.

        Older looks nobody refers to are removed: the newest answers, those of operations are their evidence.
        """
        about = cls.objects.about(workspace, target)
        under_way = about.filter(finished_at=None, asked_at__gt=timezone.now() - LOST_AFTER).first()
        if under_way:
            return under_way, False
        newest = about.filter(operation=None).exclude(finished_at=None).first()
        about.filter(operation=None).exclude(pk__in=[newest.pk] if newest else []).delete()
        return cls.objects.create(workspace=workspace, target=target, asked_by=by), True

    @classmethod
    def latest(cls, workspace: Workspace, target: str, end: str) -> Preflight | None:
        """The newest that has ended and says something about an upgrade through `target` to `end`, whoever asked.

        One of an operation that went further has looked for what stands in the way of more.
        """
        same_way = Q(operation=None) | Q(operation__parameters__to=end)
        return cls.objects.about(workspace, target).filter(same_way).exclude(finished_at=None).first()

    def is_lost(self, now: datetime) -> bool:
        """Whether it will never end."""
        return self.finished_at is None and now - self.asked_at > LOST_AFTER

    def is_fresh(self, now: datetime) -> bool:
        """Whether it is recent enough to refuse a start by: older ones are only shown."""
        limit = timedelta(seconds=settings.LOOPBACK_PREFLIGHT_SECONDS)
        return self.finished_at is not None and not self.error and now - self.finished_at <= limit
