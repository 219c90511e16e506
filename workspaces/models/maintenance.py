"""The maintenance plan of a workspace.

Merging a document and finding windows are rules (`rules/maintenance.py`, `rules/planner.py`); this module stores. What
came of the windows is `decision.py`, what keeps them shut is `hold.py`, what fills the priority lane `advisory.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from workspaces.models.audit import Actor
from workspaces.models.event import Event
from workspaces.models.workspace import Workspace
from workspaces.rules import maintenance as rules


def _hour(**kwargs: Any) -> models.PositiveSmallIntegerField:  # type: ignore[type-arg]
    return models.PositiveSmallIntegerField(null=True, blank=True, **kwargs)


class StaleVersion(Exception):
    """Somebody else saved the plan since it was read; nothing was stored."""

    def __init__(self, plan: MaintenancePlan) -> None:
        super().__init__(f"The plan is at version {plan.version}.")
        self.plan = plan


class MaintenancePlan(models.Model):
    """When automated work may touch a workspace, in UTC, and what it may do. Weekday 0 is Monday."""

    workspace = models.OneToOneField(Workspace, models.CASCADE, primary_key=True, related_name="maintenance_plan")
    enabled = models.BooleanField(default=True)
    hour_0 = _hour(default=2)
    hour_1 = _hour(default=2)
    hour_2 = _hour(default=2)
    hour_3 = _hour(default=2)
    hour_4 = _hour(default=2)
    hour_5 = _hour(default=None)
    hour_6 = _hour(default=None)
    priority_hour = models.PositiveSmallIntegerField(default=22)
    compute_auto_update = models.BooleanField(default=True)
    kubernetes_auto_upgrade = models.BooleanField(null=True, blank=True, help_text="Empty on bare metal.")
    version = models.PositiveIntegerField(default=1, help_text="Grows with every save; a form sends the one it read.")
    disabled_at = models.DateTimeField(null=True, blank=True)
    disabled_by = models.CharField(max_length=150, blank=True)
    updated_at = models.DateTimeField(default=timezone.now)

    HOURS = tuple(f"hour_{weekday}" for weekday in range(7))

    class Meta:
        constraints = [
            *[
                models.CheckConstraint(
                    condition=Q(**{f"hour_{d}": None}) | Q(**{f"hour_{d}__lte": 23}), name=f"hour_{d}_in_day"
                )
                for d in range(7)
            ],
            models.CheckConstraint(condition=Q(priority_hour__lte=23), name="priority_hour_in_day"),
        ]

    def __str__(self) -> str:
        return f"Maintenance of {self.workspace_id}"

    def as_rule(self) -> rules.Plan:
        """The value `rules/` decide on."""
        return rules.Plan(
            enabled=self.enabled,
            hours=tuple(getattr(self, field) for field in self.HOURS),
            priority_hour=self.priority_hour,
            compute_auto_update=self.compute_auto_update,
            kubernetes_auto_upgrade=self.kubernetes_auto_upgrade,
        )

    @staticmethod
    def apply(
        workspace: Workspace,
        document: Mapping[str, Any],
        *,
        actor: Actor,
        may_disable: bool,
        semantics: rules.Semantics,
        seen_version: int | None = None,
    ) -> tuple[MaintenancePlan, tuple[rules.Note, ...]]:
        """Merge an already validated `document` into the workspace's plan and store it with an event.

        `seen_version` is the version the writer read; StaleVersion is raised, and nothing stored, when it is no longer
        the current one. Returns the stored plan and the notes that say what was not taken literally.
        """
        with transaction.atomic():
            plan = MaintenancePlan.objects.select_for_update().get(workspace=workspace)
            if seen_version is not None and seen_version != plan.version:
                raise StaleVersion(plan)
            before = plan.as_rule()
            merged = rules.merge(
                before, document, may_disable=may_disable, semantics=semantics, workspace_type=workspace.type
            )
            changes = rules.difference(before, merged.plan)
            if changes:
                plan._store(merged.plan, actor)
            if changes or merged.notes:
                Event.record(
                    actor,
                    "maintenance.changed",
                    workspace=workspace,
                    summary="; ".join([c.sentence for c in changes] + [n.message for n in merged.notes]),
                    changes={c.field: [c.before, c.after] for c in changes},
                )
        return plan, merged.notes

    def _store(self, new: rules.Plan, actor: Actor) -> None:
        """Write the new values; who switched it off, and when, is kept while it stays off."""
        if self.enabled and not new.enabled:
            self.disabled_at, self.disabled_by = timezone.now(), actor.name
        elif new.enabled:
            self.disabled_at, self.disabled_by = None, ""
        self.enabled = new.enabled
        for field, hour in zip(self.HOURS, new.hours, strict=True):
            setattr(self, field, hour)
        self.priority_hour = new.priority_hour
        self.compute_auto_update = new.compute_auto_update
        self.kubernetes_auto_upgrade = new.kubernetes_auto_upgrade
        self.version += 1
        self.updated_at = timezone.now()
        self.save()
