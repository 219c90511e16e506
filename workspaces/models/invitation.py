"""Invitations: how a person gets an account or a role. The token goes out by e-mail once; only its hash is kept.

Who may invite with which role is in `rules/members.py`; the letter is written in `views/invitations.py`.
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from datetime import datetime, timedelta

from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from workspaces.models.audit import Actor
from workspaces.models.event import Event
from workspaces.models.members import Scope
from workspaces.models.tenancy import ROLES, Account, Membership, Organization, Project
from workspaces.rules import members as rules
from workspaces.rules.refusal import Refused

VALID_FOR = timedelta(days=7)
DAY = timedelta(days=1)


def _in_a_week() -> datetime:
    return timezone.now() + VALID_FOR


class InvitationQuerySet(models.QuerySet["Invitation"]):
    """Invitations by whether they can still be accepted."""

    def pending(self) -> InvitationQuerySet:
        """Neither accepted nor withdrawn, expired or not."""
        return self.filter(accepted_at=None, revoked_at=None)

    def open(self) -> InvitationQuerySet:
        """Those that can be accepted now."""
        return self.pending().filter(expires_at__gt=timezone.now())


class Invitation(models.Model):
    """A role on an organization or one of its projects, offered to an address."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField()
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="invitations")
    project = models.ForeignKey(Project, models.CASCADE, null=True, blank=True, related_name="invitations")
    role = models.CharField(max_length=20, choices=ROLES)
    # 256 bits of chance: a plain hash is enough, as with API keys.
    digest = models.CharField(max_length=64, unique=True, editable=False)
    invited_by = models.ForeignKey(Account, models.SET_NULL, null=True, related_name="invitations_sent")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(default=_in_a_week)
    accepted_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    objects = InvitationQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at",)
        constraints = [
            models.UniqueConstraint(
                fields=["email", "organization", "project"],
                name="one_pending_invitation",
                condition=Q(accepted_at=None, revoked_at=None),
                nulls_distinct=False,
            ),
            models.CheckConstraint(condition=Q(role__in=[role for role, _ in ROLES]), name="invitation_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.email} as {self.role} of {self.project or self.organization}"

    @classmethod
    def send_to(
        cls, email: str, *, organization: Organization, project: Project | None, role: str, invited_by: Account
    ) -> tuple[Invitation, str]:
        """Store an invitation in place of any pending one for the same place; returns it with its token."""
        token, email = secrets.token_urlsafe(32), email.lower()
        with transaction.atomic():
            earlier = cls.objects.select_for_update().pending()
            earlier.filter(email=email, organization=organization, project=project).update(revoked_at=timezone.now())
            invitation = cls.objects.create(
                email=email,
                organization=organization,
                project=project,
                role=role,
                invited_by=invited_by,
                digest=_digest(token),
            )
        return invitation, token

    @classmethod
    def holding(cls, token: str) -> Invitation | None:
        """The open invitation of this token; unknown, used, withdrawn and expired look the same."""
        return cls.objects.open().select_related("organization", "project").filter(digest=_digest(token)).first()

    @classmethod
    def invite(cls, email: str, scope: Scope, role: str, by: Account) -> tuple[Invitation, str] | Refused:
        """As `send_to`, with the act that tells it, if `by` may and the organization has letters left today."""
        with transaction.atomic():
            # Whoever invites at the same moment counts as well.
            Organization.objects.select_for_update(no_key=True).get(pk=scope.organization.pk)
            refused = rules.may_change(scope.roles_of(by), role, None) or _refuse(email, scope, timezone.now())
            if refused:
                return refused
            invitation, token = cls.send_to(
                email, organization=scope.organization, project=scope.project, role=role, invited_by=by
            )
            invitation._record(Actor.of(by), "invitation.sent", f"Invited {invitation}")
        return invitation, token

    def send_again(self, by: Account) -> tuple[Invitation, str] | Refused:
        """The same invitation for another seven days with another token; the earlier letter is worth nothing then."""
        if not Invitation.objects.pending().filter(pk=self.pk).exists():
            return self._over()
        return Invitation.invite(self.email, self.scope, self.role, by)

    def withdraw(self, by: Account) -> Refused | None:
        """Make the letter worth nothing."""
        with transaction.atomic():
            if not Invitation.objects.pending().filter(pk=self.pk).update(revoked_at=timezone.now()):
                return self._over()
            self._record(Actor.of(by), "invitation.withdrawn", f"Withdrew the invitation of {self}")
        return None

    def accept(self, account: Account) -> bool:
        """Give `account` the role, once; False when it was accepted or withdrawn meanwhile, or is another's.

        An invitation gives and never takes: who has a higher role there keeps it.
        """
        if account.email.lower() != self.email:
            return False
        with transaction.atomic():
            taken = Invitation.objects.open().filter(pk=self.pk).update(accepted_at=timezone.now())
            if taken:
                membership, _ = Membership.objects.get_or_create(
                    account=account,
                    organization=self.organization,
                    project=self.project,
                    defaults={"role": self.role},
                )
                if rules.may_grant([membership.role], self.role):
                    membership.role = self.role
                    membership.save(update_fields=["role"])
                said = f"Accepted the invitation as {self.role} of {self.scope}"
                self._record(Actor.of(account), "invitation.accepted", said)
        return bool(taken)

    @property
    def scope(self) -> Scope:
        """Where the role counts."""
        return Scope(self.organization, self.project)

    def _over(self) -> Refused:
        return Refused("not_pending", f"The invitation of {self.email} has been accepted or withdrawn meanwhile.")

    def _record(self, by: Actor, action: str, summary: str) -> None:
        Event.record(by, action, summary=summary, organization=self.organization, project=self.project)


def _refuse(email: str, scope: Scope, now: datetime) -> Refused | None:
    """Somebody who has a role there already, as the list of members says, or a day's letters gone."""
    there = Membership.objects.select_related("account").filter(
        account__email__iexact=email, organization=scope.organization, project=scope.project
    )
    if member := there.first():
        message = f"{member.account} already is {member.role} of {scope}. Change the role in the list of members."
        return Refused("already_member", message)
    lately = Invitation.objects.filter(organization=scope.organization, created_at__gt=now - DAY)
    earliest = lately.values_list("created_at", flat=True)[rules.INVITATIONS_A_DAY - 1 :].first()
    if earliest is None:
        return None
    message = (
        f"{rules.INVITATIONS_A_DAY} invitations were sent for {scope.organization} within 24 hours, which is the limit."
        f" The next one can be sent {earliest + DAY:%a %H:%M} UTC."
    )
    return Refused("too_many_invitations", message)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
