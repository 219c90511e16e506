"""The support admin: looking up every noun, curating catalogue, agreements and tenancy. One module a noun."""

from workspaces.admin import (
    api_key,
    event,
    infrastructure,
    kubernetes,
    maintenance,
    operation,
    pricing,
    site,
    tenancy,
    workspace,
)

__all__ = [
    "api_key",
    "event",
    "infrastructure",
    "kubernetes",
    "maintenance",
    "operation",
    "pricing",
    "site",
    "tenancy",
    "workspace",
]
