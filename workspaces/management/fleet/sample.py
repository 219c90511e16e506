"""What the sample fleet consists of: organizations, projects, sixty workspaces and what is wrong with some of them.

Plain data without a database and without a simulator: both sides of the demo are made from it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import count
from typing import Literal
from uuid import NAMESPACE_DNS, UUID, uuid5

Trouble = Literal[
    "",
    "half_upgraded",
    "host_down",
    "paused",
    "gated",
    "failed_drain",
    "too_old",
    "off",
    "leaving",
    "unreachable",
    "unjoined",
    "starting",
]

# organization → project → workspaces as "name type version hosts [trouble]"
FLEET: dict[str, dict[str, tuple[str, ...]]] = {
    "Kestrel Freight": {
        "Freight Core": (
            "ledger-prod k 1.34.8 3",
            "ledger-staging k 1.35.4 2",
            "atlas-routing k 1.34.11 3 failed_drain",
            "booking-prod k 1.35.7 4",
            "freight-archive m - 2",
        ),
        "Customs": (
            "customs-gateway k 1.35.7 3 host_down",
            "customs-archive m - 2",
            "declarations k 1.34.11 3",
            "tariff-engine k 1.35.4 2",
            "customs-edge m - 2 unreachable",
        ),
        "Depot Systems": (
            "depot-north k 1.35.7 3",
            "depot-south k 1.35.7 3 half_upgraded",
            "scanner-fleet k 1.34.8 2",
            "yard-cameras m - 3",
            "depot-lab k 1.36.2 2",
        ),
        "Data Platform": (
            "lakehouse k 1.35.4 5",
            "stream-prod k 1.35.7 4",
            "stream-staging k 1.36.2 2",
            "reporting k 1.33.9 2 too_old",
            "backup-vault m - 2",
        ),
    },
    "Fjordline Energy": {
        "Grid Control": (
            "scada-bridge k 1.34.11 3 gated",
            "load-forecast k 1.35.7 3",
            "grid-twin k 1.35.4 3",
            "substation-edge m - 4",
            "alarm-router m - 2",
        ),
        "Metering": (
            "meter-intake k 1.35.7 5",
            "meter-billing k 1.34.8 3 off",
            "meter-archive m - 2",
            "tariffs k 1.35.4 2",
            "readings-api k 1.35.7 3",
        ),
        "Trading": (
            "intraday k 1.35.7 3",
            "dayahead k 1.35.7 3",
            "risk-grid m - 4",
            "trading-lab k 1.36.2 2",
            "settlement k 1.34.11 3 paused",
        ),
        "Sandbox": (
            "nina-playground k 1.36.2 1",
            "pipeline-test k 1.36.2 1",
            "old-metering k 1.34.8 2 leaving",
            "perf-lab m - 2",
            "hackday k 1.36.2 1",
        ),
    },
    "Meridian Health": {
        "Patient Records": (
            "records-prod k 1.34.8 4",
            "records-dr k 1.34.8 3",
            "consent k 1.35.4 2",
            "records-hsm m - 2",
            "referrals k 1.35.7 3",
        ),
        "Imaging": (
            "pacs-core k 1.35.4 4",
            "pacs-viewer k 1.35.7 2",
            "dicom-gateway m - 2",
            "gpu-inference m - 3 unreachable",
            "imaging-lab k 1.36.2 2",
        ),
        "Research": (
            "cohort-query k 1.35.7 3 unjoined",
            "genomics m - 4",
            "notebooks k 1.36.2 2",
            "trial-registry k 1.35.4 2",
            "ethics-portal k 1.35.7 2",
        ),
        "Shared Services": (
            "identity k 1.35.7 3",
            "observability k 1.35.4 3",
            "registry m - 2",
            "vault k 1.34.11 3",
            "sandbox-onboarding k 1.36.2 1 starting",
        ),
    },
}
COST_CENTERS = dict(
    zip((project for projects in FLEET.values() for project in projects), count(4100, 10), strict=False)
)
LOCATIONS = {"Kestrel Freight": "fsn1", "Fjordline Energy": "hel1", "Meridian Health": "nbg1"}
MANAGEMENT_CLUSTERS = ("mgmt-fsn1", "mgmt-hel1")
PROFILES = ("cpx32", "ccx23", "cpx42", "ccx33")

# version, active, upgrade_from, security, released, end of life, withdrawn
CATALOGUE: tuple[tuple[str, bool, str, bool, date, date | None, str], ...] = (
    ("1.33.9", True, "any", False, date(2026, 5, 12), date(2026, 12, 31), ""),
    ("1.34.8", True, ">=1.33.0 <1.35.0", False, date(2026, 6, 9), date(2027, 2, 28), ""),
    ("1.34.11", True, ">=1.33.0 <1.35.0", True, date(2026, 10, 13), date(2027, 2, 28), ""),
    ("1.35.4", True, ">=1.34.2 <1.36.0", False, date(2026, 6, 9), date(2027, 6, 30), ""),
    ("1.35.6", False, ">=1.34.2 <1.36.0", False, date(2026, 9, 8), date(2027, 6, 30), "Volume detach can hang."),
    ("1.35.7", True, ">=1.34.2 <1.36.0", False, date(2026, 10, 13), date(2027, 6, 30), ""),
    ("1.36.2", True, ">=1.35.4 <1.37.0", False, date(2026, 9, 8), date(2027, 10, 31), ""),
    ("1.37.1", False, ">=1.36.0 <1.38.0", False, date(2026, 11, 10), None, ""),
)

# e-mail, name, role, organization, project ("" = the whole organization)
PEOPLE: tuple[tuple[str, str, str, str, str], ...] = (
    ("admin@loopback.example", "Mara Lindqvist", "platform administrator", "", ""),
    ("ines.albrecht@kestrel.example", "Ines Albrecht", "administrator", "Kestrel Freight", ""),
    ("tomasz.wrona@kestrel.example", "Tomasz Wrona", "operator", "Kestrel Freight", "Freight Core"),
    ("vera.holm@kestrel.example", "Vera Holm", "viewer", "Kestrel Freight", ""),
    ("sigrid.dahl@fjordline.example", "Sigrid Dahl", "administrator", "Fjordline Energy", ""),
    ("jonas.weber@meridian.example", "Jonas Weber", "administrator", "Meridian Health", ""),
)


@dataclass(frozen=True)
class SampleWorkspace:
    """One workspace of the fleet; `version` is "" on bare metal."""

    organization: str
    project: str
    name: str
    type: Literal["kubernetes", "baremetal"]
    version: str
    hosts: int
    trouble: Trouble
    management_cluster: str = ""
    hours: tuple[int | None, ...] = field(default=())
    priority_hour: int = 22

    @property
    def key(self) -> UUID:
        """The id of its row: the same on every start, so that what is in the cloud can carry it."""
        return uuid5(NAMESPACE_DNS, f"{self.name}.{self.project}.{self.organization}.loopback.example")

    @property
    def namespace(self) -> str:
        """Namespace of the TenantControlPlane."""
        return f"ws-{self.name}"

    @property
    def host_names(self) -> list[str]:
        """Names of its hosts; on Kubernetes the nodes are called the same."""
        return [
            f"{self.name}-{'w' if self.type == 'kubernetes' else 'm'}{number}" for number in range(1, self.hosts + 1)
        ]

    @property
    def node_names(self) -> list[str]:
        """The hosts that have joined the cluster."""
        return self.host_names[:-1] if self.trouble == "unjoined" else self.host_names

    @property
    def location(self) -> str:
        """Where its hosts are."""
        return LOCATIONS[self.organization]

    @property
    def upgraded_from(self) -> tuple[str, int] | None:
        """For a half-upgraded cluster: the version of the hosts left behind, and how many have moved."""
        return {"half_upgraded": ("1.34.11", 1), "failed_drain": ("1.34.8", 1)}.get(self.trouble)

    def kubelet_version(self, number: int) -> str:
        """The kubelet's version on the host with that index; "" on one that has not joined."""
        if number >= len(self.node_names):
            return ""
        if self.upgraded_from and number >= self.upgraded_from[1]:
            return self.upgraded_from[0]
        return self.version


def workspaces(number: int = 60) -> list[SampleWorkspace]:
    """The first `number` of the fleet, spread over all projects; beyond sixty the names repeat with a number."""
    chance = random.Random(60)
    made: list[SampleWorkspace] = []
    for turn in count():
        for organization, project, text in _interleaved():
            if len(made) == number:
                return made
            made.append(_workspace(organization, project, text, turn, chance))
    return made


def _interleaved() -> Iterator[tuple[str, str, str]]:
    """Every project's first workspace, then every project's second, …: a short fleet still has all projects."""
    rows = [
        (organization, project, texts)
        for organization, projects in FLEET.items()
        for project, texts in projects.items()
    ]
    for place in range(5):
        yield from ((organization, project, texts[place]) for organization, project, texts in rows)


def _workspace(organization: str, project: str, text: str, turn: int, chance: random.Random) -> SampleWorkspace:
    name, kind, version, hosts, *trouble = text.split()
    night = chance.choice((0, 1, 2, 3, 4, 20, 22, 23))
    weekend: int | None = chance.choice((None, night, 5))
    return SampleWorkspace(
        organization=organization,
        project=project,
        name=f"{name}-{turn + 1}" if turn else name,
        type="kubernetes" if kind == "k" else "baremetal",
        version="" if version == "-" else version,
        hosts=int(hosts),
        trouble=trouble[0] if trouble and not turn else "",  # type: ignore[arg-type]
        management_cluster="" if kind == "m" else MANAGEMENT_CLUSTERS[organization == "Fjordline Energy"],
        hours=(night,) * 5 + (weekend, weekend),
        priority_hour=chance.choice((6, 12, 18, 21)),
    )
