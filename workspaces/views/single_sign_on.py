"""Single sign-on with the OpenID provider of LOOPBACK_OIDC_SERVER_URL: who comes back from it, and as whom.

An account is found by the address the provider has verified; it is made only for an open invitation. The exchange with
the provider is allauth's; where no provider is set up, nothing here answers.
"""

from __future__ import annotations

from typing import Any

from allauth.account.utils import get_next_redirect_url
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter, get_adapter
from allauth.socialaccount.helpers import render_authentication_error
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialLogin
from allauth.socialaccount.providers.base import AuthProcess
from django.conf import settings
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET
from requests import RequestException

from workspaces.models import Account, Actor, Event, Invitation

PROVIDER = "sso"


def name() -> str:
    """What people call the provider; empty when there is none."""
    return next((str(app["name"]) for app in settings.SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"]), "")


def is_used_by(account: Account) -> bool:
    """Whether the account has come in through the provider that is set up."""
    return bool(name()) and SocialAccount.objects.filter(user=account, provider=PROVIDER).exists()


@require_GET
def single_sign_on(request: HttpRequest) -> HttpResponse:
    """Leave for the provider. Whoever is signed in already confirms it there and is asked again in any case."""
    try:
        provider = get_adapter().get_provider(request, PROVIDER)
    except SocialApp.DoesNotExist:
        raise Http404 from None
    ask_again = {"prompt": "login"} if request.user.is_authenticated else {}
    try:
        answer: HttpResponse = provider.redirect(
            request, AuthProcess.LOGIN, next_url=get_next_redirect_url(request), auth_params=ask_again
        )
    except RequestException as error:
        answer = render_authentication_error(request, provider, exception=error)
    return answer


class SingleSignOnAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """Decides whose session begins; the library's own sign-up stays closed."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        """Nobody signs up by themselves."""
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Find or make the account of somebody who comes for the first time, or refuse with a page."""
        if sociallogin.is_existing:
            return
        claims = sociallogin.account.get_provider_account().get_user_data()
        # A provider that does not vouch for the address, or says so in a string, could name anybody's.
        email = str(claims.get("email", "")).lower() if claims.get("email_verified") is True else ""
        with transaction.atomic():
            account = Account.objects.filter(email=email).first() or _invited(email, claims)
            if account is not None and account.is_active:
                sociallogin.connect(request, account)
                return
        raise ImmediateHttpResponse(render(request, "socialaccount/not_invited.html", {"email": email}, status=403))


def _invited(email: str, claims: dict[str, Any]) -> Account | None:
    """A new account with the roles of all open invitations of the address; None without one."""
    invitations = list(Invitation.objects.open().filter(email__iexact=email).select_related("organization", "project"))
    if not email or not invitations:
        return None
    first, last = (str(claims.get(claim) or "")[:150] for claim in ("given_name", "family_name"))
    account = Account.objects.create_user(email, first_name=first, last_name=last)
    for invitation in invitations:
        invitation.accept(account)
    Event.record(
        Actor.of(account),
        "account.created",
        summary="Accepted the invitation by single sign-on",
        organization=invitations[0].organization,
    )
    return account
