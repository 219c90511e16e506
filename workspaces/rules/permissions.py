"""Which role may do what: one table, read by everything that asks.

A role comes from a membership, on an organization or narrowed to one project. Which membership applies to an object,
and that other organizations' objects do not exist for the reader, is decided in `models/tenancy`, not here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

ADMINISTRATOR: Final = "administrator"
OPERATOR: Final = "operator"
VIEWER: Final = "viewer"
ROLES: Final = (ADMINISTRATOR, OPERATOR, VIEWER)


@dataclass(frozen=True, slots=True)
class Permission:
    """What a key allows, in a sentence for the members page, and the roles that hold it."""

    sentence: str
    roles: frozenset[str]


_EVERYONE = frozenset(ROLES)
_OPERATING = frozenset({ADMINISTRATOR, OPERATOR})
_ADMINISTERING = frozenset({ADMINISTRATOR})

PERMISSIONS: Final[Mapping[str, Permission]] = {
    "workspace.view": Permission("See workspaces, their hosts, operations, forecast and drift", _EVERYONE),
    "price.view": Permission("See compute profiles with list and agreed prices", _EVERYONE),
    "members.view": Permission("See who has access and with which role", _OPERATING),
    "audit.view": Permission("Read who did what and when", _OPERATING),
    "workspace.reconcile": Permission("Start a reconciliation now", _OPERATING),
    "maintenance.edit": Permission("Change maintenance hours and automatic updates", _OPERATING),
    "upgrade.start": Permission("Start a Kubernetes upgrade", _OPERATING),
    "operation.stop": Permission("Stop an operation at its next safe point", _OPERATING),
    "operation.retry": Permission("Retry a failed operation from the failed step", _OPERATING),
    "host.order": Permission("Order a host at a confirmed price", _OPERATING),
    "host.resize": Permission("Resize a host at a confirmed price", _OPERATING),
    "host.remove": Permission("Remove a host and delete its server", _OPERATING),
    "workspace.receive": Permission("Receive a workspace from another project", _OPERATING),
    # From here on: what takes something from other people, or cannot be undone by the one who did it.
    "maintenance.disable": Permission("Switch maintenance off for a workspace", _ADMINISTERING),
    "maintenance.hold": Permission("Hold automatic work, with a reason and an end", _ADMINISTERING),
    "workspace.transfer": Permission("Move a workspace to another project", _ADMINISTERING),
    "workspace.delete": Permission("Schedule the deletion of a workspace and undo it", _ADMINISTERING),
    "kubeconfig.export": Permission("Export a kubeconfig with full rights in the cluster", _ADMINISTERING),
    "members.manage": Permission("Add and remove members and change their roles", _ADMINISTERING),
    "api_keys.manage": Permission("Create and revoke API keys", _ADMINISTERING),
    "queue.view": Permission("See workers, queue depth and failed jobs", _ADMINISTERING),
}

# To continue an operation of these kinds takes the right to have started it, besides that of continuing work at all.
CONTINUING: Final[Mapping[str, str]] = {"deletion": "workspace.delete", "ca_rotation": "kubeconfig.export"}

_KEYS: Final[Mapping[str, frozenset[str]]] = {
    role: frozenset(key for key, permission in PERMISSIONS.items() if role in permission.roles) for role in ROLES
}


def allows(role: str, key: str) -> bool:
    """Whether `role` holds `key`. An unknown role holds nothing; an unknown key is a programming error (KeyError)."""
    return role in roles_with(key)


def keys_of(role: str) -> frozenset[str]:
    """Every key `role` holds; none for a role this table does not know."""
    return _KEYS.get(role, frozenset())


def roles_with(key: str) -> frozenset[str]:
    """The roles that hold `key`, to select memberships in the database."""
    return PERMISSIONS[key].roles
