"""Accounts, organizations, projects and memberships: who exists and what belongs to whom.

What a role allows is in `rules/permissions.py`; this module only turns it into querysets.
"""

from __future__ import annotations

import uuid
import zoneinfo
from typing import Any, ClassVar, Protocol

from django.contrib.auth.models import AbstractUser, BaseUserManager
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q

from workspaces.rules import permissions

ROLES = [("administrator", "Administrator"), ("operator", "Operator"), ("viewer", "Viewer")]


class Caller(Protocol):
    """Whoever asks: an account or an API key."""

    is_superuser: bool

    def permitted(self, projects: ProjectQuerySet, key: str) -> ProjectQuerySet:
        """Those of `projects` on which the caller holds `key`."""

    def allows(self, key: str, project: Project) -> bool:
        """Whether the caller holds `key` on `project`."""

    def permitted_organizations(self, organizations: OrganizationQuerySet, key: str) -> OrganizationQuerySet:
        """Those of `organizations` on which the caller holds `key` as a whole, not only in a project."""


class AccountManager(BaseUserManager["Account"]):
    """Creates accounts, which sign in with their e-mail address."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> Account:
        """An account; without a password it cannot sign in with one."""
        account = self.model(email=self.normalize_email(email).lower(), **fields)
        account.set_password(password)
        account.save(using=self._db)
        return account

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> Account:
        """A platform administrator: sees every organization and the support admin."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


def known_zone(name: str) -> None:
    """Refuse a time zone that the pages could not show."""
    if name not in zoneinfo.available_timezones():
        raise ValidationError(f"{name} is no time zone; enter one such as Europe/Berlin or UTC.")


class Account(AbstractUser):
    """A person who signs in."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    username = None  # type: ignore[assignment]
    email = models.EmailField("e-mail address", unique=True)
    time_zone = models.CharField(
        max_length=64, default="Europe/Berlin", validators=[known_zone], help_text="Shown beside UTC."
    )

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects = AccountManager()  # type: ignore[assignment, misc]

    def __str__(self) -> str:
        return self.get_full_name() or self.email

    @property
    def initials(self) -> str:
        """Two letters for the avatar."""
        words = str(self).replace("@", " ").split()
        return "".join(word[0] for word in words[:2]).upper()

    def permitted(self, projects: ProjectQuerySet, key: str) -> ProjectQuerySet:
        """Those of `projects` on which this account holds `key`: through the organization or the project itself."""
        if not self.is_active:
            return projects.none()
        if self.is_superuser:
            return projects
        granted = Membership.objects.filter(account=self, role__in=permissions.roles_with(key))
        return projects.filter(
            Q(organization__in=granted.filter(project=None).values("organization"))
            | Q(pk__in=granted.filter(organization=F("project__organization")).values("project"))
        )

    def allows(self, key: str, project: Project) -> bool:
        """Whether this account holds the permission `key` on `project` (one query)."""
        if self.is_superuser or not self.is_active:
            return self.is_active
        return Membership.objects.on_project(project).granting(key).filter(account=self).exists()

    def permitted_organizations(self, organizations: OrganizationQuerySet, key: str) -> OrganizationQuerySet:
        """Those of `organizations` on which this account holds `key` as a whole."""
        if not self.is_active:
            return organizations.none()
        if self.is_superuser:
            return organizations
        granted = Membership.objects.filter(account=self, project=None, role__in=permissions.roles_with(key))
        return organizations.filter(pk__in=granted.values("organization"))

    def allows_on(self, key: str, organization: Organization) -> bool:
        """Whether this account holds `key` on `organization` as a whole (one query)."""
        return Organization.objects.allowing(self, key).filter(pk=organization.pk).exists()


class OrganizationQuerySet(models.QuerySet["Organization"]):
    """Organizations by who may do what in them as a whole."""

    def allowing(self, caller: Caller, key: str) -> OrganizationQuerySet:
        """Those on which the account or API key holds the permission `key` as a whole."""
        return caller.permitted_organizations(self, key)

    def seen_by(self, account: Account) -> OrganizationQuerySet:
        """Those the account belongs to, be it through one project."""
        return self if account.is_superuser else self.filter(pk__in=account.memberships.values("organization"))


class Organization(models.Model):
    """A customer of the platform."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=100, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    objects = OrganizationQuerySet.as_manager()

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class ProjectQuerySet(models.QuerySet["Project"]):
    """Projects by who may do what in them."""

    def allowing(self, caller: Caller, key: str = "workspace.view") -> ProjectQuerySet:
        """Those on which the account or API key holds the permission `key`."""
        return caller.permitted(self, key)


class Project(models.Model):
    """A group of workspaces inside one organization; what people are given rights on."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(Organization, models.PROTECT, related_name="projects")
    name = models.CharField(max_length=100)
    cost_center = models.CharField(max_length=40, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    objects = ProjectQuerySet.as_manager()

    class Meta:
        ordering = ("name",)
        constraints = [
            models.UniqueConstraint(fields=["organization", "name"], name="project_name_once_per_organization"),
        ]

    def __str__(self) -> str:
        return self.name


class MembershipQuerySet(models.QuerySet["Membership"]):
    """Memberships by where they apply."""

    def on_project(self, project: Project) -> MembershipQuerySet:
        """Those that count on `project`: of its organization as a whole, or narrowed to it."""
        return self.filter(Q(project=project) | Q(project=None), organization_id=project.organization_id)

    def granting(self, key: str) -> MembershipQuerySet:
        """Those that give the permission `key` where they apply: their role holds it and their account is active."""
        return self.filter(role__in=permissions.roles_with(key), account__is_active=True)


class Membership(models.Model):
    """An account's role on an organization, or narrowed to one of its projects."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(Account, models.CASCADE, related_name="memberships")
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="memberships")
    project = models.ForeignKey(Project, models.CASCADE, null=True, blank=True, related_name="memberships")
    role = models.CharField(max_length=20, choices=ROLES)
    created_at = models.DateTimeField(auto_now_add=True)
    objects = MembershipQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "organization", "project"], name="membership_once", nulls_distinct=False
            ),
            models.CheckConstraint(condition=Q(role__in=[role for role, _ in ROLES]), name="membership_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.account}: {self.role} of {self.project or self.organization}"
