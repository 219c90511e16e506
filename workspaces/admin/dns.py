"""The form of a DNS record: names as the vendor has them, and values it would take (`rules/dns`)."""

from __future__ import annotations

from typing import Any

from django import forms

from workspaces.rules import dns


class RecordForm(forms.ModelForm):  # type: ignore[type-arg]
    """A record, refused in words where the vendor would refuse it when it is set."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "type" in self.fields:
            self.fields["type"] = forms.ChoiceField(choices=[(type, type) for type in dns.TYPES])
        for name, said in (
            ("name", "Within the zone, such as gw; @ is the zone itself."),
            ("value", "Of TXT the text without quotes. A host elsewhere ends with a dot."),
        ):
            if name in self.fields:
                self.fields[name].help_text = said

    def clean_zone(self) -> str:
        """As the vendor has it."""
        return dns.zone_name(str(self.cleaned_data["zone"]))

    def clean_name(self) -> str:
        """As the vendor has it."""
        return dns.record_name(str(self.cleaned_data["name"]))

    def clean(self) -> None:
        """What the fields say only together; the account is one of the workspace's own organization."""
        values = self.cleaned_data
        if all(values.get(name) for name in ("zone", "name", "type", "value")):
            record = dns.Record("", values["zone"], values["name"], values["type"], values["value"], values.get("ttl"))
            for field, said in dns.problems(record).items():
                self.add_error(field, said)
        workspace, account = values.get("workspace"), values.get("provider_account")
        if workspace and account and workspace.project.organization_id != account.organization_id:
            self.add_error(
                "provider_account",
                f"{account} belongs to {account.organization}, {workspace} to {workspace.project.organization}.",
            )
