"""What a management cluster has of a workspace (control plane, data store, namespace), and whose its volumes are."""

from __future__ import annotations

from workspaces.models import Workspace
from workspaces.operations import connections
from workspaces.providers.errors import ProviderError
from workspaces.providers.kamaji import ControlPlane
from workspaces.providers.kamaji_remains import NamespaceSeen, Remains, StoreSeen
from workspaces.providers.volume_claims import claims as claims_in
from workspaces.rules import labels
from workspaces.rules.deletion_plan import Item, NotAsked


def look(workspace: Workspace) -> tuple[list[Item], list[NotAsked]]:
    """Ask the management cluster. Never raises for one that does not answer."""
    cluster = workspace.management_cluster
    if cluster is None or not workspace.control_plane:
        return [], []
    items: list[Item] = []
    not_asked: list[NotAsked] = []
    # Each with a boundary of its own: who may not list what is in a namespace may still see the control plane.
    for parts, question in ((("control_plane", "data_store"), _planes), (("namespace",), _namespaces)):
        try:
            with connections.management(cluster) as kamaji:
                items += question(workspace, Remains(kamaji))
        except ProviderError as error:
            what = f"Management cluster {cluster}"
            not_asked.append(NotAsked(parts, what, error.code, error.message, error.who_can_fix))
    return items, not_asked


def claims(workspace: Workspace) -> dict[str, str] | None:
    """The claim on each cloud volume, by the volume's id; None when the workspace's own API does not tell."""
    if not workspace.is_kubernetes:
        return {}
    try:
        with connections.tenant(workspace) as cluster:
            return claims_in(cluster)
    except ProviderError:
        return None


def _planes(workspace: Workspace, remains: Remains) -> list[Item]:
    plane = remains.plane(workspace.namespace, workspace.control_plane)
    stores = remains.stores(labels.of_workspace(workspace.pk))
    items = [_store(store, workspace) for store in stores]
    if plane is not None:
        items.insert(0, _plane(plane, remains.store(plane.data_store) if plane.data_store else None))
    return items


def _namespaces(workspace: Workspace, remains: Remains) -> list[Item]:
    namespace = remains.namespace(workspace.namespace, workspace.control_plane)
    return [_namespace(namespace)] if namespace else []


def _plane(plane: ControlPlane, store: StoreSeen | None) -> Item:
    data = f", data in DataStore {store.name} ({store.driver})" if store else ""
    note = ""
    if plane.deleting:
        note = "It is being deleted already."
    elif plane.paused:
        note = "It is paused: Kamaji does not delete it until somebody takes the pause away."
    elif plane.data_store and store is None:
        note = f"Its DataStore {plane.data_store} does not exist: Kamaji does not delete it until it does."
    elif store and not store.ready:
        note = f"Its DataStore {store.name} is not ready: Kamaji does not delete it until it is."
    detail = f"Kamaji tenant {plane.namespace}/{plane.name}{data}"
    return Item("control_plane", "control_plane", plane.uid, plane.name, detail, note=note)


def _store(store: StoreSeen, workspace: Workspace) -> Item:
    own = f"{workspace.namespace}/{workspace.control_plane}"
    others = [one for one in store.used_by if one != own]
    note = f"Others use it too, so it stays: {', '.join(others)}." if others else ""
    return Item("data_store", "data_store", store.uid, store.name, store.driver, ours=not others, note=note)


def _namespace(seen: NamespaceSeen) -> Item:
    note = f"It stays: {_some(seen.holds)} is in it too." if seen.holds else ""
    return Item("namespace", "namespace", seen.uid, seen.name, ours=not seen.holds, note=note)


def _some(names: tuple[str, ...]) -> str:
    """The first few, and how many more."""
    more = len(names) - 3
    return ", ".join(names[:3]) + (f" and {more} more" if more > 0 else "")
