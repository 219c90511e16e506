"""The admin's addresses, what its forms send and answer, and what came of it in the audit trail."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import Group
from django.urls import reverse

from workspaces.models import Account, Event, Organization


def pages(model: type[Any]) -> dict[str, str]:
    """The addresses of a model's list, its add form and the page of one row."""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    row = model._default_manager.order_by("pk").first()
    assert row is not None, f"no {model.__name__} to look at"
    return {
        "list": reverse(f"{name}_changelist"),
        "add": reverse(f"{name}_add"),
        "change": reverse(f"{name}_change", args=[row.pk]),
    }


def every_page() -> list[tuple[str, str, str]]:
    """(noun, kind of page, address) of all nouns."""
    Group.objects.get_or_create(name="Catalogue")
    return [
        (str(model._meta.model_name), kind, address)
        for model in admin.site._registry
        for kind, address in pages(model).items()
    ]


def address(noun: str, row: Any, page: str = "change") -> str:
    """The address of a row's page."""
    return f"/admin/workspaces/{noun}/{row.pk}/{page}/"


def errors(response: Any) -> str:
    """Everything the page says is wrong."""
    assert response.status_code == 200
    form = response.context["adminform"].form
    inline = [error for formset in response.context["inline_admin_formsets"] for error in formset.formset.errors]
    return f"{form.errors.as_text()} {inline}"


def trail() -> list[tuple[str, Any]]:
    """What the requests of the test changed, as (action, changes) in order; what fixtures did has no request."""
    rows = Event.objects.row_changes().exclude(request_id=None).order_by("id")
    return list(rows.values_list("action", "changes"))


def last() -> Event:
    """The newest change of a row that a request made."""
    event = Event.objects.row_changes().exclude(request_id=None).first()
    assert event is not None
    return event


def version(**fields: Any) -> dict[str, Any]:
    """What the form of a catalogue version sends."""
    return {"version": "1.36.4", "active": "on", "upgrade_from": ">=1.35.4 <1.37.0", "notes": ""} | fields


def agreement(organization: Organization, *clauses: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """What the form of a new agreement sends with its clauses."""
    data: dict[str, Any] = {"organization": str(organization.pk), "number": "KF-1", "valid_from": "2026-01-01"}
    data |= {"currency": "EUR", "overrides-TOTAL_FORMS": len(clauses), "overrides-INITIAL_FORMS": 0} | fields
    for number, clause in enumerate(clauses):
        values = {"clause": f"{number + 1}", "component": "hourly", "kind": "percent", "amount": "90"} | clause
        data |= {f"overrides-{number}-{field}": value for field, value in values.items()}
    return data


def account(who: Account, **fields: Any) -> dict[str, Any]:
    """What the form of an account sends."""
    data: dict[str, Any] = {"email": who.email, "first_name": who.first_name, "last_name": who.last_name}
    data |= {"time_zone": who.time_zone, "is_active": "on"}
    memberships = list(who.memberships.all())
    data |= {"memberships-TOTAL_FORMS": len(memberships), "memberships-INITIAL_FORMS": len(memberships)}
    for number, row in enumerate(memberships):
        values = {"id": row.pk, "account": who.pk, "organization": row.organization_id, "role": row.role}
        data |= {f"memberships-{number}-{name}": str(value) for name, value in values.items()}
    return data | fields
