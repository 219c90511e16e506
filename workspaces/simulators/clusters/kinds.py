"""The kinds the simulated API servers serve: names, scope, subresources and the fields lists may be selected by.

Data only; how objects of a kind are defaulted and checked is in `strategies`.
"""

from dataclasses import dataclass

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True)
class Resource:
    """One served resource; `group` is "" for the core API."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    custom: bool = False
    status: bool = False
    scale: bool = False
    generation: bool = False
    singular: str = ""
    short: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """As messages name it: `tenantcontrolplanes.kamaji.clastix.io`, `pods`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def selectable(self) -> tuple[str, ...]:
        base = ("metadata.name", "metadata.namespace") if self.namespaced else ("metadata.name",)
        return base + self.fields


POD_FIELDS = (
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
)
EVENT_FIELDS = (
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
)

NAMESPACES = Resource(
    "",
    "v1",
    "namespaces",
    "Namespace",
    False,
    status=True,
    short=("ns",),
    fields=("status.phase",),
    singular="namespace",
)
NODES = Resource(
    "", "v1", "nodes", "Node", False, status=True, short=("no",), fields=("spec.unschedulable",), singular="node"
)
PODS = Resource(
    "",
    "v1",
    "pods",
    "Pod",
    status=True,
    generation=True,
    categories=("all",),
    short=("po",),
    fields=POD_FIELDS,
    singular="pod",
)
SECRETS = Resource("", "v1", "secrets", "Secret", fields=("type",), singular="secret")
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap", short=("cm",), singular="configmap")
EVENTS = Resource("", "v1", "events", "Event", short=("ev",), fields=EVENT_FIELDS, singular="event")
SERVICES = Resource("", "v1", "services", "Service", status=True, short=("svc",), singular="service")
ENDPOINTS = Resource("", "v1", "endpoints", "Endpoints", short=("ep",), singular="endpoints")
SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount", short=("sa",), singular="serviceaccount")
PERSISTENT_VOLUMES = Resource(
    "", "v1", "persistentvolumes", "PersistentVolume", False, status=True, short=("pv",), singular="persistentvolume"
)
PERSISTENT_VOLUME_CLAIMS = Resource(
    "", "v1", "persistentvolumeclaims", "PersistentVolumeClaim",
    status=True, short=("pvc",), singular="persistentvolumeclaim",
)  # fmt: skip
COMPONENT_STATUSES = Resource(
    "", "v1", "componentstatuses", "ComponentStatus", False, short=("cs",), singular="componentstatus"
)
DEPLOYMENTS = Resource(
    "apps", "v1", "deployments", "Deployment",
    status=True, scale=True, generation=True, short=("deploy",), singular="deployment", categories=("all",),
)  # fmt: skip
REPLICA_SETS = Resource(
    "apps", "v1", "replicasets", "ReplicaSet",
    status=True, scale=True, generation=True, short=("rs",), singular="replicaset", categories=("all",),
)  # fmt: skip
STATEFUL_SETS = Resource(
    "apps", "v1", "statefulsets", "StatefulSet",
    status=True, scale=True, generation=True, short=("sts",), singular="statefulset", categories=("all",),
)  # fmt: skip
DAEMON_SETS = Resource(
    "apps", "v1", "daemonsets", "DaemonSet",
    status=True, generation=True, short=("ds",), singular="daemonset", categories=("all",),
)  # fmt: skip
BUDGETS = Resource(
    "policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget",
    status=True, generation=True, short=("pdb",), singular="poddisruptionbudget",
)  # fmt: skip
ENDPOINT_SLICES = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", singular="endpointslice")
MUTATING_WEBHOOKS = Resource(
    "admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", False,
    generation=True, singular="mutatingwebhookconfiguration", categories=("api-extensions",),
)  # fmt: skip
VALIDATING_WEBHOOKS = Resource(
    "admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations", "ValidatingWebhookConfiguration", False,
    generation=True, singular="validatingwebhookconfiguration", categories=("api-extensions",),
)  # fmt: skip
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease", singular="lease")
ROLES = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role", singular="role")
ROLE_BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding", singular="rolebinding")
CLUSTER_ROLES = Resource(
    "rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", False, singular="clusterrole"
)
CLUSTER_ROLE_BINDINGS = Resource(
    "rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", False, singular="clusterrolebinding"
)
CUSTOM_RESOURCE_DEFINITIONS = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", False,
    status=True, generation=True, short=("crd", "crds"), singular="customresourcedefinition",
    categories=("api-extensions",),
)  # fmt: skip
CONTROL_PLANES = Resource(
    "kamaji.clastix.io", "v1alpha1", "tenantcontrolplanes", "TenantControlPlane",
    custom=True, status=True, scale=True, generation=True, short=("tcp",), singular="tenantcontrolplane",
    categories=("kamaji",),
)  # fmt: skip
DATA_STORES = Resource(
    "kamaji.clastix.io", "v1alpha1", "datastores", "DataStore", False,
    custom=True, status=True, generation=True, singular="datastore", categories=("kamaji",),
)  # fmt: skip

KUBECONFIG_GENERATORS = Resource(
    "kamaji.clastix.io", "v1alpha1", "kubeconfiggenerators", "KubeconfigGenerator", False,
    custom=True, status=True, generation=True, short=("kc",), singular="kubeconfiggenerator", categories=("kamaji",),
)  # fmt: skip

CORE = (
    NAMESPACES,
    NODES,
    PODS,
    SECRETS,
    CONFIG_MAPS,
    EVENTS,
    SERVICES,
    ENDPOINTS,
    SERVICE_ACCOUNTS,
    PERSISTENT_VOLUMES,
    PERSISTENT_VOLUME_CLAIMS,
)
APPS = (DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS, DAEMON_SETS)
RBAC = (ROLES, ROLE_BINDINGS, CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS)
WEBHOOKS = (MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS)
BUILT_IN = (
    *CORE, COMPONENT_STATUSES, *APPS, BUDGETS, LEASES, *RBAC, CUSTOM_RESOURCE_DEFINITIONS, ENDPOINT_SLICES, *WEBHOOKS,
)  # fmt: skip

MANAGEMENT_KINDS: tuple[Resource, ...] = (*BUILT_IN, CONTROL_PLANES, DATA_STORES, KUBECONFIG_GENERATORS)
TENANT_KINDS: tuple[Resource, ...] = BUILT_IN

SUBRESOURCES = {"pods": ("eviction", "log"), "serviceaccounts": ("token",)}


def subresources(resource: Resource) -> tuple[str, ...]:
    """The names allowed after an object's own in a path."""
    own = SUBRESOURCES.get(resource.plural, ())
    return own + (("status",) if resource.status else ()) + (("scale",) if resource.scale else ())
