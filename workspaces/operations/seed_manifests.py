"""What admin and command share about manifests: how often a text was changed, and whose objects it claims as well."""

from __future__ import annotations

from django.db.models import F

from workspaces.models import SeedManifest
from workspaces.rules import seeding


def count_change(row: SeedManifest) -> None:
    """Make the changed text another revision (not saved), whoever else changes it at the same time."""
    row.revision = F("revision") + 1


def claimed_by_others(row: SeedManifest) -> list[str]:
    """A sentence for each object that another manifest has too; where both fit, the first by name applies it."""
    mine = {seeding.object_of(document): seeding.name_of(document) for document in row.documents()}
    others = SeedManifest.objects.filter(active=True).exclude(pk=row.pk).order_by("name")
    return [
        f"{mine[name]} is in {other}, too. A cluster that both fit gets it from {min(row.name, other.name)} alone."
        for other in others
        if _may_meet(row, other)
        for name in map(seeding.object_of, other.documents())
        if name in mine
    ]


def _may_meet(one: SeedManifest, other: SeedManifest) -> bool:
    """Whether some organization's clusters may get both."""
    places = {one.organization_id, other.organization_id}
    return one.active and (len(places) == 1 or None in places)
