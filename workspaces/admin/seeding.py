"""Manifests that fitting clusters carry, and the objects of each in every cluster. The command is `seeding`.

How they are applied is in `operations/seeding`. What others own in the clusters is not shown here.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, Q, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest

from workspaces.admin.base import Curated, Recorded
from workspaces.admin.links import rows_of, to
from workspaces.models import Seed, SeedManifest
from workspaces.operations.seed_manifests import claimed_by_others, count_change

_PROTECTED = "Not possible while it is protected: first take the protection off."
_HELD = "Not possible while clusters carry it: withdraw it first. Their rows go with the next look, objects stay."


class ManifestForm(ModelForm):  # type: ignore[type-arg]
    """What becomes of a cluster's objects, said where it is decided."""

    class Meta:
        help_texts = {
            "versions": "Kubernetes versions, such as >=1.34.0 <1.36.0. Empty: all. A cluster that fits no more keeps "
            "the objects; only nobody looks after them.",
        }

    def clean_content(self) -> str:
        """A browser sends other ends of lines, and none at the end of the text: that is no other text."""
        sent, stored = str(self.cleaned_data["content"]), str(self.initial.get("content", ""))
        return stored if _lines(sent) == _lines(stored) else f"{_lines(sent)}\n"


@admin.register(SeedManifest)
class SeedManifestAdmin(Curated):
    """What is to be in which clusters. A change is applied within a period of the looks at seeded objects."""

    form = ManifestForm
    belonging = staticmethod(rows_of("manifest", objects="seed"))
    list_display = (
        "name",
        "phase",
        "versions",
        to("organization"),
        "protected",
        "gates",
        "active",
        "carried",
        "belonging",
    )
    list_select_related = ("organization",)
    list_filter = ("active", "protected", "gates", "phase", ("organization", admin.RelatedOnlyFieldListFilter))
    search_fields = ("name", "description", "content")
    autocomplete_fields = ("organization",)
    readonly_fields = ("revision", "changed_at", "belonging")

    def get_queryset(self, request: HttpRequest) -> QuerySet[SeedManifest]:
        """With the number of objects that are, and are not, as wanted, in the same query."""
        rows: QuerySet[SeedManifest] = super().get_queryset(request)
        wanted = Count("seeds", filter=Q(seeds__state="applied"))
        return rows.annotate(objects_seeded=Count("seeds"), objects_as_wanted=wanted)

    @admin.display(description="as wanted")
    def carried(self, row: Any) -> str:
        """How many objects in all clusters are as wanted."""
        return f"{row.objects_as_wanted} of {row.objects_seeded}" if row.objects_seeded else "none yet"

    def save_model(self, request: HttpRequest, obj: SeedManifest, form: Any, change: bool) -> None:
        """Another text is another revision; what another manifest has too is pointed out."""
        if change and obj.content != form.initial["content"]:
            count_change(obj)
        super().save_model(request, obj, form, change)
        for sentence in claimed_by_others(obj):
            messages.warning(request, sentence)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never what is protected, or in clusters."""
        return not (obj and obj.protected) and super().has_delete_permission(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Those of the class, and on a protected row the line about its deletion."""
        fields = tuple(super().get_readonly_fields(request, obj))
        return (*fields, "deletion") if obj and obj.protected and "deletion" not in fields else fields

    @admin.display(description="Deletion")
    def deletion(self, obj: SeedManifest) -> str:
        """Why it cannot be deleted, and what to do first."""
        return _PROTECTED if obj.protected else _HELD


@admin.register(Seed)
class SeedAdmin(Recorded):
    """Objects in clusters, as the last look found them."""

    list_display = ("object", to("workspace"), to("manifest"), "state", "revision", "state_since", "message")
    list_select_related = ("workspace", "manifest")
    list_filter = ("state", ("manifest", admin.RelatedOnlyFieldListFilter))
    search_fields = ("object", "workspace__name", "manifest__name", "message")
    date_hierarchy = "state_since"


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").strip()
