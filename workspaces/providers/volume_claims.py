"""Which claim of a cluster lives on which cloud volume: its PersistentVolumes, by the handle of their CSI driver.

Source: Kubernetes API, PersistentVolume: spec.csi.volumeHandle is the cloud's id, spec.claimRef whose it is.
"""

from kubernetes import client

from .cluster import Cluster
from .kubernetes_errors import speaking_to
from .kubernetes_lists import every_item


def claims(cluster: Cluster) -> dict[str, str]:
    """The claim, "namespace/name", of every volume that a CSI driver has made, by its handle."""
    with speaking_to(cluster._peer):
        volumes = every_item(client.CoreV1Api(cluster._api).list_persistent_volume)
        return {
            one.spec.csi.volume_handle: f"{one.spec.claim_ref.namespace}/{one.spec.claim_ref.name}"
            for one in volumes
            if one.spec.csi and one.spec.claim_ref
        }
