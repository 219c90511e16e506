"""Invitations as the invited see them: the link of the letter, then accepting with an account there is or a new one.

The token is seen once, in the address of the link; from there on the session holds the invitation. So no later address,
form, or line of a log has it. Links that open nothing (wrong, used, withdrawn, expired) all get the same page.
"""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.login import perform_password_login
from allauth.account.models import Login
from django import forms
from django.contrib import messages
from django.contrib.auth.password_validation import validate_password
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from workspaces.models import Account, Actor, Event, Invitation, audit
from workspaces.views.see_other import see_other

HELD = "invitation"


class NewAccountForm(forms.Form):
    """Name and password of somebody who has no account yet; the address is the invitation's."""

    first_name = forms.CharField(max_length=150, error_messages={"required": "Enter your first name"})
    last_name = forms.CharField(max_length=150, required=False)
    password = forms.CharField(strip=False, max_length=4096, error_messages={"required": "Enter a password"})

    def __init__(self, email: str, data: Any = None) -> None:
        super().__init__(data)
        self.email = email

    def clean_password(self) -> str:
        """By the same rules as everywhere."""
        password: str = self.cleaned_data["password"]
        names = {name: self.cleaned_data.get(name, "") for name in ("first_name", "last_name")}
        validate_password(password, Account(email=self.email, **names))
        return password


@never_cache
@require_safe
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """The link of the letter: on to the page without the token in its address."""
    found = Invitation.holding(token)
    if found is None:
        return _over(request)
    request.session[HELD] = str(found.pk)
    return redirect("invitation_answer")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def answer(request: HttpRequest) -> HttpResponse:
    """What is offered and to whom; POST accepts it, with a new account when nobody is signed in."""
    found = _held(request)
    if found is None:
        return _over(request)
    if request.method != "POST":
        return _page(request, found)
    return _accept(request, found) if request.user.is_authenticated else _sign_up(request, found)


@never_cache
@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session of the account that was not invited, and come back to the invitation without one."""
    found = _held(request)
    if found is None:
        return _over(request)
    get_adapter().logout(request)
    request.session[HELD] = str(found.pk)
    return see_other("invitation_answer")


def _held(request: HttpRequest) -> Invitation | None:
    """The invitation whose link this session came with, while it is open."""
    rows = Invitation.objects.open().select_related("organization", "project", "invited_by")
    return rows.filter(pk=request.session[HELD]).first() if HELD in request.session else None


def _over(request: HttpRequest) -> HttpResponse:
    return render(request, "workspaces/invitation_over.html", status=404)


def _page(request: HttpRequest, found: Invitation, form: NewAccountForm | None = None) -> HttpResponse:
    if request.user.is_authenticated:
        state = "accept" if request.user.email.lower() == found.email else "wrong_account"
    else:
        state = "sign_in" if Account.objects.filter(email__iexact=found.email).exists() else "new_account"
    context = {
        "invitation": found,
        "now": timezone.now(),
        "state": state,
        "form": form or NewAccountForm(found.email),
        "sign_in": f"{reverse('account_login')}?next={reverse('invitation_answer')}",
    }
    return render(request, "workspaces/invitation.html", context, status=422 if form else 200)


def _accept(request: HttpRequest, found: Invitation) -> HttpResponse:
    """Give the signed-in account the role; somebody else's account gets the page that says so."""
    assert isinstance(request.user, Account)
    if request.user.email.lower() != found.email:
        return _page(request, found)
    if not found.accept(request.user):
        return _over(request)
    return _done(request, found, see_other("fleet"))


def _sign_up(request: HttpRequest, found: Invitation) -> HttpResponse:
    """Make the account, give it the role and sign it in: the mailbox is proven by the link."""
    form = NewAccountForm(found.email, request.POST)
    if Account.objects.filter(email__iexact=found.email).exists():
        return see_other("invitation_answer")
    if not form.is_valid():
        return _page(request, found, form)
    said = form.cleaned_data
    try:
        with transaction.atomic():
            account = Account.objects.create_user(
                found.email, said["password"], first_name=said["first_name"], last_name=said["last_name"]
            )
            audit.identified(Actor.of(account))
            Event.record(
                Actor.of(account),
                "account.created",
                summary="Made an account with an invitation",
                organization=found.organization,
            )
            accepted = found.accept(account)
            if not accepted:
                transaction.set_rollback(True)
    except IntegrityError:  # the same form, sent twice at once
        return see_other("invitation_answer")
    if not accepted:
        return _over(request)
    login = Login(user=account, email=account.email, signup=True, redirect_url=reverse("fleet"))
    return _done(request, found, perform_password_login(request, {"email": account.email}, login))


def _done(request: HttpRequest, found: Invitation, response: HttpResponse) -> HttpResponse:
    request.session.pop(HELD, None)
    messages.success(request, f"You are {found.role} of {found.scope} now.")
    return response
