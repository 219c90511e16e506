"""Deletion as rows: the operator's policy, a deletion from the asking to the receipt, and what a worker saw beforehand.

When it begins is `operations/deletion_schedule.py`, what it does `operations/deletion.py`; which order is possible,
`rules/deletion.py`; what it would remove, `models/deletion_plan.py`.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q, Value
from django.utils import timezone

from workspaces.models.operation import Operation
from workspaces.models.tenancy import Organization
from workspaces.models.workspace import Workspace
from workspaces.rules import deletion
from workspaces.rules.deletion import PolicyStep
from workspaces.rules.deletion_plan import Plan

STATES = [
    ("scheduled", "Scheduled"),
    ("undone", "Undone"),
    ("running", "Running"),
    ("done", "Done"),
    ("forgotten", "Forgotten"),
]
OPEN = ("scheduled", "running")
# A look that nobody has begun or ended for so long is lost: its worker died, or the queue was emptied.
LOST_AFTER = timedelta(seconds=120)


def default_grace() -> int:
    """The platform's hours of grace (setting LOOPBACK_DELETION_GRACE_HOURS)."""
    return int(settings.LOOPBACK_DELETION_GRACE_HOURS)


def default_steps() -> list[dict[str, str]]:
    """The steps of a policy that nobody has changed."""
    return deletion.document_of(deletion.DEFAULT)


class DeletionPolicy(models.Model):
    """What is deleted and what is kept, in which order, for one organization or (without one) for the platform."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.OneToOneField(
        Organization,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="deletion_policy",
        help_text="Empty: every organization without a policy of its own.",
    )
    steps = models.JSONField(default=default_steps, help_text="In order: a step and delete or keep.")
    grace_hours = models.PositiveSmallIntegerField(
        default=default_grace,
        validators=[MaxValueValidator(720)],
        help_text="Between the asking and the first step, 0 to 720; until then it can be undone.",
    )
    second_person = models.BooleanField(
        default=False,
        help_text="Another administrator has to agree. It prevents accidents; it is no protection against intent.",
    )

    class Meta:
        verbose_name_plural = "deletion policies"
        constraints = [
            models.UniqueConstraint(
                Value(True), condition=Q(organization=None), name="one_deletion_policy_of_the_platform"
            )
        ]

    def __str__(self) -> str:
        return f"Deletion policy of {self.organization or 'the platform'}"

    def clean(self) -> None:
        """Refuse an order that a deletion could not follow."""
        if faults := deletion.faults_of(self.steps):
            raise ValidationError({"steps": faults})

    @classmethod
    def of(cls, organization: Organization) -> DeletionPolicy:
        """The organization's own, else the platform's, else the default (not saved; one query)."""
        rows = cls.objects.filter(Q(organization=organization) | Q(organization=None))
        return rows.order_by(models.F("organization").asc(nulls_last=True)).first() or cls()

    @property
    def read_steps(self) -> tuple[PolicyStep, ...]:
        """The steps as values."""
        return deletion.read(self.steps)


class Deletion(models.Model):
    """One deletion of one workspace, from the asking to the receipt. At most one of a workspace is open.

    `plan` (of `rules.deletion_plan.Plan`) is what was agreed to, `receipt` (of `rules/deletion_receipt`) what
    became of it. `state_before` is the workspace's state, which an undo brings back.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey(Workspace, models.PROTECT, related_name="deletions")
    state = models.CharField(max_length=10, choices=STATES, default="scheduled")
    requested_by = models.CharField(max_length=150)
    requested_by_kind = models.CharField(max_length=10, default="account")
    requested_by_id = models.UUIDField(null=True, blank=True)
    requested_at = models.DateTimeField(default=timezone.now)
    reason = models.CharField(max_length=200, blank=True)
    begins_at = models.DateTimeField()
    needs_approval = models.BooleanField(default=False)
    approved_by = models.CharField(max_length=150, blank=True)
    approved_by_id = models.UUIDField(null=True, blank=True)
    approved_at = models.DateTimeField(null=True, blank=True)
    plan = models.JSONField(default=dict)
    state_before = models.CharField(max_length=20)
    reason_before = models.CharField(max_length=300, blank=True)
    operation = models.OneToOneField(
        Operation, models.PROTECT, null=True, blank=True, related_name="deletion", help_text="Once it has begun."
    )
    undone_by = models.CharField(max_length=150, blank=True)
    undone_at = models.DateTimeField(null=True, blank=True)
    receipt = models.JSONField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-requested_at",)
        constraints = [
            models.CheckConstraint(condition=Q(state__in=[s for s, _ in STATES]), name="deletion_state_known"),
            models.UniqueConstraint(
                fields=["workspace"], name="one_open_deletion_per_workspace", condition=Q(state__in=OPEN)
            ),
        ]
        indexes = [
            models.Index(fields=["begins_at"], condition=Q(state="scheduled"), name="deletion_scheduled_by_begin")
        ]

    def __str__(self) -> str:
        return f"Deletion of {self.workspace}"

    @property
    def waits_for_approval(self) -> bool:
        """Whether it cannot begin until a second person agrees."""
        return self.needs_approval and self.approved_at is None

    @property
    def agreed(self) -> Plan:
        """What people agreed to."""
        return Plan.of(self.plan)

    @classmethod
    def latest_of(cls, workspace: Workspace) -> Deletion | None:
        """The open one, else the newest that was not undone (one query)."""
        return cls.objects.filter(workspace=workspace).exclude(state="undone").select_related("operation").first()


class Inventory(models.Model):
    """What a worker saw of a workspace in the world, for the plan of its deletion: at most one a workspace.

    `found` are documents of `rules.deletion_plan.Item`, `not_asked` of `NotAsked`.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.OneToOneField(Workspace, models.CASCADE, related_name="inventory")
    asked_at = models.DateTimeField(default=timezone.now)
    # Of the last look that ended; a look under way leaves it readable.
    looked_at = models.DateTimeField(null=True, blank=True)
    found = models.JSONField(default=list, blank=True)
    not_asked = models.JSONField(default=list, blank=True)
    error = models.CharField(max_length=300, blank=True, help_text="Why the last look broke off.")

    class Meta:
        verbose_name_plural = "inventories"

    def __str__(self) -> str:
        return f"Inventory of {self.workspace}"

    def is_under_way(self, now: datetime) -> bool:
        """Whether a worker is looking, as far as is known."""
        return (self.looked_at is None or self.looked_at < self.asked_at) and now - self.asked_at <= LOST_AFTER

    def is_fresh(self, now: datetime) -> bool:
        """Whether it is recent enough to be agreed to."""
        limit = timedelta(seconds=settings.LOOPBACK_PREFLIGHT_SECONDS)
        return self.looked_at is not None and not self.error and now - self.looked_at <= limit
