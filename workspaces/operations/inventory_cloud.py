"""What a cloud project has of a workspace: under its label, or attached to its servers without it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from workspaces.models import Host, ProviderAccount, Workspace
from workspaces.operations import connections
from workspaces.providers.errors import ProviderError
from workspaces.providers.hetzner import HetznerCloud, Server
from workspaces.providers.hetzner_kept import Kept, KeptPrices, Thing
from workspaces.rules import labels
from workspaces.rules.deletion_plan import Cost, Item, NotAsked

# Each kind and the part of a deletion that it belongs to.
PARTS: Final = {
    "load_balancer": "load_balancers",
    "placement_group": "hosts",
    "primary_ip": "hosts",
    "volume": "volumes",
}
# What goes wrong with the next question too.
_ENDING: Final = ("credential", "unreachable", "rate_limit", "configuration")
_STAYS: Final = "It is not under this workspace's label: it stays, and goes on costing."


@dataclass
class InProject:
    """What was found; `strays` are servers under the label that no host has, still without a price."""

    items: list[Item] = field(default_factory=list)
    strays: list[Server] = field(default_factory=list)
    not_asked: list[NotAsked] = field(default_factory=list)


def look(
    account: ProviderAccount, workspace: Workspace, hosts: Sequence[Host], claims: Collection[str] = ()
) -> InProject:
    """Ask the account for all of it. Never raises for an account that does not answer.

    `claims` are the ids of volumes that the workspace's cluster has claims on, whatever their labels are.
    """
    return _Look(account, workspace, hosts, claims).run()


class _Look:
    """One look: the questions in order, each with a boundary of its own."""

    def __init__(
        self, account: ProviderAccount, workspace: Workspace, hosts: Sequence[Host], claims: Collection[str]
    ) -> None:
        self._account, self._workspace, self._claims = account, workspace, claims
        self._hosts = [host for host in hosts if host.provider_account_id == account.pk]
        self._names = {host.provider_id: host.name for host in self._hosts if host.provider_id}
        self._found = InProject()
        self._failed: dict[str, ProviderError] = {}

    def run(self) -> InProject:
        try:
            cloud = connections.cloud(self._account)
        except ProviderError as error:
            self._failed = dict.fromkeys(dict.fromkeys(PARTS.values()), error)
        else:
            kept = Kept(cloud)
            self._ask(["hosts"], lambda: self._servers(cloud))
            prices = self._ask([], kept.prices)
            for kind, part in PARTS.items():
                self._ask([part], lambda kind=kind: self._things(kept, kind, prices))  # type: ignore[misc]
        self._found.not_asked = self._tell()
        return self._found

    def _ask[T](self, parts: Sequence[str], question: Callable[[], T]) -> T | None:
        """The answer; None when there is none. Once nothing of the account can be had, the rest is not asked."""
        ending = next((error for error in self._failed.values() if error.code in _ENDING), None)
        if ending is None:
            try:
                return question()
            except ProviderError as error:
                ending = error
        for part in parts or (PARTS.values() if ending.code in _ENDING else ()):
            self._failed.setdefault(part, ending)
        return None

    def _servers(self, cloud: HetznerCloud) -> None:
        """Those under the label; the servers of hosts are told by their rows."""
        waiting = {str(host.pk) for host in self._hosts if host.provider_id is None}
        for server in cloud.servers(labels.of_workspace(self._workspace.pk)):
            if server.id in self._names or server.labels.get(labels.HOST) in waiting:
                continue
            self._names[server.id] = server.name
            self._found.strays.append(server)

    def _things(self, kept: Kept, kind: str, prices: KeptPrices | None) -> None:
        # A placement group is found by its label alone; the others may hang on our servers without it.
        selector = labels.of_workspace(self._workspace.pk) if kind == "placement_group" else ""
        for thing in kept.things(kind, selector):
            ours = thing.labels.get(labels.WORKSPACE) == str(self._workspace.pk)
            touches = any(id in self._names for id in thing.servers)
            touches = touches or (kind == "volume" and str(thing.id) in self._claims)
            goes_along = kind == "primary_ip" and thing.auto_delete and touches
            if goes_along or not (ours or touches):
                continue
            self._found.items.append(self._item(thing, ours, prices))

    def _item(self, thing: Thing, ours: bool, prices: KeptPrices | None) -> Item:
        note = "" if ours else _STAYS
        if ours and thing.protected:
            note = "It is protected at the provider, who refuses its deletion until that is lifted."
        return Item(
            PARTS[thing.kind],
            thing.kind,
            str(thing.id),
            thing.name,
            self._detail(thing),
            str(self._account.pk),
            self._account.name,
            _cost(thing, prices),
            ours,
            note,
        )

    def _detail(self, thing: Thing) -> str:
        at = self._at(thing.servers)
        match thing.kind:
            case "volume":
                return f"{thing.size} GB in {thing.location}, {f'attached to {at}' if at else 'not attached'}"
            case "load_balancer":
                address = f"address {thing.address}" if thing.address else "no address"
                return f"{thing.type} in {thing.location}, {address}{f', sends to {at}' if at else ''}"
            case "primary_ip":
                return f"{thing.address} in {thing.location}, {f'of {at}' if at else 'of no server'}"
            case _:
                return f"for {len(thing.servers)} servers" if thing.servers else "empty"

    def _at(self, servers: Iterable[int]) -> str:
        """The servers by name; another's by its id."""
        return ", ".join(self._names.get(id, f"server {id}") for id in servers)

    def _tell(self) -> list[NotAsked]:
        """Who did not answer what: one entry an error, with all the parts that it hides."""
        told: list[NotAsked] = []
        for error in dict.fromkeys(self._failed.values()):
            parts = tuple(part for part, why in self._failed.items() if why is error)
            what = f"Account {self._account.name}"
            told.append(NotAsked(parts, what, error.code, error.message, error.who_can_fix, str(self._account.pk)))
        return told


def _cost(thing: Thing, prices: KeptPrices | None) -> Cost | None:
    """By list: agreements are about servers."""
    amount = prices.of(thing) if prices else None
    return Cost(prices.currency, amount, amount) if prices and amount else None
