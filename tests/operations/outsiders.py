"""A workspace with everything that can drift, and what people do to it past us, each over the vendor's own API.

`Scene` is the workspace as it is wanted; its methods named after what somebody does are the outside world.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import hcloud
from hcloud.server_types import ServerType
from hcloud.zones import Zone, ZoneRecord
from kubernetes import client

from tests.operations import hired, looking, seeded
from tests.operations.seeded import SETTINGS, SPACE
from tests.providers.test_dns import at
from tests.simulators.running import RunningWorld
from workspaces.models import DnsRecord, Drift, Event, Host, ProviderAccount
from workspaces.operations import connections, reconcile
from workspaces.providers.dns import Zones
from workspaces.providers.kubeconfig import connect
from workspaces.rules import labels

ZONE = "customs.example"
LIMITS = SETTINGS | {"metadata": {"name": "limits", "namespace": "platform"}}
LIMITS_PATH = "/api/v1/namespaces/platform/configmaps/limits"
# As the rows of drift are read: what makes one, and what it says.
Key = tuple[str, str, str]


class Scene:
    """A Kubernetes workspace on six cloud servers, with two seeded objects and three DNS records, looked at once."""

    def __init__(self, world: RunningWorld, name: str, *, hosts: int = 6) -> None:
        self.workspace = hired.joined(world, name, hosts=hosts)
        self.account = ProviderAccount.objects.get(name=name)
        self.cloud = hcloud.Client(
            token=self.account.token.reveal(), api_endpoint=self.account.endpoint, poll_interval=0.05
        )
        self.cloud.zones.create(name=ZONE, mode="primary")
        for record, type, value in (
            ("gw", "AAAA", "2001:db8::7"),
            ("www", "A", "203.0.113.7"),
            ("@", "TXT", "v=spf1 -all"),
        ):
            self.keep(record, type, value)
        seeded.manifest(SETTINGS, LIMITS, SPACE)
        self.look()
        assert self.told() == {}

    def keep(self, name: str, type: str, value: str) -> None:
        """A record that is kept, and there."""
        there = f'"{value}"' if type == "TXT" else value
        self.cloud.zones.create_rrset(Zone(name=ZONE), name=name, type=type, records=[ZoneRecord(value=there)])
        DnsRecord.objects.create(
            workspace=self.workspace, provider_account=self.account, zone=ZONE, name=name, type=type, value=value
        )

    def look(self) -> None:
        """Once at everything."""
        looking.look()
        reconcile.look_at_dns(self.account.pk)
        reconcile.look_at_seeding(self.workspace.pk)

    def look_until(self, open_fields: set[str], *, looks: int = 6) -> None:
        """Look again until drift of these fields is left: a change that meets one of the vendor's own waits a look."""
        for _ in range(looks):
            self.look()
            if {field for _, _, field in self.told(only_open=True)} == open_fields:
                return
            time.sleep(0.2)
        raise AssertionError(list(Drift.objects.open().values()))

    def told(self, *, only_open: bool = False) -> dict[Key, tuple[Any, ...]]:
        """Drift of the workspace: wanted, seen, actor, policy."""
        rows = Drift.objects.open() if only_open else Drift.objects.all()
        return {(row.kind, row.subject, row.field): (row.wanted, row.seen, row.actor, row.policy) for row in rows}

    def drift(self, field: str) -> Drift:
        """The open drift of that field."""
        return Drift.objects.open().select_related("workspace__project").get(field=field)

    def acts(self) -> list[str]:
        """What the platform says it has set back or applied since the first look, oldest first."""
        acts = Event.objects.acts().filter(action__in=("drift.repaired", "seeding.set_back", "seeding.applied"))
        return list(acts.order_by("id").values_list("summary", flat=True))[1:]

    # --- What people do -----------------------------------------------------------------------------------------------
    def edit_plane(self, change: dict[str, Any], by: str) -> None:
        """Somebody changes the TenantControlPlane."""
        looking.edit(self.workspace, change, by)

    def scale(self, replicas: int) -> None:
        """kubectl edit on the replicas of the control plane."""
        self.edit_plane({"spec": {"controlPlane": {"deployment": {"replicas": replicas}}}}, "kubectl-edit")

    def cordon(self, number: int) -> None:
        """kubectl cordon on a node."""
        with connect(connections.tenant_kubeconfig(self.workspace)) as api:
            change = {"spec": {"unschedulable": True}}
            client.CoreV1Api(api).patch_node(self.host(number), change, field_manager="kubectl-cordon")

    def server(self, number: int) -> Any:
        """A server as the SDK has it, found by the id that is kept."""
        host = Host.objects.get(workspace=self.workspace, name=self.host(number))
        return self.cloud.servers.get_by_id(host.provider_id)

    def host(self, number: int) -> str:
        """The name of a host."""
        return f"{self.workspace.name}-w{number}"

    def switch_off(self, number: int) -> None:
        """Somebody cuts the power of a server."""
        self.server(number).power_off().wait_until_finished()

    def change_type(self, number: int, server_type: str) -> None:
        """Somebody makes it another type, which starts it again."""
        self.switch_off(number)
        kind = ServerType(name=server_type)
        self.server(number).change_type(kind, upgrade_disk=False).wait_until_finished()
        self.wait_until_running(number)

    def wait_until_running(self, number: int) -> None:
        """Until a server is there again."""
        patiently(lambda: self.server(number).status == "running")

    def rename(self, number: int, name: str) -> None:
        """Somebody gives a server another name."""
        self.server(number).update(name=name)

    def label(self, number: int, given: dict[str, str]) -> None:
        """Somebody replaces the labels of a server."""
        self.server(number).update(labels=given)

    def delete_server(self, number: int) -> None:
        """Somebody deletes a server."""
        self.server(number).delete().wait_until_finished()

    def set_records(self, name: str, type: str, *values: str) -> None:
        """Somebody gives a record set other values."""
        self.cloud.zones.set_rrset_records(at(name, type), [ZoneRecord(value=value) for value in values])

    def delete_records(self, name: str, type: str) -> None:
        """Somebody deletes a record set."""
        self.cloud.zones.delete_rrset(at(name, type))

    # --- What the vendors say -----------------------------------------------------------------------------------------
    def plane(self) -> tuple[str, int, bool]:
        """Version, replicas, and whether it is paused."""
        seen = looking.management_api(self.workspace).get_namespaced_custom_object(
            **looking.CONTROL_PLANES, namespace=self.workspace.namespace, name=self.workspace.control_plane
        )
        paused = "kamaji.clastix.io/paused" in seen["metadata"].get("annotations", {})
        return seen["spec"]["kubernetes"]["version"], seen["spec"]["controlPlane"]["deployment"]["replicas"], paused

    def servers(self) -> dict[str, tuple[str, str, bool]]:
        """Of each server by its name: type, status, and whether it has our label."""
        ours = str(self.workspace.pk)
        return {
            one.name: (one.server_type, one.status, one.labels.get(labels.WORKSPACE) == ours)
            for one in connections.cloud(self.account).servers()
        }

    def closed(self) -> list[str]:
        """Nodes that take no pods."""
        with connections.tenant(self.workspace) as cluster:
            return sorted(node.name for node in cluster.nodes() if node.unschedulable)

    def records(self) -> dict[str, tuple[str, ...]]:
        """Values of the record sets that are kept, by "name/type"."""
        zones = Zones(connections.cloud(self.account))
        sets = zones.record_sets(zones.zones()[ZONE])
        return {f"{one.name}/{one.type}": one.values for one in sets if one.type not in ("SOA", "NS")}

    def objects(self) -> dict[str, Any]:
        """The data of the seeded objects; None where one is not there."""
        found = {"settings": seeded.get(self.workspace), "limits": seeded.get(self.workspace, LIMITS_PATH)}
        return {name: one and one["data"] for name, one in found.items()}

    def world(self) -> dict[str, Any]:
        """All of it."""
        return {
            "plane": self.plane(),
            "servers": self.servers(),
            "closed": self.closed(),
            "records": self.records(),
            "objects": self.objects(),
        }


def patiently(holds: Callable[[], bool], *, seconds: float = 20) -> None:
    """Wait until the vendor says so."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
