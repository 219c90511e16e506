"""What an operator flagged for the priority hour: packages, Kubernetes versions, or both."""

from __future__ import annotations

import re
import uuid

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone

SEVERITIES = ("low", "medium", "high", "critical")
EVERY_PACKAGE = "*"
# Debian policy 5.6.7 and RPM names: what stands here goes into a command on a host.
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,127}")


def package_names(value: object) -> None:
    """Refuse what is not a list of package names; `*` alone means every security update."""
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValidationError("Enter a list of package names.")
    for name in value:
        if name != EVERY_PACKAGE and not _PACKAGE.fullmatch(name):
            raise ValidationError(f"“{name}” is not the name of a package.")


def installed_by(names: object, since: object) -> Q:
    """Selects succeeded operations that installed the packages of the advisories in the JSON list `names` since then.

    Both may be expressions. A routine run installs everything, a priority run what it was started for.
    """
    covering = Q(parameters__os="all") | Q(parameters__advisories__contains=names)
    return covering & Q(kind="maintenance", state="succeeded", created_at__gte=since)


class AdvisoryQuerySet(models.QuerySet["Advisory"]):
    """Advisories by whether they still count."""

    def in_force(self) -> AdvisoryQuerySet:
        """Those not closed."""
        return self.filter(closed_at=None)


class Advisory(models.Model):
    """Packages or versions an operator flagged: applied in the priority hour; enforced ones whatever the flags say."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=100, unique=True)
    severity = models.CharField(max_length=10, choices=[(s, s.title()) for s in SEVERITIES])
    packages = models.JSONField(
        default=list, blank=True, validators=[package_names], help_text="Package names; “*” is every security update."
    )
    versions = models.ManyToManyField("workspaces.KubernetesVersion", blank=True, related_name="advisories")
    enforced = models.BooleanField(default=False)
    text = models.TextField(blank=True)
    flagged_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True, blank=True)
    objects = AdvisoryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "advisories"

    def __str__(self) -> str:
        return self.name
