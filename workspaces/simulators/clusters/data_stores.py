"""Kamaji's DataStores as a fault shows them: `datastore_down` (target: the management cluster, or "cluster/store").

What is stored stays as it is: a fault that goes leaves nothing behind, and a status written by hand stays written.
"""

from workspaces.simulators.clusters.kinds import DATA_STORES, Resource
from workspaces.simulators.clusters.store import Document, Store
from workspaces.simulators.faults import Faults


class DataStores:
    """The DataStores of one management cluster."""

    def __init__(self, store: Store, faults: Faults, cluster: str) -> None:
        self._store, self._faults, self._cluster = store, faults, cluster

    def ready(self, name: str) -> bool:
        """Whether Kamaji goes on with the control planes in it; a store that does not exist is not ready."""
        document = self._store.get(DATA_STORES, "", name)
        return document is not None and not self._down(name) and bool(document.get("status", {}).get("ready", False))

    def present(self, resource: Resource, document: Document) -> Document:
        """A DataStore as of now; anything else as it is."""
        if resource != DATA_STORES or not self._down(document["metadata"]["name"]):
            return document
        return {**document, "status": {**document.get("status", {}), "ready": False}}

    def _down(self, name: str) -> bool:
        targets = (self._cluster, f"{self._cluster}/{name}")
        return any(self._faults.active("kubernetes", target, "datastore_down") for target in targets)
