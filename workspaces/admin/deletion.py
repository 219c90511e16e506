"""Policies of deletion, edited as an ordered table; deletions with their receipts and what workers saw: to read.

A workspace is deleted in the console, the API or with the command `delete`. Which orders are possible is said in
`rules/deletion.py`; the form here only turns positions and choices into steps and says what is wrong with them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.forms.models import ModelFormMetaclass
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from workspaces.admin.base import Curated, Recorded
from workspaces.admin.links import to
from workspaces.models import Deletion, DeletionPolicy, Inventory, Organization
from workspaces.models.deletion import default_steps
from workspaces.rules.deletion import DEFAULT, PARTS, PolicyStep, faults_of, read
from workspaces.rules.deletion_plan import Item, NotAsked, Plan, PlannedStep
from workspaces.rules.deletion_receipt import as_text

_NEW_LINE = SafeString("<br>")
_CHOICES = (("delete", "Delete"), ("keep", "Keep"))
# What is said above the steps.
_OF_STEPS = (
    "The steps are taken by position, from 1. Deletions that are scheduled or under way follow the plan that was "
    "agreed to; a change is for those that are asked for from now on."
)


def _help_of(part: str) -> str:
    """What goes with it, and what has to be gone before."""
    after = " and ".join(PARTS[first].label for first in PARTS[part].after)
    only = " Kubernetes only." if PARTS[part].kubernetes_only else ""
    return f"{PARTS[part].removes}.{f' Only after {after}.' if after else ''}{only}"


def _fields_of(part: str) -> dict[str, forms.Field]:
    label = PARTS[part].label
    action = forms.ChoiceField(choices=_CHOICES, label=label, help_text=_help_of(part))
    position = forms.IntegerField(min_value=1, max_value=len(PARTS), label=f"Position of {label}")
    return {f"{part}_action": action, f"{part}_position": position}


# A form whose fields are as many as there are parts.
_StepFields: Any = ModelFormMetaclass(
    "_StepFields", (forms.ModelForm,), {name: field for part in PARTS for name, field in _fields_of(part).items()}
)


class PolicyForm(_StepFields):  # type: ignore[misc]
    """A policy without a word of JSON: for each part a choice and a position."""

    class Meta:
        model = DeletionPolicy
        fields = ("organization", "grace_hours", "second_person")
        labels = {"grace_hours": "Hours of grace"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for position, step in enumerate(_steps_of(self.instance), start=1):
            self.initial.setdefault(f"{step.part}_action", step.action)
            self.initial.setdefault(f"{step.part}_position", position)

    def clean_organization(self) -> Organization | None:
        """The platform has one policy, and so has an organization."""
        organization: Organization | None = self.cleaned_data["organization"]
        others = DeletionPolicy.objects.exclude(pk=self.instance.pk)
        if organization is None and others.filter(organization=None).exists():
            raise forms.ValidationError("The platform has its policy already: change that one.")
        return organization

    def clean(self) -> None:
        """An order that a deletion can follow; else the sentences of `rules.deletion`."""
        super().clean()  # has it asked whether another row is the organization's
        sent = self.cleaned_data
        # The row is validated with the form; what the form refuses it is not asked about a second time.
        self.instance.steps = default_steps()
        if not all(f"{part}_{of}" in sent for part in PARTS for of in ("action", "position")):
            return
        if said := _twice({part: sent[f"{part}_position"] for part in PARTS}):
            raise forms.ValidationError(said)
        order = sorted(PARTS, key=lambda part: int(sent[f"{part}_position"]))
        steps = [{"step": part, "action": sent[f"{part}_action"]} for part in order]
        if faults := faults_of(steps):
            raise forms.ValidationError(faults)
        self.instance.steps = steps


def _steps_of(policy: DeletionPolicy) -> tuple[PolicyStep, ...]:
    """As stored; the default where what is stored cannot be followed."""
    return DEFAULT if faults_of(policy.steps) else read(policy.steps)


def _twice(positions: dict[str, int]) -> list[str]:
    """A sentence for each position that several steps have."""
    at: dict[int, list[str]] = {}
    for part, position in positions.items():
        at.setdefault(position, []).append(PARTS[part].label)
    return [
        f"Position {position} is given to {' and '.join(at[position])}." for position in sorted(at) if at[position][1:]
    ]


@admin.register(DeletionPolicy)
class DeletionPolicyAdmin(Curated):
    """What is deleted and what is kept, in which order: one policy of the platform, one of each organization."""

    form = PolicyForm
    list_display = ("whose", "in_order", "grace_hours", "second_person")
    list_select_related = ("organization",)
    list_filter = ("second_person", ("organization", admin.EmptyFieldListFilter))
    search_fields = ("organization__name",)
    autocomplete_fields = ("organization",)
    readonly_fields = ("in_order", "followed_by")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """One line for each part, in the order of the policy; who may only look reads the order as a list."""
        general = ("organization", "followed_by", "grace_hours", "second_person")
        if not (self.has_change_permission(request, obj) if obj else self.has_add_permission(request)):
            return [(None, {"fields": (*general, "in_order")})]
        lines = [(f"{step.part}_action", f"{step.part}_position") for step in _steps_of(obj or DeletionPolicy())]
        return [(None, {"fields": general}), ("Steps", {"fields": lines, "description": _OF_STEPS})]

    @admin.display(description="whose", ordering="organization__name")
    def whose(self, row: DeletionPolicy) -> str:
        """The organization's name, or the platform."""
        return str(row.organization or "The platform")

    @admin.display(description="steps")
    def in_order(self, row: DeletionPolicy) -> str:
        """The steps as people say them."""
        steps = _steps_of(row)
        kept = ", ".join(step.label for step in steps if step.action == "keep")
        way = ", ".join(step.label for step in steps if step.action == "delete")
        return f"Deletes {way or 'nothing'}. Keeps {kept or 'nothing'}."

    @admin.display(description="followed by")
    def followed_by(self, row: DeletionPolicy) -> str:
        """Which organizations it holds for: its own, or those without one of theirs."""
        if row._state.adding:
            return "Told when it is saved."
        if row.organization:
            return f"{row.organization} alone."
        names = list(Organization.objects.filter(deletion_policy=None).order_by("name").values_list("name", flat=True))
        return ", ".join(names) if names else "Nobody: every organization has its own."


@admin.register(Deletion)
class DeletionAdmin(Recorded):
    """Deletions from the asking to the receipt. They are asked for, undone and agreed to in the console."""

    list_display = (
        "requested_at",
        to("workspace"),
        "state",
        "requested_by",
        "begins_at",
        "needs_approval",
        "approved_by",
        to("operation"),
        "ended_at",
    )
    list_display_links = ("requested_at",)
    list_select_related = ("workspace", "operation")
    list_filter = ("state", "needs_approval", ("workspace__project__organization", admin.RelatedOnlyFieldListFilter))
    search_fields = ("workspace__name", "requested_by", "approved_by", "reason", "^id")
    date_hierarchy = "requested_at"
    exclude = ("plan", "receipt")
    readonly_fields = ("agreed_to", "receipt_as_text")

    @admin.display(description="agreed to")
    def agreed_to(self, row: Deletion) -> str:
        """What it was to delete and to keep, by name."""
        if not row.plan:
            return "No plan is stored."
        plan = Plan.of(row.plan)
        goes = [f"Delete {step.label}: {_names(_among(step, plan.removed))}" for step in plan.steps if _goes(step)]
        stays = [f"Keep {step.label}: {_names(kept)}" for step in plan.steps if (kept := _among(step, plan.kept))]
        outside = [f"Outside of it: {_names(plan.outside)}"] if plan.outside else []
        return _lines([*goes, *stays, *outside, *(_silence(one) for one in plan.not_asked)])

    @admin.display(description="receipt")
    def receipt_as_text(self, row: Deletion) -> str:
        """As it is filed."""
        if row.receipt is None:
            return "There is none before it has ended."
        return format_html("<pre>{}</pre>", as_text(row.receipt, row.workspace.name))

    def view_on_site(self, obj: Deletion) -> str:
        """Its page in the console: the receipt, or before that the plan with the way to undo it."""
        return reverse("receipt" if obj.receipt else "delete", args=[obj.workspace_id])


@admin.register(Inventory)
class InventoryAdmin(Recorded):
    """What a worker saw of a workspace before its deletion. The row goes with the deletion."""

    list_display = (to("workspace"), "asked_at", "looked_at", "things", "silent", "error")
    list_select_related = ("workspace",)
    list_display_links = ("asked_at",)
    list_filter = (("looked_at", admin.EmptyFieldListFilter), ("error", admin.EmptyFieldListFilter))
    search_fields = ("workspace__name", "error")
    date_hierarchy = "asked_at"
    exclude = ("found", "not_asked")
    readonly_fields = ("seen",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Inventory]:
        """With their workspaces, whose names the list shows."""
        rows: QuerySet[Inventory] = super().get_queryset(request)
        return rows.select_related("workspace")

    @admin.display(description="things")
    def things(self, row: Inventory) -> int:
        """How many were found."""
        return len(row.found)

    @admin.display(description="not asked")
    def silent(self, row: Inventory) -> int:
        """How many did not answer."""
        return len(row.not_asked)

    @admin.display(description="found")
    def seen(self, row: Inventory) -> str:
        """Every thing by name, and what did not answer."""
        found = [Item.of(one) for one in row.found]
        told = [f"{PARTS[part].label}: {_names(one for one in found if one.part == part)}" for part in PARTS]
        return _lines([*told, *(_silence(NotAsked.of(one)) for one in row.not_asked)])


def _goes(step: PlannedStep) -> bool:
    return step.action == "delete"


def _among(step: PlannedStep, items: Iterable[Item]) -> list[Item]:
    """Those of the step's things that are among the items: machines stay, whatever the policy says of hosts."""
    return [item for item in items if item in step.items]


def _names(items: Iterable[Item]) -> str:
    return ", ".join(item.name + ("" if item.ours else " (outside)") for item in items) or "none"


def _silence(one: NotAsked) -> str:
    return f"Not asked: {one.what}. {one.message}"


def _lines(lines: Iterable[str]) -> str:
    return format_html_join(_NEW_LINE, "{}", ((line,) for line in lines))
