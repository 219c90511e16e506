"""Seeding: the catalogue of manifests that fitting clusters carry, and how far each has come in each workspace."""

from __future__ import annotations

import uuid
from typing import Any

import yaml
from django.core.exceptions import ValidationError
from django.db import models

from workspaces.models.tenancy import Organization
from workspaces.models.workspace import Workspace
from workspaces.rules import seeding


class SeedManifest(models.Model):
    """Kubernetes objects (one YAML text, one or more documents) and the rule that says which clusters carry them."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=63, unique=True)
    description = models.CharField(max_length=200, blank=True)
    content = models.TextField(help_text="YAML, one or more documents. No Secrets: this text is not encrypted.")
    revision = models.PositiveIntegerField(default=1, editable=False, help_text="Counts the changes of the content.")
    phase = models.CharField(
        max_length=20,
        choices=seeding.PHASES,
        default="control_plane",
        help_text="When a cluster gets it: as soon as its API answers, or once a host is ready.",
    )
    versions = models.CharField(
        max_length=100, blank=True, help_text="Kubernetes versions, such as >=1.34.0 <1.36.0. Empty: all."
    )
    organization = models.ForeignKey(
        Organization, models.PROTECT, null=True, blank=True, help_text="Empty: clusters of all organizations."
    )
    protected = models.BooleanField(
        default=False, help_text="What differs cannot be accepted, and the manifest cannot be withdrawn or deleted."
    )
    gates = models.BooleanField(default=False, help_text="A workspace is gated until it has converged.")
    active = models.BooleanField(default=True, help_text="A withdrawn manifest is applied no more; objects stay.")
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def documents(self) -> list[Any]:
        """The objects, as parsed. Raises yaml.YAMLError for a text that `clean` would refuse."""
        return [document for document in yaml.safe_load_all(self.content) if document is not None]

    def clean(self) -> None:
        """Refuse a text that no API server would take, with the place and the reason."""
        try:
            wrong = seeding.faults_of(self.documents())
        except yaml.YAMLError as error:
            wrong = f"This is not YAML: {error}"
        if wrong:
            raise ValidationError({"content": wrong})
        if wrong := seeding.fault_of_versions(self.versions):
            raise ValidationError({"versions": wrong})
        if self.protected and not self.active:
            raise ValidationError(
                {"active": "A protected manifest cannot be withdrawn: first take the protection off."}
            )


class Seed(models.Model):
    """One object of a manifest in one workspace, as last seen or applied."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="seeds")
    manifest = models.ForeignKey(SeedManifest, models.PROTECT, related_name="seeds")
    object = models.CharField(max_length=300, help_text="apiVersion kind namespace/name")
    # Fields that a person has left to somebody else: they are applied no more.
    left = models.JSONField(default=list, blank=True, help_text="Fields left to others, by a person's decision.")
    # Observed
    revision = models.PositiveIntegerField(default=0, help_text="Of the manifest, as last applied; 0: never.")
    state = models.CharField(max_length=20, choices=seeding.STATES, default="pending")
    message = models.TextField(blank=True)
    conflicts = models.JSONField(default=list, blank=True, help_text="field, manager: who holds what we want to set.")
    state_since = models.DateTimeField(null=True, blank=True)
    applied_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("manifest__name", "object")
        constraints = [models.UniqueConstraint(fields=["workspace", "manifest", "object"], name="seed_once")]

    def __str__(self) -> str:
        return self.object
