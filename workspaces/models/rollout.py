"""Rollouts: one version for many workspaces, a few first (the canary), then at most so many at the same time.

Each member's upgrade is an operation of its own. What starts when is decided by `rules/rollout.py` and done by
`operations/rollouts.py`; here is what one transaction can do.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from workspaces.models.audit import Actor
from workspaces.models.event import Event
from workspaces.models.operation import Operation
from workspaces.models.tenancy import Caller
from workspaces.models.workspace import Workspace
from workspaces.rules import lifecycle
from workspaces.rules.refusal import Refused


class RolloutQuerySet(models.QuerySet["Rollout"]):
    """Rollouts by who may read them."""

    def readable(self, caller: Caller) -> RolloutQuerySet:
        """Those with a workspace that the account or API key may see."""
        if caller.is_superuser:
            return self
        mine = RolloutMember.objects.filter(workspace__in=Workspace.objects.allowing(caller).values("pk"))
        return self.filter(pk__in=mine.values("rollout"))


class Rollout(models.Model):
    """One version for a selection of workspaces.

    The first `canary` members run alone; the others follow `soak_minutes` after all of these have succeeded, `at_once`
    at a time. After `stop_after` failures it pauses by itself, and a failed canary always does.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    title = models.CharField(max_length=200)
    target = models.CharField(max_length=30)
    several_hops = models.BooleanField(default=False, help_text="Workspaces further away go through several versions.")
    canary = models.PositiveSmallIntegerField(default=1)
    at_once = models.PositiveSmallIntegerField(default=3)
    stop_after = models.PositiveSmallIntegerField(default=1, help_text="Failures after which it pauses.")
    soak_minutes = models.PositiveIntegerField(default=0)
    accept_risks = models.JSONField(default=list, blank=True)
    state = models.CharField(max_length=12, choices=lifecycle.ROLLOUT_STATES, default="running")
    state_reason = models.CharField(max_length=300, blank=True)
    # Failures up to here have been looked at: a person has continued since.
    failures_forgiven = models.PositiveIntegerField(default=0)
    requested_by = models.CharField(max_length=150)
    requested_by_kind = models.CharField(max_length=10)
    requested_by_id = models.UUIDField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    canary_passed_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    objects = RolloutQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at",)
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=[s for s, _ in lifecycle.ROLLOUT_STATES]), name="rollout_state_known"
            ),
            models.CheckConstraint(condition=Q(at_once__gte=1), name="rollout_starts_something"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def requester(self) -> Actor:
        """In whose name the upgrades are started."""
        return Actor(self.requested_by_kind, self.requested_by, self.requested_by_id)

    @property
    def is_open(self) -> bool:
        """Whether it may still start something."""
        return self.state in ("running", "paused")

    @classmethod
    def begin(cls, target: str, workspaces: list[Workspace], *, actor: Actor, **settings: Any) -> Rollout:
        """Store it with its members, in the order given: the first ones are the canary."""
        number = f"{len(workspaces)} workspace{'' if len(workspaces) == 1 else 's'}"
        with transaction.atomic():
            rollout = cls.objects.create(
                title=f"Upgrade {number} to {target}",
                target=target,
                requested_by=actor.name,
                requested_by_kind=actor.kind,
                requested_by_id=actor.account_id,
                **settings,
            )
            RolloutMember.objects.bulk_create(
                RolloutMember(rollout=rollout, workspace=workspace, position=n, canary=n < rollout.canary)
                for n, workspace in enumerate(workspaces)
            )
            for workspace in workspaces:
                Event.record(actor, "rollout.joined", workspace=workspace, summary=f"{workspace} is part of: {rollout}")
        return rollout

    def pause(self, actor: Actor, reason: str = "") -> Refused | None:
        """Start nothing more for now; upgrades that run go on to their end."""
        return self._change(actor, ("running",), "paused", reason or f"{actor.name} paused it.", "Paused")

    def resume(self, actor: Actor) -> Refused | None:
        """Go on; the failures there have been are forgiven."""
        return self._change(actor, ("paused",), "running", "", "Continued")

    def stop(self, actor: Actor) -> Refused | None:
        """Start nothing more for good: members that wait are left out."""
        return self._change(actor, ("running", "paused"), "stopped", f"{actor.name} stopped it.", "Stopped")

    def _change(self, actor: Actor, possible: tuple[str, ...], state: str, reason: str, word: str) -> Refused | None:
        with transaction.atomic():
            current = Rollout.objects.select_for_update().get(pk=self.pk)
            if current.state not in possible:
                now = lifecycle.ROLLOUT[current.state].label.lower()
                return Refused("not_possible", f"This rollout is {now}: it cannot be {word.lower()}.")
            current.state, current.state_reason = state, reason[:300]
            if state == "running":
                current.failures_forgiven = current.members.filter(state="failed").count()
            if state == "stopped":
                current.finished_at = timezone.now()
                current.members.filter(state="waiting").update(state="left_out", message="The rollout was stopped.")
            current.save()
            for workspace in Workspace.objects.filter(rollout_members__rollout=current).select_related("project"):
                Event.record(
                    actor, f"rollout.{state}", workspace=workspace, summary=f"{word}: {current}. {reason}".strip()
                )
        self.refresh_from_db()
        return None


class RolloutMember(models.Model):
    """A workspace of a rollout, and what became of it there."""

    id = models.BigAutoField(primary_key=True)
    rollout = models.ForeignKey(Rollout, models.CASCADE, related_name="members")
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="rollout_members")
    position = models.PositiveIntegerField()
    canary = models.BooleanField(default=False)
    state = models.CharField(max_length=10, choices=lifecycle.MEMBER_STATES, default="waiting")
    operation = models.ForeignKey(Operation, models.SET_NULL, null=True, blank=True, related_name="rollout_members")
    message = models.TextField(blank=True)

    class Meta:
        ordering = ("position",)
        constraints = [
            models.UniqueConstraint(fields=["rollout", "workspace"], name="rollout_member_once"),
            models.CheckConstraint(
                condition=Q(state__in=[s for s, _ in lifecycle.MEMBER_STATES]), name="rollout_member_state_known"
            ),
        ]
        indexes = [
            models.Index(fields=["operation"], name="rollout_member_by_operation"),
            # Each tick looks for these through all of the history.
            models.Index(fields=["rollout"], condition=Q(state="running"), name="rollout_member_running"),
        ]

    def __str__(self) -> str:
        return f"{self.workspace} in {self.rollout}"
