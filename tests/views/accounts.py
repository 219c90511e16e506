"""What the tests of the sign-in pages share: a real authenticator's codes, and sessions that began through the form."""

from __future__ import annotations

import base64
import hmac
import struct
import time
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.test import Client

from tests import cast
from workspaces.models import Account

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def sign_in_by_form(client: Client, who: Account, **fields: Any) -> Any:
    """The answer to the right password."""
    return client.post("/accounts/login/", {"login": who.email, "password": cast.PASSWORD, **fields})


def code(secret: str = SECRET, *, steps: int = 0) -> str:
    """What an authenticator app shows now, or that many half minutes later (RFC 6238)."""
    counter = struct.pack(">Q", int(time.time()) // 30 + steps)
    digest = hmac.digest(base64.b32decode(secret), counter, "sha1")
    start = digest[-1] & 0xF
    return f"{(struct.unpack('>I', digest[start : start + 4])[0] & 0x7FFFFFFF) % 10**6:06d}"


def add_app(who: Account, secret: str = SECRET) -> Authenticator:
    """An authenticator app with recovery codes, as the page would have made them."""
    RecoveryCodes.activate(who)
    return TOTP.activate(who, secret).instance


def make_old(client: Client, seconds: int = 901) -> None:
    """As if the client's sign-in had been that long ago."""
    session = client.session
    for record in session["account_authentication_methods"]:
        record["at"] -= seconds
    session.save()
