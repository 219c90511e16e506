"""Which workspaces of a fleet can be upgraded, and where to: `rules/upgrades` asked once a situation, not once a row.

Most of a fleet shares a few situations: its version, the version asked for, Kamaji's limit. Only workspaces with a host
on another kubelet than their control plane are looked at one by one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from uuid import UUID

from django.db.models import F, Q, QuerySet

from workspaces.models.kubernetes import catalogue
from workspaces.models.workspace import Workspace
from workspaces.rules import upgrades

# The running version, the version last asked for, and Kamaji's highest minor.
Versions = tuple[str, str, str | None]
VERSION_COLUMNS = ("kubernetes_version", "control_plane_wanted", "management_cluster__max_version")


@dataclass
class Upgradable:
    """The best target of every situation. `odd` holds the kubelets that differ from their control plane's version."""

    catalogue: list[upgrades.CatalogueVersion]
    busy: Collection[UUID]
    odd: dict[UUID, tuple[str, ...]] = field(default_factory=dict)
    odd_now: list[UUID] = field(default_factory=list)
    _best: dict[tuple[Versions, tuple[str, ...]], str] = field(default_factory=dict)

    @classmethod
    def among(cls, workspaces: QuerySet[Workspace], busy: Collection[UUID]) -> Upgradable:
        """Read the catalogue and the odd kubelets (two queries). `busy` are the workspaces with an open operation."""
        made = cls(catalogue(), busy)
        # One join each way: asked from the hosts' side, the workspaces would be read twice.
        hosts = workspaces.filter(type="kubernetes").alias(node=F("hosts__node_name"))
        odd = hosts.annotate(kubelet=F("hosts__kubelet_version")).exclude(
            Q(node="") | Q(kubelet="") | Q(kubelet=F("kubernetes_version")) | Q(kubelet=None)
        )
        found = sorted(odd.order_by().values_list("pk", "kubelet", "state", *VERSION_COLUMNS).distinct())
        for pk, kubelet, *_ in found:
            made.odd[pk] = (*made.odd.get(pk, ()), kubelet)
        active = {pk: (running, wanted, limit) for pk, _, state, running, wanted, limit in found if state == "active"}
        made.odd_now = [pk for pk, versions in active.items() if pk not in busy and made.best(pk, versions)]
        return made

    @property
    def plain(self) -> Q:
        """Selects workspaces that may be upgraded now if their versions allow it, the odd ones left out."""
        return Q(type="kubernetes", state="active") & ~Q(pk__in=[*self.busy, *self.odd])

    def now(self, situations: Iterable[Versions]) -> Q:
        """Selects what can be upgraded now, given the situations that occur: no refusal waits behind the click."""
        chosen = Q(pk__in=[])
        for versions in situations:
            if self.target(versions):
                chosen |= Q(**dict(zip(VERSION_COLUMNS, versions, strict=True)))
        return (self.plain & chosen) | Q(pk__in=self.odd_now)

    def best(self, pk: UUID, versions: Versions) -> str:
        """The recommended target of one Kubernetes workspace; empty when there is none."""
        return self.target(versions, self.odd.get(pk, ()))

    def target(self, versions: Versions, odd: tuple[str, ...] = ()) -> str:
        """The recommended target of a situation; empty when there is none."""
        known = self._best.get((versions, odd))
        if known is None:
            running, wanted, limit = versions
            situation = upgrades.Situation(
                workspace_type="kubernetes",
                state="active",
                running_version=running or None,
                kubelet_versions=(running, *odd) if running else odd,
                kamaji_max=limit or "",
                control_plane_wanted=wanted or None,
            )
            known = upgrades.targets(situation, self.catalogue).recommended or ""
            self._best[versions, odd] = known
        return known
