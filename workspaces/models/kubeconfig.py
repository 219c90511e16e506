"""Kubeconfigs handed out: who asked, when, and whether the document was taken.

A worker fetches the document (`operations/kubeconfigs.py`); it lies here sealed for a few minutes until the person who
asked takes it, and is erased then. The row stays: a kubeconfig with a client certificate remains valid outside.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.db import models
from django.db.models import Q
from django.utils import timezone

from workspaces.models.sealed import SealedField

STATES = [
    ("requested", "Being fetched"),
    ("ready", "Ready to be taken"),
    ("taken", "Handed out"),
    ("expired", "Not taken in time"),
    ("failed", "Could not be fetched"),
]
# A client certificate cannot be taken back but by changing the cluster's certificate authority; a token of a
# ServiceAccount dies with the ServiceAccount.
KINDS = [("admin", "Full rights, client certificate"), ("service_account", "Full rights, can be revoked")]
TO_BE_TAKEN_WITHIN = timedelta(minutes=10)


class KubeconfigQuerySet(models.QuerySet["Kubeconfig"]):
    """Kubeconfigs by where they are."""

    def valid_outside(self, now: datetime) -> KubeconfigQuerySet:
        """Those somebody has taken, nobody has revoked, and whose certificate has not ended as far as is known."""
        alive = Q(certificate_until=None) | Q(certificate_until__gt=now)
        return self.filter(alive, state="taken", revoked_at=None)


class Kubeconfig(models.Model):
    """One export of a workspace's kubeconfig."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey("workspaces.Workspace", models.PROTECT, related_name="kubeconfigs")
    kind = models.CharField(max_length=20, default="admin", choices=KINDS)
    service_account = models.CharField(
        max_length=63, blank=True, help_text="Name of the ServiceAccount in its cluster; without it the token is dead."
    )
    requested_by = models.CharField(max_length=150)
    requested_by_id = models.UUIDField(null=True, blank=True)
    requested_at = models.DateTimeField(default=timezone.now)
    reason = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=10, choices=STATES, default="requested")
    document = SealedField(blank=True, default="")
    fetched_at = models.DateTimeField(null=True, blank=True)
    taken_at = models.DateTimeField(null=True, blank=True)
    certificate_until = models.DateTimeField(null=True, blank=True, help_text="End of its client certificate or token.")
    failure = models.CharField(max_length=300, blank=True)
    revocation_asked_at = models.DateTimeField(null=True, blank=True)
    revocation_failure = models.CharField(max_length=300, blank=True, help_text="Why it could not be revoked yet.")
    revoked_by = models.CharField(max_length=150, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    objects = KubeconfigQuerySet.as_manager()

    class Meta:
        ordering = ("-requested_at",)
        constraints = [
            models.CheckConstraint(condition=Q(state__in=[s for s, _ in STATES]), name="kubeconfig_state_known"),
            models.CheckConstraint(
                condition=Q(state="ready") | Q(document=""), name="kubeconfig_kept_only_while_ready"
            ),
        ]

    def __str__(self) -> str:
        return f"kubeconfig of {self.workspace}"
