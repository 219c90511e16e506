"""Questions about oneself: SelfSubjectReview (who am I) and SelfSubjectAccessReview (may I)."""

import json
from typing import Any

from workspaces.simulators.clusters.access import Access, User
from workspaces.simulators.clusters.requests import Place


def review(kind: str, body: str, user: User, access: Access) -> dict[str, Any]:
    """The answer to a POST of that kind by that user; nothing is stored."""
    if kind == "SelfSubjectReview":
        info = {"username": user.name, "groups": list(user.groups)}
        return {"kind": kind, "apiVersion": "authentication.k8s.io/v1", "metadata": {}, "status": {"userInfo": info}}
    spec = json.loads(body or "{}").get("spec", {})
    asked = spec.get("resourceAttributes", {})
    place = Place(
        asked.get("group", ""),
        asked.get("version", ""),
        asked.get("resource", ""),
        asked.get("namespace", ""),
        asked.get("name", ""),
        asked.get("subresource", ""),
    )
    status = {"allowed": access.may(user, asked.get("verb", ""), place)}
    return {
        "kind": kind,
        "apiVersion": "authorization.k8s.io/v1",
        "metadata": {},
        "spec": {"resourceAttributes": asked},
        "status": status,
    }
