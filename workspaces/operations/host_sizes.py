"""Which profiles a host may become, and what they would cost: told from the rows, nobody is asked."""

from __future__ import annotations

from datetime import UTC, datetime

from workspaces.models import ComputeProfile, Host, ProfileLocation
from workspaces.models.price_list import Offer, clauses_of, offer_of
from workspaces.rules.pricing import PriceBook
from workspaces.rules.refusal import Refused
from workspaces.rules.situation import Situation, refuse_state


def choose(host: Host, profile: ComputeProfile | None, now: datetime) -> Offer | Refused:
    """The offer of that profile where the host is, or why the host cannot become it.

    An offer may be one that is not known to be available: then it is asked again before anything happens.
    """
    if refused := refuse_host(host):
        return refused
    if profile is None or profile.provider_account_id != host.provider_account_id:
        return Refused("unknown_profile", f"This profile is not one of {host.provider_account}.")
    if refused := refuse_profile(host, profile, offer_now(host, now)):
        return refused
    offer = _offer(host, profile.name, now)
    if offer is None:
        return Refused("unavailable", f"{profile} does not exist in {host.location}.")
    if offer.available is False:
        return Refused("unavailable", f"{profile} cannot be had in {host.location} now.")
    if offer.quote.line("monthly") is None or offer.quote.line("hourly") is None:
        return Refused("price_unknown", f"What {profile} costs in {host.location} is not known.")
    return offer


def refuse_host(host: Host) -> Refused | None:
    """gated, not_active, no_provider, not_a_server: whether the host can be resized at all."""
    workspace = host.workspace
    if refused := refuse_state(Situation(workspace.type, workspace.state)):
        return refused
    if host.provider_account is None:
        return Refused("no_provider", f"{host} belongs to no provider account.")
    if host.provider_id is None or host.provider_status == "gone":
        return Refused("not_a_server", f"{host} has no server at the provider.")
    return None


def refuse_profile(host: Host, profile: ComputeProfile, now: Offer | None) -> Refused | None:
    """same_profile, inactive_profile, other_architecture, other_storage, disk_too_small: whether it fits the host.

    `now` is `offer_now` of the host; None where that is not known, and then the provider decides.
    """
    if profile.name == host.profile:
        return Refused("same_profile", f"{host} is {profile} already.")
    if not profile.active:
        return Refused("inactive_profile", f"{profile} is not offered any more.")
    running = now.profile if now else profile
    if profile.architecture != running.architecture:
        return Refused(
            "other_architecture",
            f"{profile} is {profile.architecture}, {host} is {running.architecture}: its system would not run.",
        )
    if profile.storage_type != running.storage_type:
        return Refused("other_storage", f"{profile} has {profile.storage_type} disks, {host} {running.storage_type}.")
    disk = disk_of(host, now)
    if disk is not None and profile.disk_gb < disk:
        return Refused(
            "disk_too_small",
            f"{profile} has a disk of {profile.disk_gb} GB and {host} one of {disk} GB, which never shrinks.",
            {"disk_gb": disk},
        )
    return None


def offer_now(host: Host, now: datetime) -> Offer | None:
    """What the host is and costs now; None where the provider has never told (two queries)."""
    return _offer(host, host.profile, now)


def disk_of(host: Host, now: Offer | None) -> int | None:
    """The size of the host's own disk in GB, at most; None when nobody knows."""
    return host.disk_gb or (now.profile.disk_gb if now else None)


def _offer(host: Host, name: str, now: datetime) -> Offer | None:
    """A profile of the host's own account where the host is."""
    rows = ProfileLocation.objects.select_related("profile").filter(location=host.location, profile__name=name)
    row = rows.filter(profile__provider_account=host.provider_account_id).first()
    if row is None:
        return None
    today = now.astimezone(UTC).date()
    book = PriceBook(clauses_of(host.workspace.project.organization_id, today), today)
    return offer_of(row, book, now)
