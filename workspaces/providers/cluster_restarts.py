"""Starting the pods of a namespace again, as `kubectl rollout restart` does: by a time on the pod template."""

from typing import Any, Final

from kubernetes import client

from .kubernetes_errors import speaking_to
from .kubernetes_lists import every_item
from .managed_fields import OURS

_RESTARTED: Final = "kubectl.kubernetes.io/restartedAt"


def restart_pods(api: client.AppsV1Api, peer: str, namespace: str, at: str) -> list[str]:
    """DaemonSets, then Deployments, by name; each takes its own pace. The same time again changes nothing."""
    change: dict[str, Any] = {"spec": {"template": {"metadata": {"annotations": {_RESTARTED: at}}}}}
    kinds = {
        "DaemonSet": (api.list_namespaced_daemon_set, api.patch_namespaced_daemon_set),
        "Deployment": (api.list_namespaced_deployment, api.patch_namespaced_deployment),
    }
    told = []
    with speaking_to(peer):
        for kind, (read_page, patch) in kinds.items():
            for name in sorted(one.metadata.name for one in every_item(read_page, namespace=namespace)):
                patch(name, namespace, change, field_manager=OURS)
                told.append(f"{kind} {name}")
    return told
