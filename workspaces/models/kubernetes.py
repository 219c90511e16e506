"""The catalogue of Kubernetes versions that workspaces may run."""

import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

from workspaces.rules import versions
from workspaces.rules.upgrades import CatalogueVersion


class KubernetesVersion(models.Model):
    """One version an operator knows: whether it is offered, and from which versions it may be reached."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    version = models.CharField(max_length=30, unique=True)
    sort_key = models.BigIntegerField(editable=False, db_index=True)
    active = models.BooleanField(default=False)
    upgrade_from = models.CharField(
        max_length=200, default="any", help_text="any, 1.34.5, 1.34.x, >=1.34.2 <1.35.0; alternatives joined by ||."
    )
    security = models.BooleanField(default=False, help_text="Carries security fixes; the priority hour applies it.")
    released_on = models.DateField(null=True, blank=True)
    end_of_life_on = models.DateField(null=True, blank=True)
    notes = models.TextField(blank=True)
    withdrawn_reason = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ("-sort_key",)

    def __str__(self) -> str:
        return self.version

    def clean(self) -> None:
        """Refuse a version or an upgrade.from that cannot be read, in words."""
        for field, parse in (("version", versions.parse), ("upgrade_from", versions.parse_upgrade_from)):
            try:
                parse(getattr(self, field))
            except ValueError as error:
                raise ValidationError({field: str(error)}) from error

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Keep the sort key in step with the version."""
        self.sort_key = versions.sort_key(self.version)
        super().save(*args, **kwargs)

    def as_rule(self) -> CatalogueVersion:
        """The value `rules/` decide on."""
        return CatalogueVersion(
            version=self.version,
            active=self.active,
            upgrade_from=self.upgrade_from,
            security=self.security,
            released_on=self.released_on,
            end_of_life_on=self.end_of_life_on,
            notes=self.notes,
            withdrawn_reason=self.withdrawn_reason,
        )


def catalogue() -> list[CatalogueVersion]:
    """The whole catalogue as values, newest first (one query, some dozens of rows)."""
    return [version.as_rule() for version in KubernetesVersion.objects.all()]
