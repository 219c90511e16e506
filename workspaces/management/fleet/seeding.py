"""Seeding of the sample fleet: three manifests, and a cluster in which somebody else's controller holds a field.

The manifest of the ingress gates, so that cluster stays gated until a person has decided whose the field is.
"""

from __future__ import annotations

from typing import Any, Final

from workspaces.models import Organization, SeedManifest, Workspace
from workspaces.operations import connections, reconcile
from workspaces.providers.objects import Objects

GATED: Final = "scada-bridge"
# What its row says until the first looks have seen it for themselves.
REASON: Final = "Seeding has not converged: ConfigMap ingress-nginx/controller is held by argocd-controller."

_BASELINE: Final = """\
apiVersion: v1
kind: Namespace
metadata:
  name: platform
  labels:
    pod-security.kubernetes.io/enforce: restricted
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: support
  namespace: platform
data:
  desk: "+49 69 000000"
  hours: 24/7
  runbooks: https://runbooks.loopback.example
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: platform-support
rules:
  - apiGroups: [""]
    resources: [nodes, pods, events]
    verbs: [get, list, watch]
"""
_INGRESS: Final = """\
apiVersion: v1
kind: Namespace
metadata:
  name: ingress-nginx
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: controller
  namespace: ingress-nginx
data:
  ssl-protocols: TLSv1.3
  use-forwarded-headers: "false"
  worker-shutdown-timeout: 240s
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: controller
  namespace: ingress-nginx
spec:
  minAvailable: 1
  selector:
    matchLabels:
      app.kubernetes.io/name: ingress-nginx
"""
_AUDIT: Final = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: grid-auditors
rules:
  - apiGroups: [""]
    resources: [events, namespaces, pods]
    verbs: [get, list]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: grid-auditors
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: grid-auditors
subjects:
  - apiGroup: rbac.authorization.k8s.io
    kind: Group
    name: grid-auditors
"""
# What the team of that cluster has Argo CD keep there: their load balancer writes the header.
_THEIRS: Final[tuple[dict[str, Any], ...]] = (
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ingress-nginx"}},
    {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "controller", "namespace": "ingress-nginx"},
        "data": {"use-forwarded-headers": "true"},
    },
)


def create() -> None:
    """The manifests."""
    fjordline = Organization.objects.filter(name="Fjordline Energy").first()
    for name, said, content, fields in (
        ("baseline", "What every cluster has: a namespace of ours and the right to look.", _BASELINE, {}),
        (
            "ingress-nginx",
            "Settings and budget of the ingress controller.",
            _INGRESS,
            {"phase": "hosts", "gates": True},
        ),
        ("grid-audit", "Fjordline's auditors may read events.", _AUDIT, {"organization": fjordline, "protected": True}),
    ):
        values: dict[str, Any] = fields
        row = SeedManifest(name=name, description=said, content=content, **values)
        row.full_clean()
        row.save()


def hold() -> None:
    """Let another controller hold a field in one cluster, and look at what comes of it. Raises ProviderError."""
    workspace = Workspace.objects.select_related("project", "management_cluster").filter(name=GATED).first()
    if workspace is None:
        return
    kubeconfig = connections.tenant_kubeconfig(workspace)
    with Objects(kubeconfig, name=GATED, manager="argocd-controller") as objects:
        for document in _THEIRS:
            objects.apply(document)
    reconcile.look_at_seeding(workspace.pk)
