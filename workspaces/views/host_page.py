"""What the page of a host shows: what it is and costs, how it was last seen, and what was done with it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db.models import Exists, OuterRef, Q
from django.http import HttpRequest
from django.shortcuts import get_object_or_404

from workspaces.models import Host, Operation, PackageUpdate, Step, Workspace
from workspaces.models.price_list import Offer
from workspaces.operations import host_sizes
from workspaces.rules import lifecycle
from workspaces.rules.pricing import Quote
from workspaces.views.money import HOURLY, agreed, money, set_by
from workspaces.views.profile_reading import Reading, read
from workspaces.views.profile_rows import gigabytes

OPERATIONS_SHOWN = 10
UPDATES_SHOWN = 10
_TITLES = {
    "setup": "Setup, once",
    "hourly": "Per hour",
    "monthly": "Per month at most",
    "traffic": "Traffic beyond the included, per TB",
    "backup": "Backup, per month where it is on",
    "primary_ip": "IPv4 address, per month",
}


class CostLine(NamedTuple):
    """A component with its list and agreed price; `set_by` is empty where list applies."""

    title: str
    list: str
    agreed: str
    set_by: str


@dataclass(frozen=True, slots=True)
class Found:
    """A host with its workspace and what the reader may do; `offer` is what it is and costs, None: not known."""

    seen: Reading
    host: Host
    offer: Offer | None

    @property
    def size(self) -> str:
        """`4 vCPU, 16 GB memory`, of what is known of its profile."""
        if self.offer is None:
            return "size not known"
        profile = self.offer.profile
        return f"{profile.cores} vCPU, {gigabytes(profile.memory_gb)} GB memory"

    @property
    def others(self) -> list[str]:
        """The other hosts that can take its pods, as far as was seen."""
        joined = (one for one in self.seen.hosts if one.pk != self.host.pk and one.node_name)
        return [one.name for one in joined if one.ready and not one.unschedulable]

    @property
    def disk(self) -> int | None:
        """In GB, at most; None when nobody knows."""
        return host_sizes.disk_of(self.host, self.offer)


def find(request: HttpRequest, pk: UUID, host: UUID, now: datetime, *, need: str) -> Found:
    """The host of that workspace; raises as `get_workspace` does, and Http404 for a host of another one."""
    seen = read(request, pk, need=need)
    found = get_object_or_404(Host.objects.select_related("provider_account"), workspace=seen.workspace, pk=host)
    found.workspace = seen.workspace
    return Found(seen, found, host_sizes.offer_now(found, now) if found.provider_account_id else None)


def health_of(host: Host, *, stale: bool) -> lifecycle.Look:
    """Ready or not, and never green when it was not seen lately."""
    word = {True: "Ready", False: "Not ready", None: "Not known"}[host.ready]
    tone: lifecycle.Tone = "idle" if stale or host.ready is None else "ok" if host.ready else "bad"
    return lifecycle.Look(f"{word} when last seen" if stale and host.ready is not None else word, tone)


def cost_lines(quote: Quote) -> list[CostLine]:
    """Every component whose price is known; what is not asked for at all is left out."""
    lines = []
    for line in quote.lines:
        if line.list or line.agreed:
            places = HOURLY if line.component == "hourly" else 2
            listed = money(line.list, line.currency, places)
            lines.append(CostLine(_TITLES[line.component], listed, agreed(line, places), set_by(line)))
    return lines


def per_month(quote: Quote) -> tuple[str, str]:
    """What a host costs a month at most, agreed and by list, with its IPv4 address where that is known."""
    return money(quote.monthly_total, quote.currency), money(quote.list_monthly_total, quote.currency)


def operations_about(workspace: Workspace, host: Host) -> list[tuple[Operation, lifecycle.Look]]:
    """The newest that were about the host, or that did something on it."""
    done = Step.objects.filter(operation=OuterRef("pk"), host=host.name)
    rows = Operation.objects.filter(Q(parameters__host=str(host.pk)) | Exists(done), workspace=workspace)
    newest = rows.order_by("-created_at", "-pk")[:OPERATIONS_SHOWN]
    return [(operation, lifecycle.OPERATION[operation.state]) for operation in newest]


def updates_on(host: Host) -> list[PackageUpdate]:
    """The packages that were installed last."""
    return list(PackageUpdate.objects.filter(host=host).order_by("-installed_at", "package")[:UPDATES_SHOWN])


def notes_on(found: Found) -> list[str]:
    """What a person has to know about the host."""
    host, notes = found.host, []
    if host.provider_status == "gone":
        notes.append("Its server is gone: somebody has deleted it at the provider. Remove the host, or order another.")
    elif host.provider_account_id and host.provider_id is None:
        notes.append("It has no server yet: its order is under way, or ended before there was one.")
    if host.ready_message and not host.ready:
        notes.append(host.ready_message)
    if host.unschedulable:
        notes.append("It is closed to new pods.")
    if not host.manageable:
        notes.append("It cannot be managed: no address for SSH is stored. Updates and upgrades leave it out.")
    if host.restart_needed:
        notes.append("Installed updates need a restart, which the next run does.")
    if host.held_back:
        notes.append(f"On hold although newer versions are there: {', '.join(host.held_back)}.")
    if found.seen.workspace.is_kubernetes and not host.node_name:
        notes.append("It has not joined the cluster.")
    return notes
