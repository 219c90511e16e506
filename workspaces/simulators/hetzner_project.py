"""One simulated Hetzner Cloud project: its tokens, its records, and what happens to them as time passes.

Records are plain JSON. Nothing runs in the background: an action knows when it ends, and what follows from it is
applied by `settle`, before anybody looks. What a request may do lives in the modules of the endpoints.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aiohttp import web

from .faults import Faults
from .hetzner_protocol import ApiError, Bucket, Document, stamp

TABLES = ("servers", "ssh_keys", "placement_groups", "volumes", "load_balancers", "primary_ips", "zones", "actions")
ACTIONS_KEPT = 2000
FAILED: Document = {"code": "action_failed", "message": "Action failed"}
PROJECT = "hetzner_project"
GONE = "gone"  # the status of a server's record after it was deleted; the API never shows it


class Project:
    """Records by table and id, the actions among them, and the bucket of requests all tokens share."""

    def __init__(self, described: Mapping[str, Any], phase: float, new_id: Callable[[], int], faults: Faults) -> None:
        self.name: str = described["name"]
        self.tokens: dict[str, bool] = dict(described["tokens"])  # token -> read-only
        self.server_limit: int = described["server_limit"]
        self.phase, self.new_id, self.faults = phase, new_id, faults
        self.bucket = Bucket(described["rate_limit"])
        self.tables: dict[str, dict[int, Document]] = {table: {} for table in TABLES}
        self.effects: list[Document] = []
        self.moved: dict[int, Document] = {}  # servers whose power may be another since somebody took this over
        self.seeded: list[str] = []

    def records(self, table: str) -> Iterable[Document]:
        """The records of one table."""
        return self.tables[table].values()

    def find(self, table: str, id: int | str, what: str) -> Document:
        """One record. Raises ApiError 404 that names `what`."""
        found = self.tables[table].get(int(id)) if str(id).isdecimal() else None
        if found is None:
            raise ApiError(404, "not_found", f"{what} with ID '{id}' not found")
        return found

    def add(self, table: str, record: Document) -> Document:
        """Give the record an id and keep it."""
        record = {"id": self.new_id(), **record}
        self.tables[table][record["id"]] = record
        return record

    def begin(
        self, command: str, resources: Iterable[tuple[str, int]], phases: float, *, fails: bool = False
    ) -> Document:
        """Begin an action that takes so many phases; gives its record."""
        now = time.time()
        action = self.add(
            "actions",
            {
                "command": command,
                "started": now,
                "ends": now + phases * self.phase,
                "resources": [{"id": id, "type": kind} for kind, id in resources],
                "error": FAILED if fails else None,
            },
        )
        actions = self.tables["actions"]
        while len(actions) > ACTIONS_KEPT:
            del actions[next(iter(actions))]
        return action

    def later(self, phases: float, table: str, id: int, changes: Document | None) -> None:
        """After so many phases a record changes, or goes (None)."""
        self.effects.append({"at": time.time() + phases * self.phase, "table": table, "id": id, "changes": changes})

    def forget_effects(self, table: str, id: int) -> None:
        """What was to happen to that record does not: a newer command took its place."""
        self.effects = [effect for effect in self.effects if (effect["table"], effect["id"]) != (table, id)]

    def settle(self) -> None:
        """Apply what is due by now, in the order of time."""
        now = time.time()
        due = sorted((effect for effect in self.effects if effect["at"] <= now), key=lambda effect: effect["at"])
        if not due:
            return
        self.effects = [effect for effect in self.effects if effect["at"] > now]
        for effect in due:
            self._apply(self.tables[effect["table"]], effect["table"], effect["id"], effect["changes"])

    def _apply(self, table: dict[int, Document], name: str, id: int, changes: Document | None) -> None:
        record = table.get(id)
        if record is None:
            return
        if name == "servers":
            self.moved[id] = record
            # Each time it comes up is another boot, also when nobody looked in between.
            record["boots"] += (changes or {}).get("status") == "running" != record["status"]
        if changes is None:
            del table[id]
            record["status"] = GONE
        else:
            record.update(changes)

    def busy(self, kind: str) -> set[int]:
        """The ids of that kind of resource on which an action is running."""
        now = time.time()
        running = (action for action in self.records("actions") if action["ends"] > now)
        return {resource["id"] for action in running for resource in action["resources"] if resource["type"] == kind}

    def snapshot(self) -> Document:
        """Plain JSON for `restore`."""
        self.settle()
        return {
            "name": self.name,
            "tokens": self.tokens,
            "server_limit": self.server_limit,
            "rate_limit": self.bucket.limit,
            "tables": {name: list(table.values()) for name, table in self.tables.items()},
            "effects": self.effects,
            "moved": list(self.moved.values()),
            "seeded": self.seeded,
        }

    @classmethod
    def restore(cls, saved: Document, phase: float, new_id: Callable[[], int], faults: Faults) -> "Project":
        """A project as it was."""
        project = cls(saved, phase, new_id, faults)
        for name, records in saved["tables"].items():
            project.tables[name] = {record["id"]: record for record in records}
        for record in (*project.records("volumes"), *project.records("load_balancers")):  # likewise
            record.setdefault("protected", False)
        for record in project.records("load_balancers"):
            record.setdefault("targets", [])
        project.effects, project.seeded = saved["effects"], saved["seeded"]
        servers = project.tables["servers"]
        for record in servers.values():  # a state may be older than machines are
            record.setdefault("boots", 0)
            record.setdefault("machine", None)
        project.moved = {record["id"]: servers.get(record["id"], record) for record in saved.get("moved", ())}
        return project


def project_of(request: web.Request) -> Project:
    """The project the request's token belongs to."""
    project: Project = request[PROJECT]
    return project


def action_fails(request: web.Request) -> bool:
    """Whether a fault makes the action begun by this request end in an error."""
    project = project_of(request)
    hit = project.faults.hit("hetzner", project.name, request.method, request.path, ("action_failed",))
    return hit is not None


def action_document(action: Document) -> Document:
    """An action as the API shows it now."""
    now = time.time()
    running = action["ends"] > now
    duration = action["ends"] - action["started"]
    return {
        "id": action["id"],
        "command": action["command"],
        "status": "running" if running else "error" if action["error"] else "success",
        "progress": int(100 * (now - action["started"]) / duration) if running else 100,
        "started": stamp(action["started"]),
        "finished": None if running else stamp(action["ends"]),
        "resources": action["resources"],
        "error": None if running else action["error"],
    }
