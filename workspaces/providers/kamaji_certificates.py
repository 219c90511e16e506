"""The certificate authority of a control plane: which one it is, and asking Kamaji for another.

Source: Kamaji, guides/certs-lifecycle: an annotation with an empty value on the authority's Secret asks; Kamaji puts
the time of the change in its place. Everything that the old authority has signed is refused afterwards.
"""

import base64
from dataclasses import dataclass
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from kubernetes import client

from . import kubeconfig
from .errors import Permanent
from .kubernetes_errors import speaking_to
from .managed_fields import OURS

_ASKED: Final = "certs.kamaji.clastix.io/rotate"


@dataclass(frozen=True)
class Authority:
    """A certificate authority as its Secret holds it; `asked` while Kamaji has been asked for another one.

    `fingerprint` is the SHA-256 of the certificate in hex. The key, which lies beside it, is not kept.
    """

    secret: str
    fingerprint: str
    asked: bool
    resource_version: str


def read(api: client.CoreV1Api, peer: str, namespace: str, secret: str) -> Authority:
    """The authority that lies in this Secret."""
    with speaking_to(peer):
        held = api.read_namespaced_secret(secret, namespace)
        if "ca.crt" not in (held.data or {}):
            raise Permanent("not_found", f"{peer}: Secret {namespace}/{secret} has no ca.crt.")
        pem = base64.b64decode(held.data["ca.crt"], validate=True)
    asked = (held.metadata.annotations or {}).get(_ASKED) == ""
    return Authority(secret, _fingerprint(pem), asked, held.metadata.resource_version)


def ask_for_another(api: client.CoreV1Api, peer: str, namespace: str, seen: Authority) -> None:
    """Ask Kamaji for another authority, provided the Secret is as it was `seen`: of two workers one gets its wish.

    Raises Temporary("conflict") when it has changed meanwhile.
    """
    metadata: dict[str, Any] = {"resourceVersion": seen.resource_version, "annotations": {_ASKED: ""}}
    with speaking_to(peer):
        api.patch_namespaced_secret(seen.secret, namespace, {"metadata": metadata}, field_manager=OURS)


def fingerprint_in(text: str) -> str:
    """The fingerprint of the authority that a kubeconfig trusts. Raises Permanent("configuration") when it has none."""
    return _fingerprint(kubeconfig.read(text).authority)


def _fingerprint(pem: bytes) -> str:
    try:
        return x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256()).hex()
    except ValueError:
        raise Permanent("configuration", "The certificate of the tenant's authority cannot be read.") from None
