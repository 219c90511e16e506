"""Deleting what a cloud project has of a workspace: servers of hosts, servers of no host, and what is kept beside them.

Only what the agreed plan names goes. Where the account could not be asked then, the plan says so, and everything under
the workspace's label goes. Nothing is forced: what hangs on somebody else's server stays, and the receipt says why.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from django.conf import settings

from workspaces.models import ProviderAccount
from workspaces.models.deletion_plan import linked_accounts
from workspaces.operations import connections, engine, host_removal
from workspaces.operations.deletion_record import agreed, in_words, is_told, left, named, removed
from workspaces.operations.engine import Context, Done, Outcome
from workspaces.providers.errors import Permanent, ProviderError, Temporary
from workspaces.providers.hetzner import HetznerCloud, Server
from workspaces.providers.hetzner_kept import Kept, Thing
from workspaces.rules import labels
from workspaces.rules.deletion_plan import Item, Plan
from workspaces.rules.ids import as_id

# Our word for what a step is about, and the part of the policy that it belongs to.
KINDS: Final = {
    "load_balancer": "load_balancers",
    "server": "hosts",
    "placement_group": "hosts",
    "primary_ip": "hosts",
    "volume": "volumes",
}
# Failures of an account that no row names, after which the deletion goes on without it.
# Fewer than those after which the engine asks for a person.
_TRIES: Final = engine.FEWEST_FAILURES - 1
_UNLABELLED: Final = "It is not under the label of the workspace any more."
_UNPROTECT: Final = "The owner of the cloud account, by lifting its protection. Then continue."


def accounts(plan: Plan, part: str, kind: str) -> list[str]:
    """The keys of the accounts that have something of a kind to be deleted, or could not be asked for it."""
    has = [item.account for item in plan.removed if item.kind == kind]
    silent = [one.account for step in plan.steps if step.part == part for one in step.not_asked if one.account]
    return list(dict.fromkeys([*has, *silent]))


def _was_silent(plan: Plan, kind: str, account: str) -> bool:
    return any(one.account == account and KINDS[kind] in one.parts for one in plan.not_asked)


# --- Servers of hosts -------------------------------------------------------------------------------------------------
def server(context: Context) -> Outcome:
    """Delete the server of a host, for good."""
    return host_removal.server(context)


def gone(context: Context) -> Outcome:
    """The provider does not list it any more."""
    outcome = host_removal.gone(context)
    if isinstance(outcome, Done):
        for item in agreed(context).removed:
            if item.kind == "host" and item.ref == context.step.arguments["host"]:
                removed(context, item)
    return outcome


# --- Everything else --------------------------------------------------------------------------------------------------
def things(context: Context) -> Outcome:
    """Delete everything of one kind in one account, and wait until the vendor has none of it any more."""
    plan, kind, key = agreed(context), str(context.step.arguments["kind"]), str(context.step.arguments["account"])
    items = named(plan, kind, key)
    account = ProviderAccount.objects.filter(pk=key).first()
    try:
        if account is None:
            raise Permanent("credential", "Its provider account is not kept here any more.")
        return _Things(context, account, kind).run(items, _was_silent(plan, kind, key))
    except ProviderError as error:
        must_answer = bool(items) or as_id(key) in linked_accounts(context.workspace)
        if must_answer or (isinstance(error, Temporary) and context.step.failures < _TRIES):
            error.message = f"Account {account}: {error.message}" if account else error.message
            raise
        context.say(f"The account does not answer, and nothing is known to be there: {error.message}", level="warn")
        return Done(f"did not answer, so nobody knows what is there: {error.message}")


class _Things:
    """One kind in one account."""

    def __init__(self, context: Context, account: ProviderAccount, kind: str) -> None:
        self._context, self._account, self._kind = context, account, kind
        self._cloud: HetznerCloud = connections.cloud(account)
        self._kept = Kept(self._cloud)
        self._own = str(context.workspace.pk)

    def run(self, items: list[Item], was_silent: bool) -> Outcome:
        """Ask for the deletion of each that is there; done once every one is gone, or stays for a reason."""
        context, items = self._context, [*items, *(self._unnamed(items) if was_silent else ())]
        waits = []
        for item in items:
            if not is_told(context, item) and (why := self._one(item)):
                waits.append(why)
        if not waits:
            return Done(in_words(context))
        if context.waited > settings.LOOPBACK_BOOT_DEADLINE:
            raise Permanent(
                "cloud_api",
                f"After {context.waited / 60:.0f} min: {waits[0]}.",
                who_can_fix="Whoever can see the project at the provider. Then continue.",
            )
        return context.again(waits[0])

    def _unnamed(self, items: list[Item]) -> Iterator[Item]:
        """What is under the label in an account that the plan knows nothing of."""
        selector, known = labels.of_workspace(self._context.workspace.pk), {item.ref for item in items}
        if self._kind == "server":
            found: list[Any] = [one for one in self._cloud.servers(selector) if not self._is_of_a_host(one)]
        else:
            found = self._kept.things(self._kind, selector)
        for one in found:
            if str(one.id) not in known:
                name, account = one.name, self._account
                yield Item(KINDS[self._kind], self._kind, str(one.id), name, "", str(account.pk), account.name)

    def _is_of_a_host(self, server: Server) -> bool:
        hosts = self._context.workspace.hosts.values_list("provider_id", "pk")
        return any(server.id == id or server.labels.get(labels.HOST) == str(pk) for id, pk in hosts)

    def _one(self, item: Item) -> str:
        """Have one deleted: "" when nothing has to be waited for, else what for."""
        return self._server(item) if self._kind == "server" else self._thing(item)

    def _server(self, item: Item) -> str:
        server = _find(self._cloud, int(item.ref))
        if server is None:
            return self._gone(item)
        if server.labels.get(labels.WORKSPACE) != self._own:
            return self._stays(item, _UNLABELLED)
        if server.status != "deleting" and not server.locked:
            self._cloud.delete_server(server.id)
        return f"server {server.name} is being deleted"

    def _thing(self, item: Item) -> str:
        thing = self._kept.find(self._kind, int(item.ref))
        if thing is None:
            return self._gone(item)
        if thing.labels.get(labels.WORKSPACE) != self._own:
            return self._stays(item, _UNLABELLED)
        if thing.protected:
            said = f"{item.name} is protected at the provider, so it cannot be deleted."
            raise Permanent("conflict", said, who_can_fix=_UNPROTECT)
        if self._kind != "load_balancer" and thing.servers:
            return self._held(item, thing)
        self._kept.delete(self._kind, thing.id)
        # The vendor has it done at once; what is still there at the next look is asked for again.
        return f"{item.name} is being deleted" if self._kept.find(self._kind, thing.id) else self._gone(item)

    def _held(self, item: Item, thing: Thing) -> str:
        """What a server holds: the deletion of ours is waited for, somebody else's is left alone."""
        for id in thing.servers:
            holder = _find(self._cloud, id)
            if holder is None or holder.status == "deleting":
                continue
            known = self._context.workspace.hosts.filter(provider_id=id, provider_account=self._account).exists()
            if not known and holder.labels.get(labels.WORKSPACE) != self._own:
                return self._stays(item, f"Server {holder.name}, which is not this workspace's, holds it.")
            if self._kind != "volume":
                return self._stays(item, f"Server {holder.name}, which is kept, holds it.")
            return self._detached(item, thing, holder)
        return f"{item.name} is let go by its server, which is gone"

    def _detached(self, item: Item, thing: Thing, holder: Server) -> str:
        """Have a volume taken from a server of ours that stays. An action that failed is forgotten."""
        sent = self._context.step.memory.get("actions", {}).get(item.ref)
        action = self._cloud.action(sent) if sent else None
        if action is not None and action.status == "error":
            self._remember(item, None)
            said = f"{action.error_message or 'no reason given'} ({action.error_code or 'error'})"
            raise Permanent("cloud_api", f"{item.name} could not be taken from server {holder.name}: {said}.")
        if action is None:
            self._remember(item, self._kept.detach_volume(thing.id))
        return f"{item.name} is being taken from server {holder.name}"

    def _remember(self, item: Item, action: int | None) -> None:
        self._context.remember(actions={**self._context.step.memory.get("actions", {}), item.ref: action})

    def _gone(self, item: Item) -> str:
        removed(self._context, item)
        return ""

    def _stays(self, item: Item, why: str) -> str:
        left(self._context, item, why)
        return ""


def _find(cloud: HetznerCloud, id: int) -> Server | None:
    try:
        return cloud.server(id)
    except Permanent as error:
        if error.code != "not_found":
            raise
        return None
