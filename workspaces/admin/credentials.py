"""Credentials in the admin: never shown, only replaced. Opening a sealed value is for workers alone."""

from __future__ import annotations

from typing import Any

import yaml
from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError

from workspaces.models.sealed import SealedField


class WriteOnly(forms.Textarea):
    """A field for several lines that forgets what was typed when the form comes back, as a password field does."""

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        """Render it empty, whatever was sent."""
        return super().get_context(name, "", attrs)


class CredentialForm(forms.ModelForm):  # type: ignore[type-arg]
    """A row with one sealed field. What is typed replaces the credential; an empty field keeps it."""

    credential = forms.CharField(
        required=False,
        strip=False,
        label="New credential",
        widget=WriteOnly(attrs={"rows": 4, "autocomplete": "off", "spellcheck": "false"}),
        help_text="Replaces what is stored. Leave it empty to keep that; it is never shown again.",
    )

    @classmethod
    def sealed_field(cls) -> SealedField:
        """The model's sealed field."""
        return next(field for field in cls._meta.model._meta.fields if isinstance(field, SealedField))

    def clean_credential(self) -> str:
        """The text with a browser's line ends undone; keys and files of several lines end with one."""
        text: str = self.cleaned_data["credential"].replace("\r\n", "\n").strip()
        if not text and self.instance._state.adding and not self.sealed_field().blank:
            raise ValidationError("Enter the credential: nothing is stored yet.")
        return f"{text}\n" if "\n" in text else text

    def save(self, commit: bool = True) -> Any:
        """Give the row the new credential; it is sealed when the row is saved."""
        if self.cleaned_data["credential"]:
            setattr(self.instance, self.sealed_field().name, self.cleaned_data["credential"])
        return super().save(commit)


class KubeconfigForm(CredentialForm):
    """A kubeconfig is looked at before it is stored; whether it works is for the workers to find out."""

    def clean_credential(self) -> str:
        """Refuse what is no kubeconfig, and one that would run a program. The parser's words could quote a key."""
        text = super().clean_credential()
        if not text:
            return text
        try:
            document = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError):
            raise ValidationError("This is not YAML.") from None
        parts = ("clusters", "contexts", "users", "current-context")
        if not isinstance(document, dict) or not all(document.get(part) for part in parts):
            raise ValidationError(f"This is no kubeconfig: it needs {', '.join(parts[:-1])} and {parts[-1]}.")
        users = document["users"] if isinstance(document["users"], list) else []
        if any("exec" in (user.get("user") or {}) for user in users if isinstance(user, dict)):
            raise ValidationError("It names a program to run for signing in (exec). Store a token or a certificate.")
        return text


@admin.display(description="Credential")
def credential_state(row: Any) -> str:
    """Whether a credential is stored; all the admin ever says about it."""
    field = next(field for field in row._meta.fields if isinstance(field, SealedField))
    return "stored" if getattr(row, field.name) else "none"
