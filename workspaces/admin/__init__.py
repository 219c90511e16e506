"""The support admin: looking up every noun, curating catalogue, agreements and tenancy. One module a noun."""

from workspaces.admin import (
    access,
    advisory,
    api_key,
    event,
    infrastructure,
    kubernetes,
    left_server,
    maintenance,
    operation,
    pricing,
    rollout,
    site,
    tenancy,
    transfer,
    workspace,
)

__all__ = [
    "access",
    "advisory",
    "api_key",
    "event",
    "infrastructure",
    "kubernetes",
    "left_server",
    "maintenance",
    "operation",
    "pricing",
    "rollout",
    "site",
    "tenancy",
    "transfer",
    "workspace",
]
