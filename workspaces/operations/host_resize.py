"""Resizing a host: its server becomes another type. What the provider refuses leaves it as it was.

Its pods leave first, and it is proved afterwards that it came back: as the new type, or as the old one, and then the
operation fails with the reason. What may be chosen (`host_sizes.py`) is told at the click and again as the first step,
which asks the provider anew, and the budgets whether they would ever let it be emptied. Its power is `host_power.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from workspaces.models import Actor, ComputeProfile, Host, Operation, StepPlan
from workspaces.models.price_list import Offer
from workspaces.operations import dispatch, drains, host_power, nodes, profiles, servers
from workspaces.operations.engine import Context, Done, Outcome, StepFunction
from workspaces.operations.host_offer import in_words
from workspaces.operations.host_sizes import choose, disk_of, offer_now
from workspaces.providers.errors import Permanent, Temporary
from workspaces.rules.pricing import Quote
from workspaces.rules.refusal import Refused
from workspaces.rules.trouble import WHO_CAN_FIX

KIND: Final = "host_resize"
_ANEW: Final = "An administrator, by starting a new resize: later, or to another profile."


# --- Starting ---------------------------------------------------------------------------------------------------------
def start(host: Host, *, profile: UUID, grow_disk: bool, confirmed: Decimal, actor: Actor) -> Operation | Refused:
    """Start making the host's server the type of that profile, or say why not.

    `confirmed` is the agreed monthly or hourly price that was shown. With `grow_disk` the disk becomes as large as the
    profile's, which cannot be undone; without it the way back to a smaller profile stays open.
    """
    now = timezone.now()
    offer = choose(host, ComputeProfile.objects.filter(pk=profile).first(), now)
    if isinstance(offer, Refused):
        return offer
    quote, before = offer.quote, offer_now(host, now)
    if not quote.confirms(confirmed):
        said = f"{quote.profile} in {quote.location} costs {in_words(quote)} now. Confirm that price."
        return Refused("price_changed", said, quote.document())
    grows = grow_disk and offer.profile.disk_gb > (disk_of(host, before) or 0)
    with transaction.atomic():
        operation = Operation.start(
            host.workspace,
            KIND,
            f"Resize {host} from {host.profile} to {quote.profile}" + (", with its disk" if grows else ""),
            plan(host, quote.profile, grow_disk=grows),
            actor=actor,
            parameters=_parameters(host, quote, before, grow_disk=grows),
        )
        if isinstance(operation, Operation):
            dispatch.run_soon(operation.pk)
    return operation


def _parameters(host: Host, quote: Quote, before: Offer | None, *, grow_disk: bool) -> dict[str, Any]:
    return {
        "host": str(host.pk),
        "hostname": host.name,
        "from": host.profile,
        "to": quote.profile,
        "grow_disk": grow_disk,
        "location": host.location,
        "price": quote.document(),
        "price_before": before.quote.document() if before else None,
    }


def plan(host: Host, to: str, *, grow_disk: bool) -> Iterator[StepPlan]:
    """The steps in order. Once the host is closed it is brought back before anything may stop."""
    joined = ("cordon", "drain", "uncordon")
    titles = {
        "check": f"Check again that {host} may become {to}",
        "cordon": f"Close {host} to new pods",
        "drain": f"Drain {host}",
        "power_off": f"Shut {host} down",
        "change_type": f"Make its server {to}" + (" and let its disk grow for good" if grow_disk else ""),
        "power_on": f"Start {host}",
        "verify": f"Verify that {host} is back",
        "uncordon": f"Open {host} to pods again",
        "finish": f"Confirm that {host} is {to}",
    }
    for key, title in titles.items():
        if host.node_name or key not in joined:
            yield StepPlan(
                key,
                title,
                {"host": str(host.pk)},
                host=host.name,
                safe_to_stop=key in ("check", "cordon") or (key == "power_off" and not host.node_name),
                irreversible=key == "change_type" and grow_disk,
            )


# --- Before anything happens ------------------------------------------------------------------------------------------
def check(context: Context) -> Outcome:
    """The guards of the click, once more, with what the provider and the budgets say at this moment."""
    host, wanted = nodes.host_of(context), context.operation.parameters
    if host.provider_account is not None:
        profiles.look(host.provider_account, context.now)
    known = ComputeProfile.objects.filter(provider_account=host.provider_account_id, name=wanted["to"])
    offer = choose(host, known.first(), timezone.now())
    if isinstance(offer, Refused):
        raise _as_failure(offer)
    if offer.available is None:
        raise Temporary("cloud_api", f"The provider does not tell whether {wanted['to']} can be had.")
    confirmed = Quote.of(wanted["price"])
    if not offer.quote.same_price(confirmed):
        raise Permanent(
            "price_changed",
            f"{in_words(offer.quote)} now, {in_words(confirmed)} when it was confirmed.",
            who_can_fix=_ANEW,
        )
    _check_server(host, wanted, offer.profile)
    if host.node_name:
        drains.try_out(context, host)
    return Done(f"{wanted['to']} can be had in {host.location} for {in_words(offer.quote)}")


def _as_failure(refused: Refused) -> Permanent:
    code = "no_capacity" if refused.code == "unavailable" else refused.code
    return Permanent(code, refused.message, who_can_fix=WHO_CAN_FIX.get(code, _ANEW))


def _check_server(host: Host, wanted: dict[str, Any], profile: ComputeProfile) -> None:
    """The server is there, and still what it was when it was chosen."""
    server = servers.find(host)
    if server is None:
        raise Permanent("not_found", f"{host} has no server any more: somebody has deleted it at the provider.")
    if server.server_type != wanted["from"]:
        raise Permanent(
            "conflict", f"{host} is {server.server_type} now, not {wanted['from']} as it was.", who_can_fix=_ANEW
        )
    if server.disk > profile.disk_gb:
        raise Permanent(
            "disk_too_small", f"{profile} has {profile.disk_gb} GB of disk, {host} {server.disk} GB.", who_can_fix=_ANEW
        )


# --- Afterwards -------------------------------------------------------------------------------------------------------
def verify(context: Context) -> Outcome:
    """The host is back: as a Ready node of another boot, or without a node over SSH, if it had answered before."""
    host, before = nodes.host_of(context), host_power.seen_before(context.operation)
    if host.node_name:
        lease, was_off = before.get("lease"), before.get("off")
        return nodes.verify(
            context,
            datetime.fromisoformat(lease) if lease and was_off else None,
            boot_before=before.get("boot_id", "") if was_off else "",
        )
    if not before.get("answered"):
        return Done("runs; it had not answered on SSH before either")
    if wait := servers.answers(context, host):
        return wait
    Host.objects.filter(pk=host.pk).update(ready=True, ready_message="", observed_at=context.now)
    return Done("answers on SSH")


def finish(context: Context) -> Outcome:
    """What the server is now is what counts: an answer that was lost may have been a yes."""
    host, wanted = nodes.host_of(context), context.operation.parameters
    server = servers.find(host)
    if server is None:
        raise Permanent("not_found", f"{host} has no server any more: somebody has deleted it at the provider.")
    Host.objects.filter(pk=host.pk).update(
        profile=server.server_type, disk_gb=server.disk or host.disk_gb, provider_status=server.status
    )
    if server.server_type == wanted["to"]:
        servers.want_type(host, server.server_type)
        context.step.irreversible = wanted["grow_disk"]
        return Done(f"{host} runs as {server.server_type}, with a disk of {server.disk} GB")
    refused = host_power.refusal(context.operation)
    if refused is None or server.server_type != wanted["from"]:
        raise Permanent(
            "conflict",
            f"{host} runs as {server.server_type}: somebody has changed its type meanwhile.",
            who_can_fix=_ANEW,
        )
    servers.want_type(host, server.server_type)
    raise Permanent(
        refused.code,
        f"{host} was not resized: {refused.message} It runs on as {server.server_type}, as before.",
        who_can_fix=_ANEW if refused.code in ("no_capacity", "conflict") else refused.who_can_fix,
    )


STEPS: dict[str, StepFunction] = {
    "check": check,
    "cordon": nodes.cordon,
    "drain": nodes.drain,
    "power_off": host_power.power_off,
    "change_type": host_power.change_type,
    "power_on": host_power.power_on,
    "verify": verify,
    "uncordon": nodes.uncordon,
    "finish": finish,
}
