"""The Secret of a tenant's certificate authority, and what an annotation on it asks of Kamaji: another authority.

After internal/resources/ca_certificate.go and internal/utilities (rotation): an empty value asks, and is replaced by
the time at which the authority was changed.
"""

import base64

from workspaces.simulators.clusters import documents
from workspaces.simulators.clusters.kinds import CONTROL_PLANES, SECRETS
from workspaces.simulators.clusters.store import Change, Document, Store, timestamp
from workspaces.simulators.clusters.tenant import Tenant

ASKED = "certs.kamaji.clastix.io/rotate"
ROTATING = "CertificateAuthorityRotating"


def name_of(control_plane: Document) -> str:
    """The name of the Secret."""
    return f"{control_plane['metadata']['name']}-ca"


def asks(change: Change) -> tuple[str, str] | None:
    """Namespace and name of the control plane whose authority a write of its Secret asks to change."""
    if change.resource != SECRETS or change.kind == "DELETED":
        return None
    metadata = change.document["metadata"]
    if metadata.get("annotations", {}).get(ASKED) != "":
        return None
    labels = metadata.get("labels", {})
    owner = labels.get(documents.NAME_LABEL, "")
    return (metadata["namespace"], owner) if labels.get("kamaji.clastix.io/component") == "ca" else None


def is_asked(store: Store, control_plane: Document) -> bool:
    """Whether the authority of the control plane is to be changed."""
    held = store.get(SECRETS, control_plane["metadata"]["namespace"], name_of(control_plane))
    return held is not None and held["metadata"].get("annotations", {}).get(ASKED) == ""


def renew(store: Store, control_plane: Document, tenant: Tenant) -> None:
    """The tenant gets another authority, and the Secret holds it."""
    tenant.renew_authority()
    keep(store, control_plane, tenant)


def keep(store: Store, control_plane: Document, tenant: Tenant) -> None:
    """The Secret holds the authority of the tenant, and nobody asks for another one any more."""
    namespace, name = control_plane["metadata"]["namespace"], name_of(control_plane)
    certificate, key = tenant.authority.pem.decode(), tenant.authority.key_pem.decode()
    data = {"ca.crt": certificate, "ca.key": key, "tls.crt": certificate, "tls.key": key}
    secret = documents.secret(control_plane, name, "ca", "x509", data)
    del secret["metadata"]["labels"]["kamaji.clastix.io/certificate_lifecycle_controller"]  # its renewal is by hand
    if store.get(SECRETS, namespace, name) is None:
        store.create(SECRETS, secret)
    else:
        store.edit(SECRETS, namespace, name, lambda held: _change(held, secret["data"]))
    seen = {"secretName": name, "lastUpdate": timestamp(), "checksum": documents.checksum(certificate)}

    def show(held: Document) -> None:
        held["status"].setdefault("certificates", {}).update(ca=seen)

    store.edit(CONTROL_PLANES, namespace, control_plane["metadata"]["name"], show)


def is_kept(store: Store, control_plane: Document, tenant: Tenant) -> bool:
    """Whether the Secret is there and holds the tenant's authority."""
    held = store.get(SECRETS, control_plane["metadata"]["namespace"], name_of(control_plane))
    return held is not None and base64.b64decode(held["data"]["ca.crt"]) == tenant.authority.pem


def _change(held: Document, data: Document) -> None:
    held["data"] = data
    annotations = held["metadata"].get("annotations", {})
    if annotations.get(ASKED) == "":
        held["metadata"]["annotations"] = annotations | {ASKED: timestamp()}
