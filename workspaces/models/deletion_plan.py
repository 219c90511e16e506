"""What the deletion of a workspace would remove: its rows and what a worker saw, put together by the policy.

Nothing is asked here: what the world holds is in the workspace's `Inventory`, written by `operations/inventory.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from uuid import UUID

from workspaces.models.deletion import DeletionPolicy, Inventory
from workspaces.models.infrastructure import Host, ProviderAccount
from workspaces.models.price_list import clauses_of, key_of, quote_of, rows_of
from workspaces.models.workspace import Workspace
from workspaces.rules.deletion_plan import MACHINE, Cost, Item, NotAsked, Plan, build
from workspaces.rules.pricing import PriceBook, Quote

# What the rows know; everything else comes from the inventory.
_OF_ROWS = ("integration", "dns_record", "kubeconfig", "host", MACHINE)


def plan_of(
    workspace: Workspace, now: datetime, *, policy: DeletionPolicy | None = None, inventory: Inventory | None = None
) -> Plan:
    """The plan as it is now (eight queries at most, whatever there is; fewer with what is handed in)."""
    policy = policy or DeletionPolicy.of(workspace.project.organization)
    inventory = inventory or Inventory.objects.filter(workspace=workspace).first()
    seen = [Item.of(one) for one in inventory.found] if inventory else []
    not_asked = [NotAsked.of(one) for one in inventory.not_asked] if inventory else []
    items = [*items_of_rows(workspace, now), *(item for item in seen if item.kind not in _OF_ROWS)]
    # A look that broke off has told nothing, so what it did not find is not known.
    looked_at = inventory.looked_at if inventory and not inventory.error else None
    return build(policy.read_steps, workspace.type, items, not_asked, looked_at)


def items_of_rows(workspace: Workspace, now: datetime) -> list[Item]:
    """What our own rows know: integrations, DNS records, kubeconfigs that are valid outside, hosts."""
    return [*_integrations(workspace), *_records(workspace), *_kubeconfigs(workspace, now), *_hosts(workspace, now)]


def accounts_of(workspace: Workspace) -> list[ProviderAccount]:
    """Every provider account of its organization, by name: anything of it may be in any of them."""
    return list(ProviderAccount.objects.filter(organization=workspace.project.organization_id).order_by("name"))


def linked_accounts(workspace: Workspace) -> set[UUID]:
    """The accounts that it is known to use: without their answer nobody can say that it is gone."""
    hosts = workspace.hosts.exclude(provider_account=None).values_list("provider_account", flat=True)
    records = workspace.dns_records.values_list("provider_account", flat=True)
    own = {workspace.provider_account_id} if workspace.provider_account_id else set()
    return {*own, *hosts.order_by(), *records.order_by()}


def _integrations(workspace: Workspace) -> Iterator[Item]:
    for row in workspace.integrations.defer("secret").order_by("kind", "name"):
        yield Item("integrations", "integration", str(row.pk), row.name, row.kind)


def _records(workspace: Workspace) -> Iterator[Item]:
    rows = workspace.dns_records.select_related("provider_account").defer("provider_account__token")
    for row in rows.order_by("zone", "name", "type"):
        account = row.provider_account
        yield Item("dns", "dns_record", str(row.pk), str(row), row.value, str(account.pk), account.name)


def _kubeconfigs(workspace: Workspace, now: datetime) -> Iterator[Item]:
    for row in workspace.kubeconfigs.valid_outside(now).defer("document"):
        until = f"until {row.certificate_until:%-d %B %Y}" if row.certificate_until else "end not known"
        revoked = "is revoked" if row.kind == "service_account" else "ends with the control plane"
        yield Item("kubeconfigs", "kubeconfig", str(row.pk), row.requested_by, f"{until}, {revoked}", note=row.reason)


def _hosts(workspace: Workspace, now: datetime) -> Iterator[Item]:
    hosts = list(workspace.hosts.select_related("provider_account").defer("provider_account__token").order_by("name"))
    costs = costs_of(workspace, hosts, now)
    for host in hosts:
        account = host.provider_account
        if account is None:
            yield Item(
                "hosts", MACHINE, str(host.pk), host.name, host.profile or "an existing machine",
                note="The machine itself stays as it is, with what is installed on it.",
            )  # fmt: skip
            continue
        server = f"server {host.provider_id}" if host.provider_id else "no server"
        detail = f"{host.profile} in {host.location}, {server}"
        yield Item("hosts", "host", str(host.pk), host.name, detail, str(account.pk), account.name, costs.get(host.pk))


def costs_of(workspace: Workspace, hosts: Sequence[Host], now: datetime) -> dict[UUID, Cost]:
    """What each costs a month at most, by its key; those whose price is not known are left out (two queries)."""
    known = rows_of(hosts)
    if not known:
        return {}
    today = now.astimezone(UTC).date()
    book = PriceBook(clauses_of(workspace.project.organization_id, today), today)
    return {host.pk: cost_of(quote_of(book, known[key_of(host)])) for host in hosts if key_of(host) in known}


def cost_of(quote: Quote) -> Cost:
    """A quote's month at most."""
    return Cost(quote.currency, quote.list_monthly_total, quote.monthly_total)
