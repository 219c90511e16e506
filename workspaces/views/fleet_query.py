"""What a reader asks the fleet list for: words in the address, read strictly, and the queryset they mean."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import UUID

from django.db.models import Case, CharField, Exists, F, OuterRef, Q, Value, When
from django.db.models.functions import Cast
from django.http import Http404, HttpRequest

from workspaces.models import Operation
from workspaces.models.windows import hours_until_window
from workspaces.models.workspace import WorkspaceQuerySet, too_old
from workspaces.rules import lifecycle
from workspaces.views.access import ProjectPlace, projects_of
from workspaces.views.shell import Place, place_among

PAGE_SIZE = 50
# Beyond this many projects the box with all of them is no help; the search finds projects by name as well.
PROJECT_CHOICES = 50
STATES = {
    "": "All",
    "attention": "Needs attention",
    "upgrading": "Upgrading",
    "upgradable": "Upgradable",
    "off": "Maintenance off",
}
COLUMNS = {
    "name": "Workspace",
    "health": "Health",
    "version": "Version",
    "window": "Next maintenance (UTC)",
    "reconciled": "Reconciled",
}


_IN_ADDRESS = ("q", "state", "type", "version", "organization", "project", "sort", "page")


@dataclass(frozen=True, slots=True)
class FleetQuery:
    """The filters, the order and the page. `sort` is a key of COLUMNS, with "-" in front for descending."""

    q: str = ""
    state: str = ""
    type: str = ""
    # Running versions, joined by commas: the page of versions leads here.
    version: str = ""
    organization: UUID | None = None
    project: UUID | None = None
    sort: str = "name"
    page: int = 1
    notes: tuple[str, ...] = ()

    @property
    def only_state(self) -> bool:
        """Whether nothing but the place and the state narrows the list, so that its count is known already."""
        return not (self.q or self.type or self.version)

    @property
    def is_filtered(self) -> bool:
        """Whether clearing the filters would show more."""
        return bool(self.q or self.type or self.state or self.version)

    def address(self, **changes: object) -> str:
        """The query string of this list with changes; what is as by default is left out."""
        usual = {"sort": "name", "page": 1}
        values = {name: changes.get(name, getattr(self, name)) for name in _IN_ADDRESS}
        kept = {name: value for name, value in values.items() if value and value != usual.get(name)}
        return f"?{urlencode(kept)}" if kept else ""

    @property
    def headings(self) -> dict[str, tuple[str, str, str]]:
        """For every column its label, the address that sorts by it, and its aria-sort."""
        key, descending = self.sort.removeprefix("-"), self.sort.startswith("-")
        return {
            column: (
                label,
                self.address(sort=f"-{column}" if column == key and not descending else column, page=1) or "?",
                ("descending" if descending else "ascending") if column == key else "",
            )
            for column, label in COLUMNS.items()
        }

    def previous(self) -> str:
        """The address of the page before; empty on the first."""
        return (self.address(page=self.page - 1) or "?") if self.page > 1 else ""

    def next(self) -> str:
        """The address of the page after this one, whether or not there is one."""
        return self.address(page=self.page + 1)

    def all_states(self) -> str:
        """The address with neither search, state nor type."""
        return self.address(q="", state="", type="", version="", page=1) or "?"

    def attention(self) -> str:
        """The address of those that need a person."""
        return self.address(q="", type="", version="", state="attention", page=1)

    def upgrading(self) -> str:
        """The address of those that are upgrading."""
        return self.address(q="", type="", version="", state="upgrading", page=1)

    def upgradable(self) -> str:
        """The address of those that could be upgraded now."""
        return self.address(q="", type="", version="", state="upgradable", page=1)

    def any_version(self) -> str:
        """The address of the same list whatever runs."""
        return self.address(version="", page=1) or "?"

    def turned_to_existing_page(self, total: int) -> FleetQuery:
        """The last page in place of one behind it, saying so."""
        last = max(1, -(-total // PAGE_SIZE))
        if self.page <= last:
            return self
        return replace(self, page=last, notes=(*self.notes, f"There is no page {self.page}. This is the last one."))

    def is_in_place_of(self, address: str) -> bool:
        """Whether the page at `address` is about the same organization and project."""
        there = parse_qs(urlsplit(address).query)
        return all(str(getattr(self, name) or "") == there.get(name, [""])[0] for name in ("organization", "project"))

    # --- Place --------------------------------------------------------------------------------------------------------
    def projects_in_place(self, projects: list[ProjectPlace]) -> list[ProjectPlace]:
        """Those of `projects` that the chosen organization and project leave."""
        return [p for p in projects if self.organization in (None, p.organization_id) and self.project in (None, p.id)]

    def place(self, projects: list[ProjectPlace]) -> Place:
        """What the frame names as the place."""
        here = self.projects_in_place(projects)
        if self.project is not None and here:
            return Place(here[0].organization, here[0].name, here[0].organization_id, here[0].id)
        return place_among(here)

    def project_choices(self, projects: list[ProjectPlace]) -> list[ProjectPlace]:
        """What the project filter offers: at most PROJECT_CHOICES, the chosen one always."""
        here = [p for p in projects if self.organization in (None, p.organization_id)]
        offered = here[:PROJECT_CHOICES]
        return offered + [p for p in here[PROJECT_CHOICES:] if p.id == self.project]

    def in_place(self, workspaces: WorkspaceQuerySet) -> WorkspaceQuerySet:
        """Those of the chosen organization and project."""
        if self.project is not None:
            return workspaces.filter(project=self.project)
        if self.organization is not None:
            return workspaces.filter(project__organization=self.organization)
        return workspaces

    # --- Selection ----------------------------------------------------------------------------------------------------
    def select(self, workspaces: WorkspaceQuerySet, upgradable: Q) -> WorkspaceQuerySet:
        """Those that the search, the type and the state leave; `upgradable` selects what can be upgraded now."""
        if self.q:
            workspaces = workspaces.alias(id_text=Cast("id", CharField())).filter(
                Q(name__icontains=self.q) | Q(project__name__icontains=self.q) | Q(id_text__istartswith=self.q)
            )
        if self.type:
            workspaces = workspaces.filter(type=self.type)
        if self.version:
            workspaces = workspaces.filter(kubernetes_version__in=self.version.split(","))
        match self.state:
            case "attention":
                return workspaces.exclude(attention="")
            case "upgrading":
                return workspaces.filter(_open_operation(kind="upgrade"))
            case "upgradable":
                return workspaces.filter(upgradable)
            case "off":
                return workspaces.filter(maintenance_plan__enabled=False)
        return workspaces


def _open_operation(**fields: str) -> Exists:
    return Exists(Operation.objects.open().filter(workspace=OuterRef("pk"), **fields))


def ordered(workspaces: WorkspaceQuerySet, sort: str, now: datetime) -> WorkspaceQuerySet:
    """In the order of a column; equals by name. What has no value comes last, and what was never seen is oldest."""
    key, descending = sort.removeprefix("-"), sort.startswith("-")
    match key:
        case "health":
            first = _urgency(now).desc() if descending else _urgency(now).asc()
        case "version":
            first = F("version_key").desc() if descending else F("version_key").asc()
        case "window":
            opens = hours_until_window(now)
            first = opens.desc(nulls_last=True) if descending else opens.asc(nulls_last=True)
        case "reconciled":
            seen = F("observed_at")
            first = seen.desc(nulls_last=True) if descending else seen.asc(nulls_first=True)
        case _:
            return workspaces.order_by("-name" if descending else "name", "id")
    return workspaces.order_by(first, "name", "id")


def _urgency(now: datetime) -> Case:
    """Broken, a person should look, not seen, busy, well: the order of the health column."""
    return Case(
        When(_open_operation(), then=Value(3)),
        When(too_old(now), then=Value(2)),
        When(attention_tone="bad", then=Value(0)),
        When(~Q(attention=""), then=Value(1)),
        default=Value(4),
    )


# --- Reading the address ----------------------------------------------------------------------------------------------
def parse(request: HttpRequest) -> FleetQuery:
    """The query of a request. Words that mean nothing are left out with a note; a place that is not there is a 404."""
    notes: list[str] = []
    projects = projects_of(request)
    organization = _known(request, "organization", {p.organization_id for p in projects})
    project = _known(request, "project", {p.id for p in projects})
    if organization and project not in {None, *(p.id for p in projects if p.organization_id == organization)}:
        notes.append("That project is of another organization, so all projects are shown.")
        project = None
    sort = _word(request, "sort", {*COLUMNS, *(f"-{column}" for column in COLUMNS)}, "an order", notes)
    page = request.GET.get("page", "1")
    if not (page.isascii() and page.isdigit() and int(page[:9]) > 0):
        notes.append(f"“{page[:40]}” is not a page.")
        page = "1"
    return FleetQuery(
        q=request.GET.get("q", "").replace("\0", "").strip()[:100],
        state=_word(request, "state", set(STATES), "a state", notes),
        type=_word(request, "type", {kind for kind, _ in lifecycle.WORKSPACE_TYPES}, "a type", notes),
        version=request.GET.get("version", "").replace("\0", "").strip()[:500],
        organization=organization,
        project=project,
        sort=sort or "name",
        page=int(page[:9]),
        notes=tuple(notes),
    )


def _word(request: HttpRequest, name: str, known: set[str], noun: str, notes: list[str]) -> str:
    word = request.GET.get(name, "")
    if not word or word in known:
        return word
    notes.append(f"“{word[:40]}” is not {noun} of this list, so it is left out.")
    return ""


def _known(request: HttpRequest, name: str, known: set[UUID]) -> UUID | None:
    """The id of something the account may see. What it may not see is not there: Http404."""
    text = request.GET.get(name, "")
    if not text:
        return None
    for pk in known:
        if str(pk) == text:
            return pk
    raise Http404(f"There is no such {name}.")
