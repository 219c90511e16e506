"""What a control plane does with bootstrap tokens: it signs the ConfigMap cluster-info with each of them, and forgets
those whose time is over.

A stand-in for kube-controller-manager's bootstrapsigner and tokencleaner
(https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/). Who shows a token is authenticated in
`access`; what it may read is in `bootstrap`.
"""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime

from workspaces.simulators.clusters.kinds import CONFIG_MAPS, SECRETS
from workspaces.simulators.clusters.store import Change, Document, Store
from workspaces.simulators.clusters.timers import Timers

TYPE = "bootstrap.kubernetes.io/token"
INFO = ("kube-public", "cluster-info")
SIGNATURE = "jws-kubeconfig-"
SIGN_PHASES = 0.2


class BootstrapTokens:
    """The bootstrap tokens of one tenant."""

    def __init__(self, store: Store, timers: Timers) -> None:
        self._store, self._timers = store, timers
        store.subscribe(self._changed)

    def publish(self, kubeconfig: str) -> None:
        """Let everybody read where the cluster is and who signs for it."""
        if self._store.get(CONFIG_MAPS, *INFO) is None:
            metadata = {"namespace": INFO[0], "name": INFO[1]}
            self._store.create(CONFIG_MAPS, {"metadata": metadata, "data": {"kubeconfig": kubeconfig}})
        else:
            self._store.edit(CONFIG_MAPS, *INFO, lambda held: held["data"].update(kubeconfig=kubeconfig))

    def published(self) -> str:
        """What everybody can read, "" when nothing was published."""
        return str((self._store.get(CONFIG_MAPS, *INFO) or {}).get("data", {}).get("kubeconfig", ""))

    def settle(self) -> None:
        """Remove the tokens whose time is over, and sign with the others."""
        signatures = {}
        info = self._store.get(CONFIG_MAPS, *INFO)
        for secret in self._store.list(SECRETS, "kube-system"):
            if secret.get("type") != TYPE:
                continue
            data, name = _plain(secret), secret["metadata"]["name"]
            left = _seconds_left(data.get("expiration", ""))
            self._timers.cancel(("expires", name))
            if left <= 0:
                self._store.remove(SECRETS, "kube-system", name)
                continue
            if left < float("inf"):
                self._timers.after(("expires", name), left / self._timers.phase, self.settle)
            id = data.get("token-id", "")
            if info and data.get("usage-bootstrap-signing") == "true" and name == f"bootstrap-token-{id}":
                text = info.get("data", {}).get("kubeconfig", "")
                signatures[SIGNATURE + id] = signature(text, id, data.get("token-secret", ""))

        def sign(held: Document) -> None:
            kept = {key: value for key, value in held.get("data", {}).items() if not key.startswith(SIGNATURE)}
            held["data"] = kept | signatures

        self._store.edit(CONFIG_MAPS, *INFO, sign)

    def _changed(self, change: Change) -> None:
        metadata = change.document["metadata"]
        place = (metadata.get("namespace", ""), metadata["name"])
        token = change.resource == SECRETS and place[0] == "kube-system" and change.document.get("type") == TYPE
        if token or (change.resource == CONFIG_MAPS and place == INFO):
            self._timers.after("bootstrap tokens", SIGN_PHASES, self.settle)


def signature(text: str, id: str, secret: str) -> str:
    """A JWS (HS256) of the text without its payload, which the reader has."""
    head = _encoded(json.dumps({"alg": "HS256", "kid": id}, separators=(",", ":")).encode())
    payload = _encoded(text.encode())
    mac = hmac.new(secret.encode(), f"{head}.{payload}".encode(), hashlib.sha256).digest()
    return f"{head}..{_encoded(mac)}"


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _plain(secret: Document) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in secret.get("data", {}).items()}


def _seconds_left(expiration: str) -> float:
    """Of a token: without end when it names none; none when nobody can read it, as tokencleaner has it."""
    if not expiration:
        return float("inf")
    try:
        end = datetime.fromisoformat(expiration)
    except ValueError:
        return 0.0
    return (end if end.tzinfo else end.replace(tzinfo=UTC)).timestamp() - datetime.now(UTC).timestamp()
