"""Advisories: packages and versions that support staff flags for the priority hour. The command is `advisory`."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from workspaces.admin.base import Curated
from workspaces.models import Advisory, Workspace
from workspaces.rules import versions


class AdvisoryForm(forms.ModelForm):  # type: ignore[type-arg]
    """An advisory names something. That packages have names of packages is the model's to check."""

    def clean(self) -> None:
        """Refuse one that would flag nothing."""
        said = self.cleaned_data
        if "packages" in said and not said["packages"] and not said.get("versions"):
            self.add_error("packages", "Name a package or choose a version: as it is, this flags nothing.")


@admin.register(Advisory)
class AdvisoryAdmin(Curated):
    """What is flagged, how urgent it is, and how many workspaces it touches."""

    form = AdvisoryForm
    list_display = ("name", "severity", "enforced", "packages", "flagged_at", "closed_at")
    list_filter = ("severity", "enforced", ("closed_at", admin.EmptyFieldListFilter))
    search_fields = ("name", "text", "packages")
    date_hierarchy = "flagged_at"
    ordering = ("-flagged_at",)
    filter_horizontal = ("versions",)
    readonly_fields = ("touches",)
    actions = ("close", "flag_again")

    @admin.display(description="Touches")
    def touches(self, row: Advisory) -> str:
        """Workspaces that have hosts to update, and those whose running version a flagged one follows."""
        if row._state.adding:
            return "Known once it is saved."
        active = Workspace.objects.filter(state="active")
        said = []
        if row.packages:
            said.append(f"{active.filter(host_count__gt=0).count()} workspaces with hosts that may have the packages")
        if named := list(row.versions.values_list("version", flat=True)):
            said.append(f"{_running_below(active, named)} workspaces that run an older patch of a flagged version")
        return f"{'; '.join(said)}." if said else "Nothing: it names neither packages nor versions."

    @admin.action(description="Close the selected advisories", permissions=["change"])
    def close(self, request: HttpRequest, queryset: QuerySet[Advisory]) -> None:
        """The priority hour leaves them alone from now on."""
        closed = queryset.filter(closed_at=None).update(closed_at=timezone.now())
        messages.success(request, f"Closed: {closed}.")

    @admin.action(description="Flag the selected advisories again", permissions=["change"])
    def flag_again(self, request: HttpRequest, queryset: QuerySet[Advisory]) -> None:
        """The next priority hour installs them, also where they were installed before."""
        flagged = queryset.update(closed_at=None, flagged_at=timezone.now())
        messages.success(request, f"Flagged again: {flagged}.")


def _running_below(rows: QuerySet[Workspace], named: list[str]) -> int:
    """How many run an older version of the same minor as one of `named` (one query: versions are few)."""
    running = rows.exclude(kubernetes_version="").order_by().values("kubernetes_version")
    counted: Any = running.annotate(number=Count("pk")).values_list("kubernetes_version", "number")
    return sum(
        number
        for version, number in counted
        if versions.is_version(version)
        and any(
            versions.minor_of(version) == versions.minor_of(one)
            and versions.precedence(version) < versions.precedence(one)
            for one in named
        )
    )
