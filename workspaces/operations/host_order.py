"""Ordering a host: a server at the confirmed price, and on Kubernetes a node that is Ready.

What may be ordered is decided in `host_offer.py`; the server is made in `host_purchase.py`, and becomes a host of the
workspace in `host_arrival.py`. Wherever the order ends, the host's row knows the server, and a removal takes both.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from decimal import Decimal

from django.db import transaction
from django.utils import timezone

from workspaces.models import Actor, Operation, StepPlan, Workspace
from workspaces.models.operation import already_running
from workspaces.operations import dispatch, host_arrival, host_offer, host_purchase
from workspaces.operations.engine import StepFunction
from workspaces.rules.refusal import Refused

KIND = "host_order"


def start(
    workspace: Workspace, *, hostname: str, profile: uuid.UUID, location: str, confirmed: Decimal, actor: Actor
) -> Operation | Refused:
    """Start ordering a host of that profile at that location, or say why not.

    `confirmed` is the agreed monthly or hourly price that the actor has seen; at another one nothing is ordered.
    """
    now = timezone.now()
    if Operation.objects.open().filter(workspace=workspace).exists():
        return already_running(workspace)
    offer = host_offer.refuse(workspace, hostname, profile, location, now)
    if isinstance(offer, Refused):
        return offer
    if refused := host_offer.refuse_price(offer.quote, confirmed):
        return refused
    host = str(uuid.uuid4())
    parameters = {
        "host": host,
        "hostname": hostname,
        "profile": str(profile),
        "location": location,
        "price": offer.quote.document(),
        "confirmed_at": now.isoformat(),
    }
    title = f"Order host {hostname}, {offer.quote.profile} in {location}"
    with transaction.atomic():
        steps = plan(workspace, hostname, host)
        operation = Operation.start(workspace, KIND, title, steps, actor=actor, parameters=parameters)
        if isinstance(operation, Operation):
            dispatch.run_soon(operation.pk)
    return operation


def plan(workspace: Workspace, hostname: str, host: str) -> Iterator[StepPlan]:
    """The steps in order. Until the server is ordered nothing costs, and from then on the host's row knows it."""
    arguments = {"host": host}
    for key, title in _titles(workspace).items():
        yield StepPlan(
            key,
            title.format(host=hostname),
            arguments,
            host=hostname,
            # Not within it: whether an answer that was lost has ordered a server is found out by its next try.
            safe_to_stop=key != "create",
            irreversible=key == "create",
        )


def _titles(workspace: Workspace) -> dict[str, str]:
    first = {
        "check": "Check again that {host} may be ordered at the confirmed price",
        "ssh_key": "Store the SSH key of new servers at the provider",
        "placement": "Choose a placement group with room",
        "create": "Order the server of {host}",
        "running": "Wait until the server runs",
        "reach": "Reach {host} over SSH after its first start",
    }
    if not workspace.is_kubernetes:
        return first | {"register": "Confirm that {host} can be managed", "finish": "Count {host} in"}
    return first | {
        "prepare": "Install containerd and Kubernetes on {host}",
        "join": "Join {host} to the cluster",
        "verify": "Verify that {host} is Ready",
        "finish": "Count {host} in",
    }


STEPS: dict[str, StepFunction] = {
    "check": host_offer.check,
    "ssh_key": host_purchase.ssh_key,
    "placement": host_purchase.placement,
    "create": host_purchase.create,
    "running": host_purchase.running,
    "reach": host_arrival.reach,
    "prepare": host_arrival.prepare,
    "register": host_arrival.register,
    "join": host_arrival.join,
    "verify": host_arrival.verify,
    "finish": host_arrival.finish,
}
