"""The form that sets a hold: where, why, from when, until when. What comes of it is a `Hold` that is not stored yet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django import forms

from workspaces.models import Account, Hold, Organization, Project, Workspace
from workspaces.models.hold import PERMISSION
from workspaces.rules import hold as rules

PLATFORM = "platform"
Place = Organization | Project | None
ENDS = [("1", "1 hour"), ("8", "8 hours"), ("24", "24 hours"), ("168", "7 days"), ("until", "At a time")]
_TIME = {"invalid": "Enter a date and a time in UTC, such as 2026-12-24 18:00"}


def places_of(account: Account) -> dict[str, Place]:
    """Where the account may hold, by the value of the form: each organization followed by its projects, by name."""
    projects = list(Project.objects.allowing(account, PERMISSION).select_related("organization"))
    found: list[Organization | Project] = [*Organization.objects.allowing(account, PERMISSION), *projects]
    found.sort(key=lambda place: (str(_organization(place)), isinstance(place, Project), str(place)))
    return ({PLATFORM: None} if account.is_superuser else {}) | {str(place.pk): place for place in found}


def _organization(place: Organization | Project) -> Organization:
    return place.organization if isinstance(place, Project) else place


class HoldForm(forms.Form):
    """`hold` is what would be stored, None while place or time cannot be read; the reason may still be missing."""

    place = forms.ChoiceField(error_messages=dict.fromkeys(("required", "invalid_choice"), "Choose a place"))
    workspace = forms.CharField(max_length=63, required=False)
    reason = forms.CharField(max_length=200, error_messages={"required": "Enter why, for whoever meets the hold"})
    end = forms.ChoiceField(
        choices=ENDS, error_messages=dict.fromkeys(("required", "invalid_choice"), "Choose when it ends")
    )
    until = forms.DateTimeField(required=False, error_messages=_TIME)
    starts = forms.DateTimeField(required=False, error_messages=_TIME)

    def __init__(self, places: dict[str, Place], data: Any, now: datetime) -> None:
        super().__init__(data)
        self.places, self.now = places, now
        self.hold: Hold | None = None
        groups: dict[str, list[tuple[str, str]]] = {}
        for value, place in places.items():
            group = str(_organization(place)) if place else "Everything"
            groups.setdefault(group, []).append((value, _title(place)))
        self.fields["place"].choices = list(groups.items())  # type: ignore[attr-defined]

    @property
    def seen(self) -> str:
        """Place and time as typed: what a preview has shown is stored only while it is the same."""
        return "|".join(self[name].value() or "" for name in ("place", "workspace", "end", "until", "starts"))

    def clean(self) -> dict[str, Any]:
        """Build the hold."""
        said: dict[str, Any] = self.cleaned_data
        hold = self._placed(said) if "place" in said and "workspace" in said else None
        starts, ends = self._times(said)
        if hold and starts and ends:
            hold.reason, hold.set_at, hold.expires_at = said.get("reason", ""), starts, ends
            self.hold = hold
        return said

    def _placed(self, said: dict[str, Any]) -> Hold | None:
        place = self.places[said["place"]]
        hold = Hold(**({"project" if isinstance(place, Project) else "organization": place} if place else {}))
        if not said["workspace"]:
            return hold
        found = _workspaces(hold, said["workspace"])
        if len(found) == 1:
            return Hold(workspace=found[0])
        problem = (
            "is more than one workspace: choose its project above" if found else f"is no workspace of {hold.place}"
        )
        self.add_error("workspace", f"{said['workspace']} {problem}")
        return None

    def _times(self, said: dict[str, Any]) -> tuple[datetime | None, datetime | None]:
        """From when and until when; None where it cannot be read."""
        if "starts" not in said or "end" not in said or "until" not in said:
            return None, None
        starts = said["starts"] or self.now
        ends = said["until"] if said["end"] == "until" else max(starts, self.now) + timedelta(hours=int(said["end"]))
        if ends is None:
            self.add_error("until", "Enter when it ends, in UTC")
        elif wrong := rules.wrong_time(starts, ends, self.now):
            self.add_error({"starts_at": "starts", "expires_at": "until"}[wrong.field], wrong.message)
        else:
            return max(starts, self.now).astimezone(UTC), ends.astimezone(UTC)
        return None, None


def _title(place: Place) -> str:
    if place is None:
        return "The platform: every workspace"
    return str(place) if isinstance(place, Project) else f"All projects of {place}"


def _workspaces(hold: Hold, said: str) -> list[Workspace]:
    """At most two of the place with that name or id."""
    rows = hold.covered().exclude(state="deleted").select_related("project")
    try:
        return list(rows.filter(pk=UUID(said)))
    except ValueError:
        return list(rows.filter(name=said)[:2])
