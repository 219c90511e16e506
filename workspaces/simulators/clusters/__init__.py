"""The simulated management clusters, with Kamaji, and the tenant clusters: over real HTTPS, one listener each.

`Clusters` is the part the world composes; what a cluster does lives in the modules beside it.

Faults understood here besides those of the middleware, all of service "kubernetes" and in force while they exist:

- `upgrade_hang` (target: a tenant "namespace/name"): the new pods of an upgrade wait for an image nobody can pull.
- `no_capacity` (a tenant, or a management cluster): no host of the management cluster takes the new pods of an upgrade.
- `datastore_down` (a management cluster, or "cluster/store"): the DataStore is not ready, so Kamaji does nothing.
- `not_ready` (a tenant): its control plane falls over.
- `webhook_down`, `webhook_denied` and `webhook_frozen` (a management cluster or a tenant): Kamaji's admission.
- `budget` (a tenant): no disruption budget yields.
- `endpoints_down` (a tenant, or "namespace/name/namespace/service"): its own Services have nobody behind them, so
  webhooks that must not fail refuse what they are asked about.
- `lost_node` (a node's name, or "namespace/name/node"): its kubelet falls silent.

Every object is answered with its managedFields: `ownership` keeps who owns what of objects that somebody asked to
change, `writers` names the controllers that wrote the others.

A `refuse` or `hang` of all of a tenant's requests keeps Kamaji and the hosts out too. An upgrade also hangs without a
fault: at a version whose patch number is above 60 (no such image), with the annotation kamaji.clastix.io/paused, with a
DataStore whose status says so, and a drain at a budget whose spec allows nothing. All of it ends when its cause does.

A client certificate that ended is answered 401: `certificate_days` of a management cluster or tenant in the world's
file, or POST /certificates while the world runs. A tenant with `"served": false` is only its TenantControlPlane.
"""

from workspaces.simulators.clusters.fleet import Clusters

__all__ = ["Clusters"]
