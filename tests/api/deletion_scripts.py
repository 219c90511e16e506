"""What the tests of deletion in the API have in common: scripts with keys, and a look at a workspace."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django.test import Client
from django.utils import timezone

from tests import cast
from workspaces.models import Account, ApiKey, Inventory, Project, Workspace


class Script:
    """A script with an API key of some role."""

    def __init__(
        self,
        role: str,
        *,
        name: str = "",
        of: str = "Kestrel Freight",
        project: Project | None = None,
        by: str = "keys@loopback.example",
    ) -> None:
        maker = Account.objects.get_or_create(email=by, is_superuser=True)[0]
        self.key, text = ApiKey.issue(
            name=name or f"{role} script",
            organization=cast.organization(of),
            project=project,
            role=role,
            created_by=maker,
        )
        self.client = Client(headers={"Authorization": f"Bearer {text}"})

    def send(self, method: str, workspace: Any, path: str = "deletion", body: Any = None) -> Any:
        address = f"/api/v1/workspaces/{getattr(workspace, 'pk', workspace)}/{path}"
        text = "" if body is None else body if isinstance(body, str) else json.dumps(body)
        return self.client.generic(method, address, text, content_type="application/json")

    def plan(self, workspace: Any) -> Any:
        return self.send("GET", workspace).json()

    def schedule(self, workspace: Any, **changed: Any) -> Any:
        body = {"confirm_name": "ledger-prod", "acknowledge_backups": True, "reason": "Pilot ended"} | changed
        return self.send("POST", workspace, body=body)


def looked(workspace: Workspace, minutes: float = 1, **changed: Any) -> Inventory:
    """A look at it that ended so many minutes ago, and found its control plane and a volume."""
    at = timezone.now() - timedelta(minutes=minutes)
    volume = {"part": "volumes", "kind": "volume", "ref": "771", "name": "ledger-data", "detail": "40 GB in fsn1"}
    volume["cost"] = {"currency": "EUR", "list": "1.9200", "agreed": "1.9"}
    found = [
        {"part": "control_plane", "kind": "control_plane", "ref": workspace.control_plane, "name": workspace.name},
        volume,
        {"part": "hosts", "kind": "server", "ref": "8", "name": "somebody-elses", "ours": False, "note": "Attached."},
    ]
    values = {"asked_at": at, "looked_at": at, "found": found} | changed
    return Inventory.objects.update_or_create(workspace=workspace, defaults=values)[0]


def problem(answer: Any) -> tuple[int, str, str]:
    """Status, code and sentence of an answer that is a problem document."""
    assert answer["Content-Type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == answer.status_code
    return answer.status_code, document["code"], document["detail"]


def names_of(document: Any) -> list[str]:
    """The first word of the name of every item of its plan."""
    return [item["name"].split(" ")[0] for step in document["plan"]["steps"] for item in step["items"]]
