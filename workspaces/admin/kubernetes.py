"""The catalogue of Kubernetes versions. What the rules could not read is refused, what leads nowhere pointed out."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from workspaces.admin.base import Curated
from workspaces.models import KubernetesVersion
from workspaces.rules import versions


class VersionForm(forms.ModelForm):  # type: ignore[type-arg]
    """A version that can be sorted, and a reason for every one that is no longer offered."""

    def clean_version(self) -> str:
        """Refuse what has no place in the order, such as pre-releases that Kubernetes does not publish."""
        version = str(self.cleaned_data["version"])
        try:
            versions.sort_key(version)
        except ValueError as error:
            raise ValidationError(str(error)) from None
        return version

    def clean(self) -> None:
        """Whoever finds a version withdrawn wants to know why; one that is offered has no such reason."""
        active, reason = self.cleaned_data.get("active"), self.cleaned_data.get("withdrawn_reason")
        if active and reason:
            self.add_error("withdrawn_reason", "Empty this: the version is active. Or withdraw it.")
        if not active and self.initial.get("active") and not reason:
            self.add_error("withdrawn_reason", "Say why the version is withdrawn: the console shows it.")


@admin.register(KubernetesVersion)
class KubernetesVersionAdmin(Curated):
    """What is offered, and from where it may be reached. Versions sort as numbers."""

    form = VersionForm
    list_display = (
        "number",
        "active",
        "upgrade_from",
        "security",
        "released_on",
        "end_of_life_on",
        "withdrawn_reason",
    )
    list_filter = ("active", "security")
    search_fields = ("version", "notes", "withdrawn_reason")
    date_hierarchy = "released_on"

    @admin.display(description="version", ordering="sort_key")
    def number(self, row: KubernetesVersion) -> str:
        """The version; 1.9 comes before 1.10."""
        return row.version

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save, then say so when no other version of the catalogue leads to this one."""
        super().save_model(request, obj, form, change)
        if not reachable(obj):
            sentence = f"No version of the catalogue leads to {obj}: nothing in it matches “{obj.upgrade_from}”."
            messages.warning(request, sentence)


def reachable(version: KubernetesVersion) -> bool:
    """Whether `upgrade_from` admits a lower version of the catalogue; of the lowest one nothing is asked."""
    lower = KubernetesVersion.objects.filter(sort_key__lt=version.sort_key).values_list("version", flat=True)
    admitted = versions.parse_upgrade_from(version.upgrade_from)
    return not lower or any(admitted.admits(other) for other in lower)
