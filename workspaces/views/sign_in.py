"""Signing in: accounts are invited, never self-made, and a refusal does not say which of the two fields was wrong.

Forms and rate limits are allauth's; the pages are `templates/account/`. Second factors: `second_factor.py`.
"""

from __future__ import annotations

import logging
from typing import Any, ClassVar

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.internal import ratelimit
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from workspaces.models import Account, Actor, audit
from workspaces.views import access, sign_in_events, single_sign_on

logger = logging.getLogger(__name__)
# The page that follows says it already; as toasts they would only be in the way.
_UNSAID = {"account/messages/logged_in.txt", "account/messages/logged_out.txt"}


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Closes the library's public sign-up, gives its answers the console's words, and keeps the audit trail."""

    error_messages = DefaultAccountAdapter.error_messages | {
        "email_password_mismatch": "Email address or password is not correct",
        "too_many_login_attempts": "Too many failed tries. Signing in is possible again in a few minutes",
        "account_inactive": "Email address or password is not correct",
        "incorrect_password": "The password is not correct",
        "enter_current_password": "The current password is not correct",
        "rate_limited": "Too many tries. Wait a few minutes and try again",
    }
    descriptions: ClassVar[dict[str, str]] = {
        "reauthenticate": "Use the password",
        "mfa_reauthenticate": "Use an authenticator or recovery code",
        "mfa_reauthenticate:webauthn": "Use a passkey",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Nobody signs up by themselves."""
        return False

    def is_reauthentication_required(self, *, app: str, **_: Any) -> bool:
        """A sign-in counts as long as its confirmation does; the addresses ask for it with `recently_signed_in`."""
        return not access.signed_in_recently(self.request)

    def get_reauthentication_methods(self, user: Account) -> list[dict[str, Any]]:
        """The library's ways, in the console's words, and single sign-on for those who use it."""
        ways: list[dict[str, Any]] = super().get_reauthentication_methods(user)
        for way in ways:
            way["description"] = self.descriptions[way["id"]]
        if user.is_authenticated and single_sign_on.is_used_by(user):
            name = single_sign_on.name()
            ways.append({"id": "sso", "description": f"Continue with {name}", "url": reverse("single_sign_on")})
        return ways

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """Count what is left, for the page: known and unknown addresses have the same number of tries."""
        rates = ratelimit.get_rates(app="allauth.account", action="login_failed")
        for rate, usage in zip(rates, self._login_failed_rl_usage.usage, strict=True):
            if rate.per == "key":
                request.tries_left = rate.amount - len(cache.get(usage.cache_key, []))  # type: ignore[attr-defined]

    def post_login(self, request: HttpRequest, user: Account, **kwargs: Any) -> HttpResponse:
        """From here on the request is the account's."""
        audit.identified(Actor.of(user))
        sign_in_events.signed_in(request, user, self.get_client_ip(request))
        answer: HttpResponse = super().post_login(request, user, **kwargs)
        return answer

    def logout(self, request: HttpRequest) -> None:
        """End the session; one that was never signed in leaves no event."""
        if request.user.is_authenticated:
            sign_in_events.ended(access.account_of(request))
        super().logout(request)

    def send_notification_mail(self, template_prefix: str, user: Account, *args: Any, **kwargs: Any) -> None:
        """Write down what the letter tells, and send it; the change holds also when no mail server answers."""
        sign_in_events.changed(user, template_prefix)
        try:
            super().send_notification_mail(template_prefix, user, *args, **kwargs)
        except OSError:
            logger.exception("The letter %s to %s was not sent", template_prefix, user.email)

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        """Back to the overview of the account."""
        return reverse("mfa_index")

    def add_message(
        self, request: HttpRequest, level: int, message_template: str | None = None, *args: Any, **kwargs: Any
    ) -> None:
        """Leave out what the page that follows shows anyway."""
        if message_template not in _UNSAID:
            super().add_message(request, level, message_template, *args, **kwargs)
