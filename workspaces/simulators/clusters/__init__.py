"""The simulated management clusters, with Kamaji, and the tenant clusters: over real HTTPS, one listener each.

`Clusters` is the part the world composes; what a cluster does lives in the modules beside it.

Faults understood here besides those of the middleware, all of service "kubernetes" and in force while they exist:
`upgrade_hang` and `not_ready` (target: a tenant "namespace/name"), `budget` (a tenant: none yields), `lost_node` (a
node's name, or "namespace/name/node"), `webhook_down`, `webhook_denied` and `webhook_frozen` (a management cluster or a
tenant). A `refuse` or `hang` of all of a tenant's requests keeps Kamaji and the hosts out too.
"""

from workspaces.simulators.clusters.fleet import Clusters

__all__ = ["Clusters"]
