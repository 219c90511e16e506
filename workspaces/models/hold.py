"""Holds: automatic work is stopped for the platform, an organization, a project or a workspace, until they end.

A hold keeps windows from starting anything (`rules/planner.py`), and work that runs already pauses at its next safe
point (`operations/maintenance.py`). It never stops what a person has started.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db import models, transaction
from django.db.models import F, Q
from django.utils import timezone

from workspaces.models.audit import Actor
from workspaces.models.event import Event
from workspaces.models.tenancy import Account, Caller, Organization, Project
from workspaces.models.workspace import Workspace, WorkspaceQuerySet

PERMISSION = "maintenance.hold"


class HoldQuerySet(models.QuerySet["Hold"]):
    """Holds by time, place and reader."""

    def ahead(self, now: datetime) -> HoldQuerySet:
        """Those in force now or later."""
        return self.filter(lifted_at=None, expires_at__gt=now)

    def in_force(self, now: datetime) -> HoldQuerySet:
        """Those that stop automatic work at `now`."""
        return self.ahead(now).filter(set_at__lte=now)

    def touching(self, workspace: Workspace) -> HoldQuerySet:
        """Those on the workspace itself, its project, its organization or the platform."""
        project = workspace.project
        return self.filter(
            Q(workspace=None, project=None, organization=None)
            | Q(workspace=workspace)
            | Q(project=project)
            | Q(organization=project.organization_id)
        )

    def readable(self, caller: Caller) -> HoldQuerySet:
        """Those that touch something the account or API key may see; the platform's are for everybody."""
        if caller.is_superuser:
            return self
        projects = Project.objects.allowing(caller, "workspace.view")
        return self.filter(
            Q(workspace=None, project=None, organization=None)
            | Q(workspace__project__in=projects.values("pk"))
            | Q(project__in=projects.values("pk"))
            | Q(organization__in=projects.values("organization"))
            | Q(organization__in=Organization.objects.allowing(caller, "workspace.view").values("pk"))
        )


class Hold(models.Model):
    """Automatic work is stopped from `set_at` until `expires_at`, or until somebody lifts it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(Organization, models.CASCADE, null=True, blank=True)
    project = models.ForeignKey(Project, models.CASCADE, null=True, blank=True)
    workspace = models.ForeignKey(Workspace, models.CASCADE, null=True, blank=True)
    reason = models.CharField(max_length=200)
    set_by = models.ForeignKey(Account, models.PROTECT, null=True, blank=True, help_text="Empty: a script did.")
    set_by_name = models.CharField(max_length=150, blank=True)
    set_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    lifted_at = models.DateTimeField(null=True, blank=True)
    lifted_by_name = models.CharField(max_length=150, blank=True)
    objects = HoldQuerySet.as_manager()

    class Meta:
        ordering = ("-set_at",)
        constraints = [
            models.CheckConstraint(condition=Q(expires_at__gt=F("set_at")), name="hold_ends_after_it_starts"),
            models.CheckConstraint(
                condition=Q(organization=None, project=None)
                | Q(organization=None, workspace=None)
                | Q(project=None, workspace=None),
                name="hold_on_one_place",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"

    @property
    def place(self) -> str:
        """What it stops, by name."""
        return str(self.workspace or self.project or self.organization or "Platform")

    @property
    def level(self) -> str:
        """`platform`, `organization`, `project` or `workspace`."""
        levels = ("workspace", "project", "organization")
        return next((level for level in levels if getattr(self, f"{level}_id")), "platform")

    @property
    def who(self) -> str:
        """Who set it."""
        return self.set_by_name or str(self.set_by or "Loopback")

    def is_in_force(self, now: datetime) -> bool:
        """Whether it stops automatic work at `now`."""
        return self.lifted_at is None and self.set_at <= now < self.expires_at

    def covered(self) -> WorkspaceQuerySet:
        """The workspaces it stops."""
        if self.workspace_id:
            return Workspace.objects.filter(pk=self.workspace_id)
        if self.project_id:
            return Workspace.objects.filter(project=self.project_id)
        if self.organization_id:
            return Workspace.objects.filter(project__organization=self.organization_id)
        return Workspace.objects.all()

    def may_be_changed_by(self, caller: Caller) -> bool:
        """Whether the account or API key may set it and lift it: an administrator of its place, root the platform's."""
        if caller.is_superuser:
            return True
        project = self.workspace.project if self.workspace else self.project
        if project:
            return caller.allows(PERMISSION, project)
        allowed = Organization.objects.allowing(caller, PERMISSION)
        return self.organization_id is not None and allowed.filter(pk=self.organization_id).exists()

    def begin(self, by: Actor) -> Hold:
        """Store it with the act that tells it."""
        self.set_by_id = by.account_id if by.kind == "account" else None
        self.set_by_name = by.name
        with transaction.atomic():
            self.save(force_insert=True)
            self._record(by, "hold.set", f"Held automatic work until {self._end(self.expires_at)}: {self.reason}")
        return self

    def lift(self, by: Actor) -> bool:
        """End it now; False when it has ended before."""
        now = timezone.now()
        with transaction.atomic():
            ahead = Hold.objects.ahead(now).filter(pk=self.pk)
            lifted = ahead.update(lifted_at=now, lifted_by_name=by.name)
            if lifted:
                self._record(by, "hold.lifted", f"Lifted the hold: {self.reason}")
        self.refresh_from_db(fields=["lifted_at", "lifted_by_name"])
        return bool(lifted)

    @staticmethod
    def _end(moment: datetime) -> str:
        return f"{moment:%a %d %b %H:%M} UTC"

    def _record(self, by: Actor, action: str, said: str) -> None:
        Event.record(
            by,
            action,
            summary=f"{self.place}: {said}",
            workspace=self.workspace,
            project=self.project,
            organization=self.organization,
        )
