"""Which workspaces of a fleet can be upgraded, and where to: `rules/upgrades` asked once a situation, not once a row.

A fleet of any size shares few situations: the running version, the version asked for, the kubelets, Kamaji's limit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from workspaces.models.kubernetes import catalogue
from workspaces.rules import upgrades

# The running version, the version last asked for, the hosts' kubelets, and Kamaji's highest minor.
Versions = tuple[str, str, str, str | None]
VERSION_COLUMNS = ("kubernetes_version", "control_plane_wanted", "kubelet_versions", "management_cluster__max_version")


class Upgradable:
    """The best target of every situation; reads the catalogue (one query)."""

    def __init__(self, busy: Collection[UUID]) -> None:
        """`busy` are the workspaces with an open operation."""
        self._catalogue, self._today = catalogue(), timezone.now().date()
        self._best: dict[Versions, str] = {}
        # Nothing but the versions stands between these and an upgrade.
        self.free = Q(type="kubernetes", state="active") & ~Q(pk__in=busy)

    def now(self, situations: Iterable[Versions]) -> Q:
        """Selects what can be upgraded now, given the situations that occur: no refusal waits behind the click."""
        chosen = Q(pk__in=[])
        for versions in situations:
            if self.target(versions):
                chosen |= Q(**dict(zip(VERSION_COLUMNS, versions, strict=True)))
        return self.free & chosen

    def target(self, versions: Versions) -> str:
        """The recommended target of a situation; empty when there is none."""
        known = self._best.get(versions)
        if known is None:
            running, wanted, kubelets, limit = versions
            situation = upgrades.Situation(
                workspace_type="kubernetes",
                state="active",
                running_version=running or None,
                kubelet_versions=tuple(kubelets.split()),
                kamaji_max=limit or "",
                control_plane_wanted=wanted or None,
            )
            known = self._best[versions] = upgrades.recommended(situation, self._catalogue, self._today) or ""
        return known
