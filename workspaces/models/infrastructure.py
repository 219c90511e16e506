"""What workspaces run on: management clusters, cloud accounts, hosts, and the records that belong to a workspace."""

import uuid

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q

from workspaces.models.sealed import SealedField


class ManagementCluster(models.Model):
    """An operator-run Kubernetes cluster on which Kamaji hosts tenant control planes."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=63, unique=True)
    location = models.CharField(max_length=40, blank=True)
    kubeconfig = SealedField(help_text="Server, CA and a token or a client certificate; nothing that runs a command.")
    max_version = models.CharField(
        max_length=10,
        validators=[RegexValidator(r"^\d+\.\d+$", "Enter major.minor, such as 1.36.")],
        help_text="Highest tenant minor this Kamaji supports; no API tells it.",
    )
    version = models.CharField(max_length=30, blank=True, help_text="Observed Kubernetes version.")
    credential_ends_at = models.DateTimeField(
        null=True, blank=True, help_text="When the client certificate of the kubeconfig ends, as seen. Empty: a token."
    )
    observed_at = models.DateTimeField(null=True, blank=True)
    error_code = models.CharField(max_length=30, blank=True)
    error_message = models.TextField(blank=True)
    error_since = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class ProviderAccount(models.Model):
    """A stored cloud credential: one token of one Hetzner Cloud project."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey("workspaces.Organization", models.PROTECT, related_name="provider_accounts")
    name = models.CharField(max_length=63)
    kind = models.CharField(max_length=20, default="hetzner", choices=[("hetzner", "Hetzner Cloud")])
    token = SealedField()
    endpoint = models.URLField(blank=True, help_text="Empty: the vendor's own address.")
    # How hosts are ordered here
    image = models.CharField(max_length=63, default="debian-13", help_text="System image of new servers.")
    ssh_key = models.ForeignKey(
        "workspaces.SshKey", models.PROTECT, null=True, blank=True, help_text="Key with which new servers are reached."
    )
    connection = models.JSONField(
        default=dict, blank=True, help_text="Ansible connection variables of new servers besides their address."
    )
    server_limit = models.PositiveIntegerField(
        null=True, blank=True, help_text="Servers the provider allows in this project; no API tells it. Empty: unknown."
    )
    # Observed
    profiles_checked_at = models.DateTimeField(
        null=True, blank=True, help_text="When server types, prices and availability were last told."
    )
    profiles_error_code = models.CharField(max_length=30, blank=True)
    profiles_error = models.TextField(blank=True, help_text="Why they could not be asked; availability is unknown.")
    observed_at = models.DateTimeField(null=True, blank=True)
    error_code = models.CharField(max_length=30, blank=True)
    error_message = models.TextField(blank=True)
    error_since = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("name",)
        constraints = [models.UniqueConstraint(fields=["organization", "name"], name="provider_account_name_once")]

    def __str__(self) -> str:
        return self.name


class SshKey(models.Model):
    """A private key with which workers reach hosts."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=63, unique=True)
    private_key = SealedField()

    class Meta:
        verbose_name = "SSH key"
        verbose_name_plural = "SSH keys"

    def __str__(self) -> str:
        return self.name


class Host(models.Model):
    """A machine of a workspace: a Hetzner Cloud server or an existing machine, perhaps joined as a worker node."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey("workspaces.Workspace", models.PROTECT, related_name="hosts")
    name = models.CharField(max_length=63)
    provider_account = models.ForeignKey(ProviderAccount, models.PROTECT, null=True, blank=True, related_name="hosts")
    provider_id = models.BigIntegerField(null=True, blank=True, help_text="The vendor's id of the server.")
    profile = models.CharField(max_length=40, blank=True, help_text="Server type or machine model.")
    location = models.CharField(max_length=40, blank=True)
    node_name = models.CharField(max_length=63, blank=True, help_text="Empty: not joined to the cluster.")
    ansible = models.JSONField(default=dict, help_text="Ansible connection variables, without secrets.")
    known_hosts = models.TextField(blank=True, help_text="Pinned host keys in known_hosts form.")
    ssh_key = models.ForeignKey(SshKey, models.PROTECT, null=True, blank=True)
    # What its server is to be: server_type, name. Taken from the first look, then from what is ordered or accepted.
    wanted = models.JSONField(default=dict, blank=True, help_text="What its server is to be; empty: as first seen.")
    # Observed
    provider_status = models.CharField(max_length=20, blank=True)
    kubelet_version = models.CharField(max_length=30, blank=True)
    ready = models.BooleanField(null=True, blank=True, help_text="Empty: not known.")
    ready_message = models.TextField(blank=True)
    unschedulable = models.BooleanField(default=False)
    os_name = models.CharField(max_length=80, blank=True)
    disk_gb = models.PositiveIntegerField(
        null=True, blank=True, help_text="Of the server's own disk, which never shrinks. Empty: not known."
    )
    boot_id = models.CharField(max_length=64, blank=True)
    updated_at = models.DateTimeField(null=True, blank=True, help_text="When package updates were last installed.")
    held_back = models.JSONField(default=list, blank=True, help_text="Packages on hold that have a newer version.")
    restart_needed = models.BooleanField(null=True, blank=True, help_text="Empty: not known.")
    observed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("name",)
        constraints = [
            models.UniqueConstraint(fields=["workspace", "name"], name="host_name_once_per_workspace"),
            models.UniqueConstraint(
                fields=["provider_account", "provider_id"],
                name="host_once_per_server",
                condition=Q(provider_id__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def manageable(self) -> bool:
        """Whether workers have what they need to reach it over SSH."""
        return bool(self.ansible.get("ansible_host") or self.ansible.get("ansible_connection") == "local")


class LeftServer(models.Model):
    """A server that the provider lists under our labels and that belongs to no host: it costs money and nobody uses it.

    Written by the look at a provider account; gone when the provider lists it no more, or a host has it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    provider_account = models.ForeignKey(ProviderAccount, models.CASCADE, related_name="left_servers")
    provider_id = models.BigIntegerField()
    name = models.CharField(max_length=63)
    profile = models.CharField(max_length=40)
    location = models.CharField(max_length=40)
    status = models.CharField(max_length=20, blank=True)
    labels = models.JSONField(default=dict)
    created_at = models.DateTimeField(help_text="By the provider.")
    first_seen_at = models.DateTimeField()
    observed_at = models.DateTimeField()

    class Meta:
        ordering = ("name",)
        constraints = [
            models.UniqueConstraint(fields=["provider_account", "provider_id"], name="left_server_once"),
        ]

    def __str__(self) -> str:
        return self.name


class DnsRecord(models.Model):
    """A DNS record kept for a workspace."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey("workspaces.Workspace", models.PROTECT, related_name="dns_records")
    provider_account = models.ForeignKey(ProviderAccount, models.PROTECT, related_name="dns_records")
    zone = models.CharField(max_length=255)
    name = models.CharField(max_length=255)
    type = models.CharField(max_length=10, default="A")
    value = models.CharField(max_length=1024)
    ttl = models.PositiveIntegerField(null=True, blank=True, help_text="Seconds. Empty: as the zone says.")
    observed_value = models.CharField(max_length=1024, blank=True)
    observed_at = models.DateTimeField(null=True, blank=True, help_text="When it was last seen to change.")

    class Meta:
        verbose_name = "DNS record"
        verbose_name_plural = "DNS records"
        constraints = [models.UniqueConstraint(fields=["zone", "name", "type"], name="dns_record_once")]

    def __str__(self) -> str:
        return f"{self.name}.{self.zone} {self.type}"


class Integration(models.Model):
    """An outside service connected to a workspace, such as monitoring or backup."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey("workspaces.Workspace", models.PROTECT, related_name="integrations")
    kind = models.CharField(max_length=40)
    name = models.CharField(max_length=100)
    settings = models.JSONField(default=dict, blank=True)
    secret = SealedField(blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "kind", "name"], name="integration_once")]

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"
