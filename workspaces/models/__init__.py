"""State, and what can be done in one transaction. One module a noun."""

from workspaces.models.api_key import ApiKey
from workspaces.models.event import PLATFORM, Actor, Event
from workspaces.models.infrastructure import (
    DnsRecord,
    Host,
    Integration,
    ManagementCluster,
    ProviderAccount,
    SshKey,
)
from workspaces.models.kubernetes import KubernetesVersion, catalogue
from workspaces.models.maintenance import Advisory, Decision, Hold, MaintenancePlan
from workspaces.models.operation import LogLine, Operation, Step, StepPlan
from workspaces.models.pricing import BillingAgreement, ComputeProfile, PriceOverride, ProfileLocation
from workspaces.models.sealed import Sealed
from workspaces.models.tenancy import Account, Membership, Organization, Project
from workspaces.models.workspace import Workspace

__all__ = [
    "PLATFORM",
    "Account",
    "Actor",
    "Advisory",
    "ApiKey",
    "BillingAgreement",
    "ComputeProfile",
    "Decision",
    "DnsRecord",
    "Event",
    "Hold",
    "Host",
    "Integration",
    "KubernetesVersion",
    "LogLine",
    "MaintenancePlan",
    "ManagementCluster",
    "Membership",
    "Operation",
    "Organization",
    "PriceOverride",
    "ProfileLocation",
    "Project",
    "ProviderAccount",
    "Sealed",
    "SshKey",
    "Step",
    "StepPlan",
    "Workspace",
    "catalogue",
]
