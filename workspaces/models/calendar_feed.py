"""The secret address under which a project's maintenance can be read as an iCalendar feed, without signing in.

The address is shown once; only its hash is stored. Making a new one ends the old one.
"""

from __future__ import annotations

import hashlib
import secrets
import uuid

from django.db import models, transaction
from django.utils import timezone

from workspaces.models.audit import Actor
from workspaces.models.event import Event
from workspaces.models.tenancy import Project


class CalendarFeed(models.Model):
    """A project's feed. Whoever knows the address reads it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.OneToOneField(Project, models.CASCADE, related_name="calendar_feed")
    # The secret has 256 bits of entropy, so a plain hash is enough.
    digest = models.CharField(max_length=64, unique=True, editable=False)
    made_by_name = models.CharField(max_length=150)
    made_at = models.DateTimeField(default=timezone.now)
    last_read_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"Calendar feed of {self.project}"

    @classmethod
    def make(cls, project: Project, by: Actor) -> str:
        """Give the project's feed a new address and return its secret part, which cannot be had again."""
        secret = secrets.token_urlsafe(32)
        with transaction.atomic():
            cls.objects.update_or_create(
                project=project,
                defaults={
                    "digest": _digest(secret),
                    "made_by_name": by.name,
                    "made_at": timezone.now(),
                    "last_read_at": None,
                },
            )
            Event.record(by, "calendar_feed.made", project=project, summary="Made a new address for the calendar feed")
        return secret

    @classmethod
    def end(cls, project: Project, by: Actor) -> bool:
        """End the feed; False when there is none."""
        with transaction.atomic():
            ended, _ = cls.objects.filter(project=project).delete()
            if ended:
                Event.record(by, "calendar_feed.ended", project=project, summary="Ended the calendar feed")
        return bool(ended)

    @classmethod
    def found(cls, secret: str) -> CalendarFeed | None:
        """The feed with this secret, or None."""
        return cls.objects.select_related("project__organization").filter(digest=_digest(secret)).first()


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
