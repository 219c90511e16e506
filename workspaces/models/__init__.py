"""State, and what can be done in one transaction. One module a noun."""

from workspaces.models.advisory import Advisory
from workspaces.models.api_key import ApiKey
from workspaces.models.audit import ANONYMOUS, PLATFORM, Actor, acting
from workspaces.models.calendar_feed import CalendarFeed
from workspaces.models.decision import Decision, Tick
from workspaces.models.deletion import Deletion, DeletionPolicy, Inventory
from workspaces.models.drift import Drift
from workspaces.models.event import Event
from workspaces.models.hold import Hold
from workspaces.models.infrastructure import (
    DnsRecord,
    Host,
    Integration,
    LeftServer,
    ManagementCluster,
    ProviderAccount,
    SshKey,
)
from workspaces.models.invitation import Invitation
from workspaces.models.kubeconfig import Kubeconfig
from workspaces.models.kubernetes import KubernetesVersion, catalogue
from workspaces.models.look import Look
from workspaces.models.maintenance import MaintenancePlan
from workspaces.models.operation import Operation, RunWindow
from workspaces.models.package_update import PackageUpdate
from workspaces.models.preflight import Preflight
from workspaces.models.pricing import BillingAgreement, ComputeProfile, PriceOverride, ProfileLocation
from workspaces.models.queue_sample import QueueSample
from workspaces.models.rollout import Rollout, RolloutMember
from workspaces.models.sealed import Sealed
from workspaces.models.seeding import Seed, SeedManifest
from workspaces.models.step import LogLine, Step, StepPlan
from workspaces.models.tenancy import Account, Membership, Organization, Project
from workspaces.models.transfer import Transfer
from workspaces.models.workspace import Workspace

__all__ = [
    "ANONYMOUS",
    "PLATFORM",
    "Account",
    "Actor",
    "Advisory",
    "ApiKey",
    "BillingAgreement",
    "CalendarFeed",
    "ComputeProfile",
    "Decision",
    "Deletion",
    "DeletionPolicy",
    "DnsRecord",
    "Drift",
    "Event",
    "Hold",
    "Host",
    "Integration",
    "Inventory",
    "Invitation",
    "Kubeconfig",
    "KubernetesVersion",
    "LeftServer",
    "LogLine",
    "Look",
    "MaintenancePlan",
    "ManagementCluster",
    "Membership",
    "Operation",
    "Organization",
    "PackageUpdate",
    "Preflight",
    "PriceOverride",
    "ProfileLocation",
    "Project",
    "ProviderAccount",
    "QueueSample",
    "Rollout",
    "RolloutMember",
    "RunWindow",
    "Sealed",
    "Seed",
    "SeedManifest",
    "SshKey",
    "Step",
    "StepPlan",
    "Tick",
    "Transfer",
    "Workspace",
    "acting",
    "catalogue",
]
