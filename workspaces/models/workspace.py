"""The workspace: what may be done (state), and what was seen (observed columns and conditions, each with its time).

What is wanted lives in its own rows (maintenance plan, hosts, DNS records) and, for the Kubernetes version, in the
TenantControlPlane itself. "Upgrading" is not a state: it is an open operation.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.db.models import ExpressionWrapper, F, Q, Value
from django.db.models.functions import Greatest
from django.utils import timezone

from workspaces.models.infrastructure import ManagementCluster
from workspaces.models.tenancy import Account, Caller, Project
from workspaces.rules import lifecycle, looks, permissions, versions


def version_key(version: str) -> int:
    """The integer that sorts `version`; 0 for one that no catalogue could hold, such as a vendor's own build."""
    try:
        return versions.sort_key(version)
    except ValueError:
        return 0


def too_old(now: datetime) -> Q:
    """The condition that the last look says nothing about now, as `Workspace.is_stale` has it."""
    every = Greatest(F("looked_every"), Value(settings.LOOPBACK_RECONCILE_SECONDS), output_field=models.FloatField())
    age = ExpressionWrapper(every * Value(timedelta(seconds=looks.PERIODS)), output_field=models.DurationField())
    last = ExpressionWrapper(Value(now) - age, output_field=models.DateTimeField())
    return Q(observed_at=None) | Q(observed_at__lte=last)


class WorkspaceQuerySet(models.QuerySet["Workspace"]):
    """Workspaces by who may do what with them."""

    def allowing(self, caller: Caller, key: str = "workspace.view") -> WorkspaceQuerySet:
        """Those on whose project the account or API key holds the permission `key`."""
        if caller.is_superuser:
            return self
        return self.filter(project__in=Project.objects.allowing(caller, key))

    def with_plan(self) -> WorkspaceQuerySet:
        """With what the planner's facts need at hand: tenancy, plan, the management cluster without its secret."""
        related = self.select_related("project__organization", "management_cluster", "maintenance_plan")
        return related.defer("management_cluster__kubeconfig")


class Workspace(models.Model):
    """A dedicated Kubernetes cluster or a set of bare-metal hosts, belonging to a project."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, models.PROTECT, related_name="workspaces")
    name = models.CharField(max_length=63)
    description = models.CharField(max_length=200, blank=True)
    type = models.CharField(max_length=20, choices=lifecycle.WORKSPACE_TYPES)
    state = models.CharField(max_length=20, choices=lifecycle.WORKSPACE_STATES, default="provisioning")
    state_reason = models.CharField(max_length=300, blank=True, help_text="Why it is gated, in error, or leaving.")
    state_since = models.DateTimeField(default=timezone.now)
    protected = models.BooleanField(default=False, help_text="Deletion is refused while this is set.")
    location = models.CharField(max_length=40, blank=True)
    management_cluster = models.ForeignKey(
        ManagementCluster, models.PROTECT, null=True, blank=True, related_name="workspaces"
    )
    namespace = models.CharField(max_length=63, blank=True, help_text="Of the TenantControlPlane.")
    control_plane = models.CharField(max_length=63, blank=True, help_text="Name of the TenantControlPlane.")
    provider_account = models.ForeignKey(
        "workspaces.ProviderAccount",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="workspaces",
        help_text="Where new hosts are ordered. Empty: where its hosts are, else the organization's only account.",
    )
    upgrade_hosts_at_once = models.PositiveSmallIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    # What its TenantControlPlane is to be: kubernetes_version, replicas, paused. Taken from the first look, then from
    # what upgrades set and what people accept; what differs is drift.
    wanted = models.JSONField(default=dict, blank=True, help_text="What its control plane is to be; empty: as seen.")
    # Observed by reconciliation. Written together with observed_at, never guessed.
    kubernetes_version = models.CharField(max_length=30, blank=True, help_text="Running version, as last seen.")
    version_key = models.BigIntegerField(default=0, editable=False, help_text="Sorts kubernetes_version.")
    control_plane_status = models.CharField(max_length=40, blank=True)
    control_plane_wanted = models.CharField(max_length=30, blank=True, help_text="spec.kubernetes.version, as seen.")
    control_plane_paused = models.BooleanField(default=False, help_text="Kamaji is told to leave it alone.")
    control_plane_replicas = models.PositiveSmallIntegerField(default=0)
    control_plane_revision = models.CharField(
        max_length=40, blank=True, help_text="resourceVersion of the TenantControlPlane that all of this is from."
    )
    credential_ends_at = models.DateTimeField(
        null=True, blank=True, help_text="When the certificate ends with which Kamaji lets us in, as seen."
    )
    kubeconfig_secret = models.CharField(
        max_length=253, blank=True, help_text="Name of the Secret with the administrator kubeconfig, as Kamaji says."
    )
    endpoint = models.CharField(max_length=255, blank=True)
    kubelet_versions = models.CharField(
        max_length=500, blank=True, help_text="Of its nodes, each once, apart by spaces; ? where one was never seen."
    )
    host_count = models.PositiveSmallIntegerField(default=0)
    hosts_ready = models.PositiveSmallIntegerField(default=0)
    look_error_code = models.CharField(
        max_length=30, blank=True, help_text="Why its own API or hosts could not be asked."
    )
    look_error = models.TextField(blank=True)
    conditions = models.JSONField(default=list, blank=True, help_text="type, value, reason, message, since.")
    attention = models.CharField(max_length=200, blank=True, help_text="Why a person should look; empty: no reason.")
    attention_tone = models.CharField(max_length=10, blank=True)
    observed_at = models.DateTimeField(null=True, blank=True)
    looked_every = models.PositiveIntegerField(
        default=0, help_text="Seconds between two looks, where the fleet is too large for the usual period."
    )
    objects = WorkspaceQuerySet.as_manager()

    class Meta:
        ordering = ("name",)
        constraints = [
            models.UniqueConstraint(
                fields=["project", "name"], name="workspace_name_once_per_project", condition=~Q(state="deleted")
            ),
            models.UniqueConstraint(
                fields=["management_cluster", "namespace", "control_plane"],
                name="workspace_once_per_control_plane",
                condition=~Q(control_plane="") & ~Q(state="deleted"),
            ),
            models.CheckConstraint(
                condition=Q(type__in=[t for t, _ in lifecycle.WORKSPACE_TYPES]), name="workspace_type_known"
            ),
            models.CheckConstraint(
                condition=Q(state__in=[s for s, _ in lifecycle.WORKSPACE_STATES]), name="workspace_state_known"
            ),
            models.CheckConstraint(
                condition=Q(type="kubernetes") | Q(management_cluster=None, control_plane=""),
                name="baremetal_has_no_control_plane",
            ),
        ]
        indexes = [
            models.Index(fields=["attention"], condition=~Q(attention=""), name="workspace_attention"),
            models.Index(fields=["version_key", "id"], name="workspace_by_version"),
            models.Index(fields=["name", "id"], name="workspace_by_name"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_kubernetes(self) -> bool:
        """Whether it has a control plane."""
        return self.type == "kubernetes"

    def observe_version(self, version: str) -> None:
        """Set the running version and the key that sorts it (not saved)."""
        self.kubernetes_version, self.version_key = version, version_key(version)

    def is_stale(self, now: datetime) -> bool:
        """Whether the last look is older than two of its periods: nothing here may be called green then."""
        return not looks.is_fresh(self.observed_at, self.looked_at_every, now)

    @property
    def looked_at_every(self) -> float:
        """Seconds between two looks at it."""
        return float(max(settings.LOOPBACK_RECONCILE_SECONDS, self.looked_every))

    def key_held_by(self, account: Account, key: str) -> bool:
        """Whether `account` holds the permission `key` on this workspace."""
        return account.allows(key, self.project)

    def keys_of(self, account: Account) -> frozenset[str]:
        """All permission keys `account` holds here (one query at most)."""
        if account.is_superuser:
            return permissions.keys_of("administrator")
        from workspaces.models.tenancy import Membership

        roles = Membership.objects.on_project(self.project).filter(account=account).values_list("role", flat=True)
        return frozenset[str]().union(*(permissions.keys_of(role) for role in roles))
