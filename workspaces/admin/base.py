"""What every page of the support admin shares: rows that staff may change, rows that are only read, and their history.

That a change becomes an event is the database's business (`models/audit.py`); nothing in the admin writes to the trail.
Credentials are in `credentials.py`, links in `links.py`.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import DateTimeField, Field
from django.db.models.base import Model
from django.db.models.deletion import PROTECT
from django.forms import BaseInlineFormSet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from workspaces.admin.links import history_of


class Curated(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows support staff may change, as far as their model permissions go.

    What others hold on to (a foreign key that protects) cannot be deleted, and the page says what holds it. With
    `kept_because` nothing of the kind is deleted here at all, for that reason.
    """

    kept_because = ""
    list_per_page = 100
    show_full_result_count = False

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

    def formfield_for_dbfield(self, db_field: Field[Any, Any], request: HttpRequest | None, **kwargs: Any) -> Any:
        """Times are entered in UTC, and the label says so."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)  # type: ignore[arg-type]
        if field is not None and isinstance(db_field, DateTimeField):
            field.label = f"{field.label} (UTC)"
        return field

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """The row's lines of the audit trail, which know every change; without that right, Django's own list."""
        if request.user.has_perm("workspaces.view_event"):
            return redirect(history_of(self.opts.db_table, object_id))
        return super().history_view(request, object_id, extra_context)

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


class NamedRows(BaseInlineFormSet):  # type: ignore[type-arg]
    """Rows whose boxes for deletion have a name."""

    def add_fields(self, form: Any, index: int | None) -> None:
        """The box stands below the head "Delete?", which only who sees it can relate to it."""
        super().add_fields(form, index)
        if "DELETE" in form.fields:
            form.fields["DELETE"].widget.attrs["aria-label"] = "Delete"


class Rows(admin.TabularInline):  # type: ignore[type-arg]
    """Rows edited inside the page of what they belong to."""

    extra = 0
    formset = NamedRows

    def formfield_for_dbfield(self, db_field: Field[Any, Any], request: HttpRequest | None, **kwargs: Any) -> Any:
        """Only the heads of the columns are visible; whoever cannot see them hears each field's name."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)  # type: ignore[arg-type]
        if field is not None:
            field.widget.attrs["aria-label"] = str(field.label)
        return field


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
