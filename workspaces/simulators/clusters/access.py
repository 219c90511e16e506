"""Who asks, and whether they may: client certificates, bearer tokens, bootstrap tokens, and RBAC over the stored
roles."""

import base64
import math
import secrets
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from workspaces.simulators.clusters.errors import unauthorized
from workspaces.simulators.clusters.kinds import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    SERVICE_ACCOUNTS,
)
from workspaces.simulators.clusters.requests import Place
from workspaces.simulators.clusters.store import Document, Store

OPEN_PATHS = ("/version", "/healthz", "/livez", "/readyz")
"""What anonymous users may read: ClusterRole system:public-info-viewer."""
DISCOVERY_PATHS = ("/api", "/apis", "/openapi")
"""What authenticated users may read: ClusterRole system:discovery."""
SERVICE_ACCOUNT = "system:serviceaccount:"


@dataclass(frozen=True)
class User:
    name: str
    groups: tuple[str, ...]


ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))


class Access:
    """Authentication and authorization of one API server; `tokens` maps bearer tokens to `namespace/name` of
    accounts."""

    def __init__(self, store: Store, anonymous: bool = True) -> None:
        self._store, self._anonymous = store, anonymous
        self.tokens: dict[str, str] = {}
        self._bound: dict[str, tuple[str, float]] = {}  # token -> uid of its account, and when it ends

    def issue_token(self, namespace: str, name: str) -> str:
        token = secrets.token_urlsafe(48)
        self.tokens[token] = f"{namespace}/{name}"
        return token

    def issue_bound_token(self, namespace: str, name: str, uid: str, seconds: float) -> str:
        """One that ends, and that an account of the same name which is made later does not revive."""
        token = self.issue_token(namespace, name)
        self._bound[token] = (uid, time.time() + seconds)
        return token

    def authenticate(self, certificate: dict[str, Any] | None, authorization: str) -> User:
        """Nobody is anonymous; raises 401 for a token that is not (or no longer) known and a certificate that ended."""
        if authorization:
            kind, _, token = authorization.partition(" ")
            if kind.lower() != "bearer" or not token:
                raise unauthorized()
            return self._token_user(token)
        if certificate and certificate.get("subject"):
            if ssl.cert_time_to_seconds(certificate["notAfter"]) < time.time():
                raise unauthorized()
            parts = [pair for rdn in certificate["subject"] for pair in rdn]
            names = [value for key, value in parts if key == "commonName"]
            groups = tuple(value for key, value in parts if key == "organizationName")
            return User(names[0] if names else "", (*groups, "system:authenticated"))
        if not self._anonymous:
            raise unauthorized()
        return ANONYMOUS

    def _token_user(self, token: str) -> User:
        account = self.tokens.get(token)
        if account is None:
            return self._bootstrap_user(token)
        namespace, _, name = account.partition("/")
        held = self._store.get(SERVICE_ACCOUNTS, namespace, name)
        uid, ends = self._bound.get(token, ("", math.inf))
        if held is None or time.time() >= ends or uid not in ("", held["metadata"]["uid"]):
            raise unauthorized()
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
        return User(f"{SERVICE_ACCOUNT}{namespace}:{name}", groups)

    def _bootstrap_user(self, token: str) -> User:
        identity, _, secret = token.partition(".")
        stored = self._store.get(SECRETS, "kube-system", f"bootstrap-token-{identity}")
        data = {k: base64.b64decode(v).decode() for k, v in (stored or {}).get("data", {}).items()}
        valid = (
            bool(secret)
            and data.get("token-id") == identity
            and data.get("token-secret") == secret
            and data.get("usage-bootstrap-authentication") == "true"
            and data.get("expiration", "9999") > datetime.now(UTC).isoformat()
        )
        if not valid:
            raise unauthorized()
        extra = tuple(filter(None, data.get("auth-extra-groups", "").split(",")))
        return User(f"system:bootstrap:{identity}", ("system:bootstrappers", *extra, "system:authenticated"))

    def may_read_path(self, user: User, path: str) -> bool:
        if "system:masters" in user.groups or path.rstrip("/") in OPEN_PATHS:
            return True
        if user is not ANONYMOUS and path.startswith(DISCOVERY_PATHS):
            return True
        return any(
            path in rule.get("nonResourceURLs", ()) or "*" in rule.get("nonResourceURLs", ())
            for rule in self._rules(user, "")
        )

    def may(self, user: User, verb: str, place: Place) -> bool:
        """RBAC: whether one rule allows the verb on the resource, by name where the rule names objects."""
        if "system:masters" in user.groups:
            return True
        plural = f"{place.plural}/{place.subresource}" if place.subresource else place.plural
        for rule in self._rules(user, place.namespace):
            names = rule.get("resourceNames")
            if (
                _holds(rule.get("verbs"), verb)
                and _holds(rule.get("apiGroups"), place.group)
                and _holds(rule.get("resources"), plural)
                and (not names or place.name in names)
            ):
                return True
        return False

    def _rules(self, user: User, namespace: str) -> list[Document]:
        rules: list[Document] = []
        for binding in self._store.list(CLUSTER_ROLE_BINDINGS):
            if _binds(binding, user, ""):
                role = self._store.get(CLUSTER_ROLES, "", binding["roleRef"]["name"])
                rules += (role or {}).get("rules", ())
        if not namespace:
            return rules
        for binding in self._store.list(ROLE_BINDINGS, namespace):
            if _binds(binding, user, namespace):
                reference = binding["roleRef"]
                cluster_wide = reference["kind"] == "ClusterRole"
                kind, where = (CLUSTER_ROLES, "") if cluster_wide else (ROLES, namespace)
                rules += (self._store.get(kind, where, reference["name"]) or {}).get("rules", ())
        return rules


def _holds(values: list[str] | None, value: str) -> bool:
    return "*" in (values or ()) or value in (values or ())


def _binds(binding: Document, user: User, namespace: str) -> bool:
    for subject in binding.get("subjects", ()):
        kind, name = subject["kind"], subject["name"]
        if kind == "Group" and name in user.groups:
            return True
        if kind == "User" and name == user.name:
            return True
        account = f"{SERVICE_ACCOUNT}{subject.get('namespace', namespace)}:{name}"
        if kind == "ServiceAccount" and account == user.name:
            return True
    return False
