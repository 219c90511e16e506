"""Keys for scripts: shown once, stored as a hash, never with more rights than their maker has."""

from __future__ import annotations

import hashlib
import secrets
import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone

from workspaces.models.tenancy import ROLES, Account, Organization, Project, ProjectQuerySet
from workspaces.rules import permissions


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

    class Meta:
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

    @classmethod
    def issue(
        cls, *, name: str, organization: Organization, role: str, created_by: Account, **fields: object
    ) -> tuple[ApiKey, str]:
        """Store a new key; returns it with its text, which cannot be had again."""
        prefix, secret = f"lb_{secrets.token_hex(4)}", secrets.token_urlsafe(32)
        key = cls.objects.create(
            name=name,
            prefix=prefix,
            digest=_digest(secret),
            organization=organization,
            role=role,
            created_by=created_by,
            **fields,
        )
        return key, f"{prefix}_{secret}"

    @classmethod
    def holding(cls, text: str) -> ApiKey | None:
        """The valid key that `text` is, or None: unknown, revoked and expired look the same."""
        prefix, secret = text[:11], text[12:]
        key = (
            cls.objects.select_related("organization", "project", "created_by")
            .filter(prefix=prefix, revoked_at=None)
            .first()
        )
        if key is None or not secrets.compare_digest(key.digest, _digest(secret)):
            return None
        return None if key.expires_at and key.expires_at <= timezone.now() else key


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
