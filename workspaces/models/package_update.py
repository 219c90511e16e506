"""What was installed on hosts: one row for each package that an operation brought to another version."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from workspaces.models.infrastructure import Host
from workspaces.models.operation import Operation
from workspaces.models.workspace import Workspace


class PackageUpdate(models.Model):
    """A package that was updated on a host. The names outlive the host."""

    id = models.BigAutoField(primary_key=True)
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="package_updates")
    host = models.ForeignKey(Host, models.SET_NULL, null=True, blank=True, related_name="package_updates")
    host_name = models.CharField(max_length=63)
    operation = models.ForeignKey(Operation, models.CASCADE, related_name="package_updates")
    package = models.CharField(max_length=128)
    from_version = models.CharField(max_length=128, blank=True, help_text="Empty: it was not there before.")
    to_version = models.CharField(max_length=128)
    security = models.BooleanField(default=False)
    installed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("host_name", "package")
        constraints = [
            # A step may run twice: what it tells again is the same row.
            models.UniqueConstraint(
                fields=["operation", "host_name", "package", "to_version"], name="package_update_told_once"
            ),
        ]
        indexes = [models.Index(fields=["workspace", "-installed_at"], name="package_update_newest")]

    def __str__(self) -> str:
        return f"{self.package} {self.to_version} on {self.host_name}"
