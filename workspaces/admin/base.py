"""What every page of the support admin shares: rows that leave an event when they change, and rows that never do.

The audit trail is written here and nowhere else in the admin; credentials are in `credentials.py`, links in `links.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.db.models.base import Model
from django.db.models.deletion import PROTECT
from django.forms import ModelChoiceField, ModelForm, ModelMultipleChoiceField
from django.forms.models import BaseModelFormSet
from django.http import HttpRequest

from workspaces.admin.credentials import CredentialForm
from workspaces.models import Actor, Event, Workspace

# Form fields whose values never leave the form: the trail says that they changed, not from what to what.
_UNSAID = {"password", "password1", "password2", "usable_password"}


class Curated(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows support staff may change, as far as their model permissions go. Every change is an event in its transaction.

    What others hold on to (a foreign key that protects) cannot be deleted, and the page says what holds it. With
    `kept_because` nothing of the kind is deleted here at all, for that reason.
    """

    kept_because = ""
    list_per_page = 100
    show_full_result_count = False

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:
        """Save with an event of what the form has changed."""
        super().save_model(request, obj, form, change)
        record(request, "changed" if change else "added", obj, changes_of(form, added=not change))

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """The same for the rows edited inside another's page."""
        super().save_formset(request, form, formset, change)
        _record_formset(request, formset)

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        """Delete with an event; it is written first, while the row still has its relations."""
        record(request, "deleted", obj, {})
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """The action of the list: each row as if it were deleted alone."""
        for row in queryset:
            self.delete_model(request, row)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never what is kept or held on to, else by model permission."""
        held = self.kept_because or (obj is not None and held_by(obj))
        return not held and super().has_delete_permission(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Those of the class, and on an existing row the line about its deletion."""
        fields = tuple(super().get_readonly_fields(request, obj))
        return (*fields, "deletion") if obj is not None and (self.kept_because or held_by(obj)) else fields

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Those of the class; the line about deletion comes last."""
        fieldsets = list(super().get_fieldsets(request, obj))
        shown = {name for _, options in fieldsets for name in options["fields"]}
        if "deletion" in self.get_readonly_fields(request, obj) and "deletion" not in shown:
            fieldsets.append((None, {"fields": ("deletion",)}))
        return fieldsets

    @admin.display(description="Deletion")
    def deletion(self, obj: Any) -> str:
        """Why this row cannot be deleted here."""
        return self.kept_because or f"Not possible while it has {held_by(obj)}."


class Recorded(Curated):
    """Rows that are history or belong to other parts of the product: to be read, never added, changed or deleted."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never."""
        return False


class Rows(admin.TabularInline):  # type: ignore[type-arg]
    """Rows edited inside the page of what they belong to."""

    extra = 0


def held_by(row: Model) -> str:
    """What would be orphaned by deleting `row`, in words: `2 projects and 1 agreement`; empty when nothing holds it."""
    held = []
    for relation in row._meta.related_objects:
        if relation.on_delete is PROTECT:
            model: Any = relation.related_model
            count = model._default_manager.filter(**{relation.field.name: row}).count()
            if count:
                name = model._meta.verbose_name if count == 1 else model._meta.verbose_name_plural
                held.append(f"{count} {name}")
    return " and ".join([", ".join(held[:-1]), held[-1]] if len(held) > 1 else held)


def record(request: HttpRequest, verb: str, row: Model, changes: dict[str, Any]) -> None:
    """Append the event of one change: `admin.changed`, "Changed active of Kubernetes version 1.35.7".

    A save that changes nothing leaves no event.
    """
    if verb == "changed" and not changes:
        return
    what = f"{', '.join(changes)} of {row._meta.verbose_name}" if verb == "changed" else str(row._meta.verbose_name)
    workspace = row if isinstance(row, Workspace) else getattr(row, "workspace", None)
    Event.record(
        Actor.of(request.user),  # type: ignore[arg-type]
        f"admin.{verb}",
        summary=f"{verb.capitalize()} {what} {row}",
        workspace=workspace,
        changes=changes,
    )


def changes_of(form: ModelForm[Any], *, added: bool = False) -> dict[str, Any]:
    """What a valid form changes, as `{field: [before, after]}`; of credentials only that they were changed."""
    changes: dict[str, Any] = {}
    fields = {field.name for field in form._meta.model._meta.get_fields()}
    for name in form.cleaned_data if added else form.changed_data:
        after = _shown(form.cleaned_data.get(name))
        if name in _UNSAID:
            changes["password"] = "changed"  # noqa: S105
        elif isinstance(form, CredentialForm) and name == "credential":
            changes |= {form.sealed_field().name: "changed"} if after else {}
        elif not added and (before := _before(form, name)) != after:
            changes[name] = [before, after]
        elif added and name in fields and after not in (None, "", [], {}):
            changes[name] = [None, after]
    return changes


def _record_formset(request: HttpRequest, formset: BaseModelFormSet[Any, Any]) -> None:
    """One event for each row that a saved formset has added, changed or deleted."""
    changed = {row.pk for row, _ in formset.changed_objects}
    added = {row.pk for row in formset.new_objects}
    for form in formset.forms:
        if form.instance.pk in added or form.instance.pk in changed:
            verb = "added" if form.instance.pk in added else "changed"
            record(request, verb, form.instance, changes_of(form, added=verb == "added"))
    for row in formset.deleted_objects:
        record(request, "deleted", row, {})


def _before(form: ModelForm[Any], name: str) -> Any:
    """The value a field had when the form was made; rows by their names."""
    value, field = form.initial.get(name), form.fields[name]
    if isinstance(field, ModelMultipleChoiceField):
        return _shown(value or [])
    if isinstance(field, ModelChoiceField):
        return _shown(field.queryset.filter(pk=value).first()) if value and field.queryset is not None else None
    return _shown(value)


def _shown(value: Any) -> Any:
    """A value as the trail keeps it: JSON's own kinds as they are, everything else by its words."""
    if value is None or isinstance(value, bool | int | str | dict):
        return value
    return [_shown(part) for part in value] if isinstance(value, Iterable) else str(value)
