"""Which claim of a cluster lives on which cloud volume: its PersistentVolumes, by the handle of their CSI driver.

Source: Kubernetes API, PersistentVolume: spec.csi.volumeHandle is the cloud's id, spec.claimRef whose it is.
"""

from typing import Final

from kubernetes import client

from .cluster import Cluster
from .kubernetes_errors import speaking_to
from .kubernetes_lists import every_item

# Another driver's handle may be a number too, of something else.
_DRIVER: Final = "csi.hetzner.cloud"


def claims(cluster: Cluster) -> dict[str, str]:
    """The claim, "namespace/name", of every volume of Hetzner Cloud, by the volume's id."""
    with speaking_to(cluster._peer):
        volumes = every_item(client.CoreV1Api(cluster._api).list_persistent_volume)
        return {
            one.spec.csi.volume_handle: f"{one.spec.claim_ref.namespace}/{one.spec.claim_ref.name}"
            for one in volumes
            if one.spec.csi and one.spec.csi.driver == _DRIVER and one.spec.claim_ref
        }
