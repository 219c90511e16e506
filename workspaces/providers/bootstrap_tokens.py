"""Bootstrap tokens of a tenant: what a new host shows so that its cluster takes it, and what it knows the cluster by.

Kamaji makes none. A token is a Secret that the control plane itself forgets when its time is over. Source: Kubernetes,
authenticating with bootstrap tokens; kubeadm join.
"""

import base64
import hashlib
import secrets
import string
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from kubernetes import client

from . import kubeconfig
from .errors import Permanent
from .kubernetes_errors import speaking_to
from .managed_fields import OURS

_NAMESPACE: Final = "kube-system"
_ALPHABET: Final = string.ascii_lowercase + string.digits
_GROUP: Final = "system:bootstrappers:kubeadm:default-node-token"


@dataclass(frozen=True, slots=True)
class BootstrapToken:
    """A token: its public `id` names it, `secret` is told to nobody but the host."""

    id: str
    secret: str = field(repr=False)

    @classmethod
    def new(cls) -> "BootstrapToken":
        """A fresh one, not known to any cluster yet."""
        return cls(_random(6), _random(16))

    @property
    def value(self) -> str:
        """As kubeadm takes it."""
        return f"{self.id}.{self.secret}"


@dataclass(frozen=True, slots=True)
class Meeting:
    """Where a host meets its API server ("203.0.113.10:6443"), and who signs for it: hashes, and PEM as text."""

    endpoint: str
    authorities: tuple[str, ...]
    certificates: str = field(default="", repr=False)


def meeting(text: str) -> Meeting:
    """What a kubeconfig says to a host that wants to join; nothing of its credentials is in it.

    Raises Permanent("configuration") when the kubeconfig cannot be used.
    """
    access = kubeconfig.read(text)
    try:
        authorities = x509.load_pem_x509_certificates(access.authority)
    except ValueError:
        raise Permanent("configuration", "The authority in the tenant's kubeconfig cannot be read.") from None
    url = urlsplit(access.server)
    host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
    return Meeting(f"{host}:{url.port or 443}", tuple(_hash(one) for one in authorities), access.authority.decode())


def add(api: client.CoreV1Api, peer: str, token: BootstrapToken, *, description: str, until: datetime) -> None:
    """Let the cluster know `token`, for joining and until that time only."""
    content = {
        "token-id": token.id,
        "token-secret": token.secret,
        "expiration": until.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "usage-bootstrap-authentication": "true",
        "usage-bootstrap-signing": "true",
        "auth-extra-groups": _GROUP,
        "description": description,
    }
    secret: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": _name(token.id), "namespace": _NAMESPACE},
        "type": "bootstrap.kubernetes.io/token",
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in content.items()},
    }
    with speaking_to(peer):
        api.create_namespaced_secret(_NAMESPACE, secret, field_manager=OURS)


def remove(api: client.CoreV1Api, peer: str, id: str) -> bool:
    """Let the cluster forget the token of that id; whether it knew it."""
    with speaking_to(peer):
        try:
            api.delete_namespaced_secret(_name(id), _NAMESPACE)
        except client.exceptions.NotFoundException:
            return False
    return True


def _name(id: str) -> str:
    return f"bootstrap-token-{id}"


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _hash(certificate: x509.Certificate) -> str:
    """As kubeadm's --discovery-token-ca-cert-hash has it: of the public key, not of the certificate."""
    key = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return f"sha256:{hashlib.sha256(key).hexdigest()}"
