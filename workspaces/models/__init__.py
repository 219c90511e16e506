"""State, and what can be done in one transaction. One module a noun."""

from workspaces.models.api_key import ApiKey
from workspaces.models.audit import ANONYMOUS, PLATFORM, Actor, acting
from workspaces.models.event import Event
from workspaces.models.infrastructure import (
    DnsRecord,
    Host,
    Integration,
    ManagementCluster,
    ProviderAccount,
    SshKey,
)
from workspaces.models.invitation import Invitation
from workspaces.models.kubeconfig import Kubeconfig
from workspaces.models.kubernetes import KubernetesVersion, catalogue
from workspaces.models.maintenance import Advisory, Decision, Hold, MaintenancePlan
from workspaces.models.operation import LogLine, Operation, Step, StepPlan
from workspaces.models.pricing import BillingAgreement, ComputeProfile, PriceOverride, ProfileLocation
from workspaces.models.sealed import Sealed
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
    "ComputeProfile",
    "Decision",
    "DnsRecord",
    "Event",
    "Hold",
    "Host",
    "Integration",
    "Invitation",
    "Kubeconfig",
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
    "Transfer",
    "Workspace",
    "acting",
    "catalogue",
]
