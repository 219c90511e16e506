"""What happens to an account becomes events: sign-ins, endings, and every change of how it signs in.

The library tells of changes where it sends a letter about them; only a refused second factor comes as a signal.
"""

from __future__ import annotations

from typing import Any

from allauth.account.authentication import get_authentication_records
from django.http import HttpRequest

from workspaces.models import Account, Actor, Event

# The letter that goes out → the action and the act.
CHANGES = {
    "account/email/password_changed": ("account.password_changed", "Changed the password"),
    "account/email/password_set": ("account.password_changed", "Set a password"),
    "account/email/password_reset": ("account.password_changed", "Reset the password by e-mail"),
    "mfa/email/totp_activated": ("account.factor_added", "Added an authenticator app"),
    "mfa/email/totp_deactivated": ("account.factor_removed", "Removed the authenticator app"),
    "mfa/email/webauthn_added": ("account.factor_added", "Added a passkey"),
    "mfa/email/webauthn_removed": ("account.factor_removed", "Removed a passkey"),
    "mfa/email/recovery_codes_generated": ("account.factor_added", "Made new recovery codes"),
    "socialaccount/email/account_connected": ("account.factor_added", "Linked single sign-on"),
}
METHODS = {
    "password": "a password",
    "socialaccount": "single sign-on",
    "totp": "an authenticator code",
    "recovery_codes": "a recovery code",
    "webauthn": "a passkey",
}


def signed_in(request: HttpRequest, account: Account, address: str) -> None:
    """A session has begun; says with what and from which IP address."""
    records = get_authentication_records(request, account)
    used = dict.fromkeys(METHODS[record.get("type", record["method"])] for record in records)
    record(account, "account.signed_in", f"Signed in with {' and '.join(used)}", {"address": address})


def ended(account: Account, count: int = 1) -> None:
    """One or more of the account's sessions are over, because somebody ended them."""
    record(account, "account.session_ended", f"Ended {count} session{'s' if count > 1 else ''}")


def changed(account: Account, letter: str) -> None:
    """How the account signs in has changed; `letter` is the library's name of the letter about it."""
    record(account, *CHANGES[letter])


def second_factor_refused(*, user: Account, **_: Any) -> None:
    """Receives allauth's `authentication_failed`: the password was right, the code was not."""
    record(user, "account.factor_refused", "Entered a wrong code as second factor")


def record(account: Account, action: str, summary: str, changes: dict[str, Any] | None = None) -> None:
    """One event by and about the account itself."""
    Event.record(Actor.of(account), action, summary=summary, changes=changes)
