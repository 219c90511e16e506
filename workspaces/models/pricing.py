"""Compute profiles with list prices per location, and agreements that override them. Net amounts, never floats."""

from __future__ import annotations

import uuid
from datetime import date

from django.db import models
from django.db.models import F, Q

COMPONENTS = [
    ("setup", "Setup"),
    ("hourly", "Hourly"),
    ("monthly", "Monthly cap"),
    ("traffic", "Traffic per TB"),
    ("backup", "Backup"),
    ("primary_ip", "Primary IPv4"),
]


class ComputeProfile(models.Model):
    """A server type of one provider account, offered under our own id."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    provider_account = models.ForeignKey("workspaces.ProviderAccount", models.CASCADE, related_name="profiles")
    name = models.CharField(max_length=40)
    family = models.CharField(max_length=20, blank=True)
    cores = models.PositiveSmallIntegerField()
    memory_gb = models.DecimalField(max_digits=8, decimal_places=2)
    disk_gb = models.PositiveIntegerField()
    architecture = models.CharField(max_length=10)
    cpu_type = models.CharField(max_length=10, blank=True)
    storage_type = models.CharField(max_length=10, blank=True)
    active = models.BooleanField(default=True, help_text="Whether it is offered for new hosts.")
    withdrawn_at = models.DateTimeField(
        null=True, blank=True, help_text="When the provider was seen to list it no more. It is inactive then."
    )
    synced_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("name",)
        constraints = [models.UniqueConstraint(fields=["provider_account", "name"], name="profile_once_per_account")]

    def __str__(self) -> str:
        return self.name


class ProfileLocation(models.Model):
    """A profile at one location: whether it can be ordered there, as last told, and its list prices."""

    profile = models.ForeignKey(ComputeProfile, models.CASCADE, related_name="locations")
    location = models.CharField(max_length=40)
    available = models.BooleanField(null=True, help_text="Empty: the provider could not be asked.")
    checked_at = models.DateTimeField(null=True, blank=True)
    recommended = models.BooleanField(default=False, help_text="The provider's hint.")
    announced_at = models.DateTimeField(null=True, blank=True, help_text="When its end at this location was announced.")
    unavailable_after = models.DateTimeField(null=True, blank=True)
    # Net list prices. The provider asks nothing for setting up; agreements may.
    currency = models.CharField(max_length=3)
    setup = models.DecimalField(max_digits=20, decimal_places=10, default=0)
    hourly = models.DecimalField(max_digits=20, decimal_places=10)
    monthly = models.DecimalField(max_digits=20, decimal_places=10)
    traffic = models.DecimalField(max_digits=20, decimal_places=10, default=0, help_text="Per TB beyond the included.")
    included_traffic = models.BigIntegerField(default=0, help_text="Bytes a month.")
    backup = models.DecimalField(
        max_digits=20, decimal_places=10, null=True, blank=True, help_text="A month, where it is switched on."
    )
    primary_ip = models.DecimalField(
        max_digits=20, decimal_places=10, null=True, blank=True, help_text="A public IPv4 address, a month."
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["profile", "location"], name="profile_location_once")]

    def __str__(self) -> str:
        return f"{self.profile} in {self.location}"


class AgreementQuerySet(models.QuerySet["BillingAgreement"]):
    """Agreements by when they hold."""

    def active_on(self, day: date) -> AgreementQuerySet:
        """Valid on `day` (UTC): from the first day on, and no longer on the last."""
        return self.filter(Q(valid_until=None) | Q(valid_until__gt=day), valid_from__lte=day)


class BillingAgreement(models.Model):
    """An organization's contract. Its validity is half-open: `valid_from` is in it, `valid_until` is not."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey("workspaces.Organization", models.PROTECT, related_name="agreements")
    number = models.CharField(max_length=40, unique=True)
    valid_from = models.DateField()
    valid_until = models.DateField(null=True, blank=True, help_text="First day on which it no longer holds.")
    currency = models.CharField(max_length=3, default="EUR")
    objects = AgreementQuerySet.as_manager()

    class Meta:
        ordering = ("-valid_from",)
        constraints = [
            models.CheckConstraint(
                condition=Q(valid_until=None) | Q(valid_until__gt=F("valid_from")), name="agreement_validity_half_open"
            ),
        ]

    def __str__(self) -> str:
        return self.number


class PriceOverride(models.Model):
    """A clause of an agreement: for matching profiles, a component costs a fixed amount or a percentage of list."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    agreement = models.ForeignKey(BillingAgreement, models.CASCADE, related_name="overrides")
    clause = models.CharField(max_length=20, help_text="Number of the clause in the contract.")
    component = models.CharField(max_length=20, choices=COMPONENTS)
    profile = models.CharField(max_length=40, blank=True, help_text="Exact profile name; empty: any.")
    family = models.CharField(max_length=40, blank=True, help_text="Pattern such as ccx*; empty: any.")
    location = models.CharField(max_length=40, blank=True, help_text="Empty: everywhere.")
    kind = models.CharField(max_length=10, choices=[("fixed", "Fixed amount"), ("percent", "Percent of list")])
    amount = models.DecimalField(max_digits=20, decimal_places=10)
    minimum = models.DecimalField(
        max_digits=20, decimal_places=10, null=True, blank=True, help_text="Never less than this; empty: no minimum."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["agreement", "clause"], name="clause_once_per_agreement"),
            models.CheckConstraint(condition=Q(amount__gte=0), name="override_not_negative"),
            models.CheckConstraint(condition=Q(minimum=None) | Q(minimum__gte=0), name="minimum_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.agreement} {self.clause}"
