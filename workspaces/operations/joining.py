"""The bootstrap token of a step that brings one host into its cluster: made for it alone, and taken back at its end.

Which playbook the host shows it by is for the step to know (`host_arrival.py`, `ca_rotation.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from django.utils import timezone

from workspaces.models import Host
from workspaces.operations.engine import Context
from workspaces.providers.bootstrap_tokens import BootstrapToken
from workspaces.providers.cluster import Cluster
from workspaces.providers.errors import ProviderError

TOKEN_LIFETIME: Final = timedelta(hours=1)


@contextmanager
def token_for(context: Context, cluster: Cluster, host: Host) -> Iterator[BootstrapToken]:
    """A token that the cluster knows while the block runs."""
    token = BootstrapToken.new()
    # Its public half, before the cluster knows it: whoever runs this step next can remove what is left.
    context.remember(token=token.id)
    cluster.add_bootstrap_token(
        token,
        description=f"For {host.name}, by Loopback, operation {context.operation.pk}",
        until=timezone.now() + TOKEN_LIFETIME,
    )
    try:
        yield token
    finally:
        forget_token(context, cluster)


def forget_token(context: Context, cluster: Cluster) -> None:
    """Remove the token of this step, if there is one. What cannot be removed now ends by itself within the hour."""
    if not (id := str(context.step.memory.get("token") or "")):
        return
    try:
        cluster.remove_bootstrap_token(id)
    except ProviderError as error:
        context.say(
            f"The bootstrap token {id} is not removed yet, and ends within the hour: {error.message}", level="warn"
        )
        return
    context.remember(token="")
