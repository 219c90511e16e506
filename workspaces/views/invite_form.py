"""The form that invites somebody: on the members page, read by `invitations.py`."""

from __future__ import annotations

from typing import Any

from django import forms

from workspaces.models.members import Scope
from workspaces.models.tenancy import ROLES, Project


class InviteForm(forms.Form):
    """An address, a role, and on an organization's page for which of its projects (empty: all of them)."""

    email = forms.EmailField(
        max_length=254,
        error_messages={
            "required": "Enter an e-mail address",
            "invalid": "Enter an e-mail address such as bob@kestrel.example",
        },
    )
    role = forms.ChoiceField(
        choices=ROLES, error_messages={"required": "Choose a role", "invalid_choice": "Choose a role"}
    )
    project: forms.ModelChoiceField[Project] = forms.ModelChoiceField(
        queryset=Project.objects.none(),
        required=False,
        error_messages={"invalid_choice": "Choose a project of this organization, or all projects"},
    )

    def __init__(self, scope: Scope, data: Any = None) -> None:
        super().__init__(data, initial={"role": "viewer"})
        if scope.project:
            del self.fields["project"]
        else:
            self.fields["project"].queryset = scope.organization.projects.all()  # type: ignore[attr-defined]
