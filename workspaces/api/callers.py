"""Who calls: an API key in the Authorization header, or the console's session; and what they may fetch."""

from __future__ import annotations

import time
from datetime import timedelta
from uuid import UUID

from allauth.account.authentication import get_authentication_records
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import Http404, HttpRequest
from django.utils import timezone
from ninja.security import HttpBearer, SessionAuth

from workspaces.api.problems import Problem
from workspaces.models import Account, Actor, ApiKey, Operation, Workspace, audit
from workspaces.rules import permissions


class KeyAuth(HttpBearer):
    """`Authorization: Bearer lb_…`. The last use is written at most once a minute."""

    def authenticate(self, request: HttpRequest, token: str) -> ApiKey | None:
        """The key, if it is valid."""
        key = ApiKey.holding(token)
        if key is not None:
            now = timezone.now()
            stale = Q(last_used_at=None) | Q(last_used_at__lt=now - timedelta(minutes=1))
            ApiKey.objects.filter(stale, pk=key.pk).update(last_used_at=now)
            audit.identified(Actor.of_key(key))
        return key


AUTHENTICATION = [KeyAuth(), SessionAuth()]


def caller(request: HttpRequest) -> Account | ApiKey:
    """Whoever passed the authentication."""
    who = request.auth  # type: ignore[attr-defined]
    assert isinstance(who, Account | ApiKey)
    return who


def actor(request: HttpRequest) -> Actor:
    """The same, as it is written into events."""
    who = caller(request)
    return Actor.of(who) if isinstance(who, Account) else Actor.of_key(who)


def get_workspace(request: HttpRequest, pk: UUID, *, need: str = "workspace.view") -> Workspace:
    """The workspace, if the caller may see it (else 404) and holds `need` on it (else 403)."""
    workspace = Workspace.objects.allowing(caller(request)).with_plan().filter(pk=pk).first()
    if workspace is None:
        raise Http404
    require(request, workspace, need)
    return workspace


def get_operation(request: HttpRequest, pk: UUID, *, need: str = "workspace.view") -> Operation:
    """The operation, by the same rules as its workspace."""
    visible = Operation.objects.filter(workspace__in=Workspace.objects.allowing(caller(request)))
    operation = visible.select_related("workspace__project__organization").filter(pk=pk).first()
    if operation is None:
        raise Http404
    require(request, operation.workspace, need)
    return operation


def require(request: HttpRequest, workspace: Workspace, need: str) -> None:
    """Refuse a caller who may see the workspace but lacks `need`."""
    if need != "workspace.view" and not caller(request).allows(need, workspace.project):
        raise PermissionDenied(f"This needs the right: {permissions.PERMISSIONS[need].sentence.lower()}.")


def require_recent_sign_in(request: HttpRequest) -> None:
    """Refuse the console's session of somebody who signed in long ago, as the pages do. A key never signs in."""
    who = caller(request)
    if isinstance(who, ApiKey):
        return
    latest = max((record["at"] for record in get_authentication_records(request, who)), default=0)
    if time.time() - latest >= settings.ACCOUNT_REAUTHENTICATION_TIMEOUT:
        said = "Nothing was changed: with the console's session this needs a recent sign-in. Confirm it there first."
        raise Problem(403, "sign_in_again", said)
