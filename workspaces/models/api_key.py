"""Keys for scripts: shown once, stored as a hash, never with more rights than their maker has."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from datetime import datetime

from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from workspaces.models import audit
from workspaces.models.audit import Actor
from workspaces.models.event import Event
from workspaces.models.members import Scope
from workspaces.models.tenancy import ROLES, Account, Organization, OrganizationQuerySet, Project, ProjectQuerySet
from workspaces.rules import members, permissions


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    """Keys by whether they open anything."""

    def usable(self, now: datetime) -> ApiKeyQuerySet:
        """Neither revoked nor expired."""
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None)

    def ended(self, now: datetime) -> ApiKeyQuerySet:
        """All the others."""
        return self.filter(Q(expires_at__lte=now) | Q(revoked_at__isnull=False))


class ApiKey(models.Model):
    """A bearer key with a role on an organization, or narrowed to one of its projects."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=12, unique=True, editable=False)
    # The secret has 256 bits of entropy, so a plain hash is enough and keeps a request cheap.
    digest = models.CharField(max_length=64, editable=False)
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="api_keys")
    project = models.ForeignKey(Project, models.CASCADE, null=True, blank=True, related_name="api_keys")
    role = models.CharField(max_length=20, choices=ROLES)
    created_by = models.ForeignKey(Account, models.PROTECT, related_name="api_keys")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = "API key"
        verbose_name_plural = "API keys"
        ordering = ("name",)
        constraints = [
            models.CheckConstraint(condition=Q(role__in=[role for role, _ in ROLES]), name="api_key_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix})"

    # Never more than its organization or project.
    is_superuser = False

    def permitted(self, projects: ProjectQuerySet, key: str) -> ProjectQuerySet:
        """Those of `projects` on which this key holds the permission `key`."""
        if not permissions.allows(self.role, key):
            return projects.none()
        mine = projects.filter(organization=self.organization_id)
        return mine.filter(pk=self.project_id) if self.project_id else mine

    def allows(self, key: str, project: Project) -> bool:
        """Whether this key holds the permission `key` on `project` (no query)."""
        covered = project.pk == self.project_id if self.project_id else project.organization_id == self.organization_id
        return covered and permissions.allows(self.role, key)

    def permitted_organizations(self, organizations: OrganizationQuerySet, key: str) -> OrganizationQuerySet:
        """Its own organization, unless it is narrowed to a project or its role lacks `key`."""
        if self.project_id or not permissions.allows(self.role, key):
            return organizations.none()
        return organizations.filter(pk=self.organization_id)

    @classmethod
    def issue(
        cls,
        *,
        name: str,
        organization: Organization,
        project: Project | None = None,
        role: str,
        created_by: Account,
        **fields: object,
    ) -> tuple[ApiKey, str]:
        """Store a new key; returns it with its text, which cannot be had again.

        Raises PermissionDenied when the role is higher than its maker's own there.
        """
        scope = Scope(organization, project)
        if refused := members.may_grant(scope.roles_of(created_by), role):
            raise PermissionDenied(refused.message)
        prefix, secret = f"lb_{secrets.token_hex(4)}", secrets.token_urlsafe(32)
        with transaction.atomic():
            key = cls.objects.create(
                name=name,
                prefix=prefix,
                digest=_digest(secret),
                organization=organization,
                project=project,
                role=role,
                created_by=created_by,
                **fields,
            )
            now = audit.current()
            by = now.actor if now else Actor.of(created_by)
            Event.record(
                by,
                "api_key.created",
                summary=f"Made the API key {key}: {role} of {scope}",
                organization=organization,
                project=project,
            )
        return key, f"{prefix}_{secret}"

    def revoke(self, by: Actor) -> bool:
        """End the key for good, with the act that tells it; False when it has been revoked before."""
        with transaction.atomic():
            revoked = ApiKey.objects.filter(pk=self.pk, revoked_at=None).update(revoked_at=timezone.now())
            if revoked:
                Event.record(
                    by,
                    "api_key.revoked",
                    summary=f"Revoked the API key {self}",
                    organization=self.organization,
                    project=self.project,
                )
        return bool(revoked)

    @classmethod
    def holding(cls, text: str) -> ApiKey | None:
        """The valid key that `text` is, or None: unknown, revoked and expired look the same."""
        prefix, secret = text[:11], text[12:]
        usable = cls.objects.usable(timezone.now()).select_related("organization", "project", "created_by")
        key = usable.filter(prefix=prefix).first()
        return key if key and secrets.compare_digest(key.digest, _digest(secret)) else None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
