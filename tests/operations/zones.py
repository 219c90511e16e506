"""DNS zones in a simulated cloud project: records kept there for workspaces, somebody else who changes them, looks.

`between` stands between us and the cloud, to lose answers on their way, to send a request twice, to let it fail.
"""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from django.utils import timezone
from hcloud.zones import Zone as Subject
from hcloud.zones import ZoneRecord

from tests import cast
from tests.providers.test_dns import Dns, at
from workspaces.models import Actor, DnsRecord, Drift, Event, ProviderAccount, Workspace
from workspaces.operations import dns_records
from workspaces.providers.dns import RecordSet

ZONE = "customs.example"
VALUE = "2001:db8::7"
OURS = RecordSet("gw", "AAAA", (VALUE,))
ALICE = Actor("user", "Alice Ahrens")


class Zoned(Dns):
    """A project with zones, its account, and records of workspaces in it."""

    def __init__(self, world: Any, *zones: dict[str, Any], **described: Any) -> None:
        super().__init__(world, *(zones or [{"name": ZONE}]), **described)
        organization = cast.organization("Kestrel Freight")
        self.account = ProviderAccount.objects.create(
            organization=organization, name=self.name, token=self.token, endpoint=self.url
        )

    def keep(self, workspace: Workspace, name: str = "gw", *, new: bool = False, **fields: Any) -> DnsRecord:
        """A record that is kept for the workspace and was seen as wanted before, or is new; in the zone it is not."""
        values = {"zone": ZONE, "type": "AAAA", "value": VALUE} | fields
        if not new:
            values |= {"observed_value": values["value"], "observed_at": cast.NOW}
        return DnsRecord.objects.create(workspace=workspace, provider_account=self.account, name=name, **values)

    def there(self, name: str = "gw", type: str = "AAAA", *values: str, ttl: int | None = None) -> None:
        """Somebody makes the record set."""
        zone = Subject(name=ZONE)
        records = [ZoneRecord(value=value) for value in values or [VALUE]]
        self.person.zones.create_rrset(zone, name=name, type=type, ttl=ttl, records=records)

    def change(self, *values: str, name: str = "gw", type: str = "AAAA") -> None:
        """Somebody gives the record set other values."""
        self.person.zones.set_rrset_records(at(name, type), [ZoneRecord(value=value) for value in values])

    def delete(self, name: str = "gw", type: str = "AAAA") -> None:
        """Somebody deletes the record set."""
        self.person.zones.delete_rrset(at(name, type))

    def protect(self, *, change: bool, name: str = "gw", type: str = "AAAA") -> None:
        """Somebody protects the record set against changes, or lifts that."""
        self.person.zones.change_rrset_protection(at(name, type), change=change)

    def look(self, now: datetime | None = None) -> None:
        """One look at the zones of the account."""
        dns_records.look(ProviderAccount.objects.get(pk=self.account.pk), now or timezone.now())

    def calls(self, method: str = "*", path: str = "*") -> list[str]:
        """The requests of the project that arrived."""
        return [entry["path"] for entry in self.world.journal(target=self.name, method=method, path=path)]


def told(*fields: str, only_open: bool = True) -> list[tuple[Any, ...]]:
    """Every drift as (these fields), oldest first."""
    rows = Drift.objects.open() if only_open else Drift.objects.all()
    return list(rows.order_by("since", "field", "ref").values_list(*(fields or ("field", "wanted", "seen", "policy"))))


def acts() -> list[str]:
    """What the platform says it did, oldest first."""
    mine = Event.objects.acts().filter(action__in=("drift.repaired", "dns_record.made")).order_by("id")
    return list(mine.values_list("summary", flat=True))


# An action that was begun and has changed nothing.
FAILED: dict[str, Any] = {
    "id": 7,
    "command": "set_rrset_records",
    "status": "error",
    "progress": 100,
    "started": "2026-11-24T14:32:00Z",
    "finished": "2026-11-24T14:32:01Z",
    "resources": [],
    "error": {"code": "action_failed", "message": "Action failed"},
}


class _Between(BaseHTTPRequestHandler):
    """Passes requests on; what changes something meets the misfortune."""

    target: ClassVar[str]
    misfortune: ClassVar[str]
    passed: ClassVar[list[str]]

    def do_GET(self) -> None:
        if self.misfortune == "failed" and self.path.startswith("/v1/actions"):
            self._answer(200, json.dumps({"actions": [FAILED]}).encode())
            return
        self._answer(*self._ask())

    def do_POST(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.passed.append(self.path)
        if self.misfortune == "failed":
            self._answer(201, json.dumps({"action": FAILED | {"status": "running", "error": None}}).encode())
            return
        answer = self._ask()
        if self.misfortune == "lost":
            self.close_connection = True
            return
        self._answer(*self._ask()) if self.misfortune == "twice" else self._answer(*answer)

    def _ask(self) -> tuple[int, bytes]:
        headers = {"Authorization": self.headers["Authorization"], "Content-Type": "application/json"}
        body = getattr(self, "body", None)
        request = urllib.request.Request(f"{self.target}{self.path}", body, headers, method=self.command)
        try:
            with urllib.request.urlopen(request, timeout=5) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextmanager
def between(zoned: Zoned, misfortune: str) -> Iterator[Sequence[str]]:
    """Within the block every change meets it, and its path is in what this gives.

    "lost": it is done, and no answer arrives. "twice": it is sent twice. "failed": it is accepted, and then fails.
    """
    origin = zoned.url.removesuffix("/v1")
    values: dict[str, Any] = {"target": origin, "misfortune": misfortune, "passed": []}
    handler = type("Between", (_Between,), values)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        serving.start()
        zoned.account.endpoint = f"http://127.0.0.1:{server.server_port}/v1"
        zoned.account.save()
        try:
            yield values["passed"]
        finally:
            server.shutdown()
            serving.join()
            zoned.account.endpoint = zoned.url
            zoned.account.save()
