"""Invitations as whoever sends them sees them: sending, sending again, withdrawing. Accepting: `invited.py`.

Nothing here depends on whether the address has an account, so nobody can find that out by inviting.
"""

from __future__ import annotations

import logging
from smtplib import SMTPException
from uuid import UUID

from django.contrib import messages
from django.core.mail import send_mail
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.http import require_POST

from workspaces.models import Invitation
from workspaces.models.members import Scope
from workspaces.rules.refusal import Refused
from workspaces.views.access import account_of, get_scope, login_required
from workspaces.views.invite_form import InviteForm
from workspaces.views.members import members_page
from workspaces.views.see_other import see_other

log = logging.getLogger(__name__)


@login_required
@require_POST
def invite(request: HttpRequest, kind: str, pk: UUID) -> HttpResponse:
    """Store an invitation and send its letter."""
    scope = get_scope(request, kind, pk, need="members.manage")
    form = InviteForm(scope, request.POST)
    if not form.is_valid():
        return members_page(request, kind, scope, form)
    said = form.cleaned_data
    where = Scope(scope.organization, scope.project or said.get("project"))
    sent = Invitation.invite(said["email"], where, said["role"], account_of(request))
    if isinstance(sent, Refused):
        return members_page(request, kind, scope, form, sent)
    _post(request, *sent)
    return _back(kind, pk)


@login_required
@require_POST
def resend(request: HttpRequest, kind: str, pk: UUID, invitation: UUID) -> HttpResponse:
    """Send another letter with another token; the earlier one is worth nothing then."""
    scope, found = _pending(request, kind, pk, invitation)
    sent = found.send_again(account_of(request))
    if isinstance(sent, Refused):
        return members_page(request, kind, scope, refused=sent)
    _post(request, *sent)
    return _back(kind, pk)


@login_required
@require_POST
def withdraw(request: HttpRequest, kind: str, pk: UUID, invitation: UUID) -> HttpResponse:
    """Make the letter worth nothing."""
    scope, found = _pending(request, kind, pk, invitation)
    refused = found.withdraw(account_of(request))
    if refused:
        return members_page(request, kind, scope, refused=refused)
    messages.success(request, f"The invitation of {found.email} is withdrawn. Its link opens nothing any more.")
    return _back(kind, pk)


def _pending(request: HttpRequest, kind: str, pk: UUID, invitation: UUID) -> tuple[Scope, Invitation]:
    """An invitation of this page; one that is over is refused later, with a sentence."""
    scope = get_scope(request, kind, pk, need="members.manage")
    here = Invitation.objects.filter(organization=scope.organization)
    here = here.filter(project=scope.project) if scope.project else here
    return scope, get_object_or_404(here.select_related("organization", "project"), pk=invitation)


def _back(kind: str, pk: UUID) -> HttpResponse:
    return see_other(f"{kind}_members", pk=pk)


def _post(request: HttpRequest, invitation: Invitation, token: str) -> None:
    """Send the letter. The invitation is stored by now, so after an outage of the mail server it is sent again."""
    # A letter is no place for a line break in a name.
    subject = " ".join(f"Invitation to {invitation.scope}".split())
    link = request.build_absolute_uri(reverse("invitation", args=[token]))
    letter = render_to_string("workspaces/invitation.txt", {"invitation": invitation, "link": link})
    try:
        send_mail(subject, letter, None, [invitation.email])
    except (SMTPException, OSError) as error:
        log.warning("The letter of invitation %s was not sent: %s", invitation.pk, type(error).__name__)
        messages.error(request, f"The letter to {invitation.email} could not be sent. Send the invitation again later.")
    else:
        messages.success(request, f"A letter is on its way to {invitation.email}. Its link is valid for 7 days.")
