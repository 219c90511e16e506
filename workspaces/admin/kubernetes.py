"""The catalogue of Kubernetes versions. What nobody could follow is refused, the rest of what is wrong pointed out.

What is wrong in a catalogue is `rules/catalogue`; many versions at once are loaded by `manage.py versions load`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import urlencode

from workspaces.admin.base import Curated
from workspaces.models import KubernetesVersion, Workspace
from workspaces.models.kubernetes import catalogue
from workspaces.rules import lifecycle, versions
from workspaces.rules.catalogue import ERROR, Finding, examine, refuse_reason

# The field at which an error of the catalogue is shown.
_FIELDS = {"duplicate": "version", "cycle": "upgrade_from", "dates": "end_of_life_on"}
# As many findings are told after a save; the console's page of versions has all of them.
_TOLD = 10
_PRESENT = ",".join(state for state, _ in lifecycle.WORKSPACE_STATES if state != "deleted")


class VersionForm(forms.ModelForm):  # type: ignore[type-arg]
    """A version that can be sorted, in a catalogue that can be followed, and a reason for each that is withdrawn."""

    def clean_version(self) -> str:
        """Refuse what has no place in the order, such as pre-releases that Kubernetes does not publish."""
        version = str(self.cleaned_data["version"])
        try:
            versions.sort_key(version)
        except ValueError as error:
            raise ValidationError(str(error)) from None
        # Without the "v": what runs is stored without it.
        return str(versions.parse(version))

    def clean(self) -> None:
        """A reason only for a withdrawal."""
        super().clean()
        sentence = refuse_reason(
            was_active=bool(self.initial.get("active")),
            active=bool(self.cleaned_data.get("active")),
            reason=str(self.cleaned_data.get("withdrawn_reason") or ""),
        )
        if sentence:
            self.add_error("withdrawn_reason", sentence)

    def _post_clean(self) -> None:
        """Once the row itself can be read: what it would make of the catalogue."""
        super()._post_clean()  # type: ignore[misc]
        for finding in () if self.errors else self._errors_made():
            self.add_error(_FIELDS.get(finding.code), finding.message)

    def _errors_made(self) -> Iterator[Finding]:
        """Errors at this row, and those at others that saving it would bring; what was wrong before may be mended."""
        today, mine = timezone.now().date(), self.instance.as_rule()
        others = [row.as_rule() for row in KubernetesVersion.objects.exclude(pk=self.instance.pk)]
        stored = [row.as_rule() for row in KubernetesVersion.objects.filter(pk=self.instance.pk)]
        before = set(examine([*others, *stored], today))
        for finding in examine([*others, mine], today):
            if finding.level == ERROR and (finding.version == mine.version or finding not in before):
                yield finding


@admin.register(KubernetesVersion)
class KubernetesVersionAdmin(Curated):
    """What is offered, and from where it may be reached. Versions sort as numbers."""

    form = VersionForm
    list_display = (
        "number",
        "active",
        "workspaces",
        "upgrade_from",
        "security",
        "released_on",
        "end_of_life_on",
        "withdrawn_reason",
    )
    list_filter = ("active", "security")
    search_fields = ("version", "notes", "withdrawn_reason")
    date_hierarchy = "released_on"

    def get_queryset(self, request: HttpRequest) -> QuerySet[KubernetesVersion]:
        """With the number of workspaces that run each version, in the same query."""
        running = Workspace.objects.exclude(state="deleted").filter(version_key=OuterRef("sort_key")).order_by()
        count = running.values("version_key").annotate(number=Count("pk")).values("number")
        rows: QuerySet[KubernetesVersion] = super().get_queryset(request)
        return rows.annotate(running=Coalesce(Subquery(count, output_field=IntegerField()), 0))

    @admin.display(description="version", ordering="sort_key")
    def number(self, row: KubernetesVersion) -> str:
        """The version; 1.9 comes before 1.10."""
        return row.version

    @admin.display(description="workspaces", ordering="running")
    def workspaces(self, row: Any) -> str:
        """How many run it, as a link to them."""
        if not row.running:
            return "0"
        query = urlencode({"version_key": row.sort_key, "state__in": _PRESENT})
        return format_html(
            '<a href="{}?{}">{}</a>', reverse("admin:workspaces_workspace_changelist"), query, row.running
        )

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save, then say everything that is wrong in the whole catalogue."""
        super().save_model(request, obj, form, change)
        findings = examine(catalogue(), timezone.now().date())
        for finding in findings[:_TOLD]:
            messages.warning(request, finding.message)
        if len(findings) > _TOLD:
            messages.warning(request, f"{len(findings) - _TOLD} more are on the page of versions in the console.")
