"""Signing in: accounts are invited, never self-made, and a refusal does not say which of the two fields was wrong.

Forms, sessions and rate limits are allauth's; the pages are `templates/account/`.
"""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest

# The page that follows says it already; as toasts they would only be in the way.
_UNSAID = {"account/messages/logged_in.txt", "account/messages/logged_out.txt"}


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Closes the library's public sign-up and gives its answers the console's words."""

    error_messages = DefaultAccountAdapter.error_messages | {
        "email_password_mismatch": "Email address or password is not correct",
        "too_many_login_attempts": "Too many failed tries. Signing in is possible again in a few minutes",
        "account_inactive": "Email address or password is not correct",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Nobody signs up by themselves."""
        return False

    def add_message(
        self, request: HttpRequest, level: int, message_template: str | None = None, *args: Any, **kwargs: Any
    ) -> None:
        """Leave out what the page that follows shows anyway."""
        if message_template not in _UNSAID:
            super().add_message(request, level, message_template, *args, **kwargs)
