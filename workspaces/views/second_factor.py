"""Second factors and passkeys: how their secrets are kept, drawn and named.

Enrolment, codes and ceremonies are allauth's; the pages are `templates/mfa/`.
"""

from __future__ import annotations

import qrcode  # type: ignore[import-untyped]
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.utils.html import format_html

from workspaces.models import Account, Sealed


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Seals secrets with the keys of LOOPBACK_ENCRYPTION_KEYS and draws the QR code into the page."""

    error_messages = DefaultMFAAdapter.error_messages | {
        "incorrect_code": "That code or passkey is not correct",
        "cannot_generate_recovery_codes": "Add an authenticator app or a passkey first",
    }

    def encrypt(self, text: str) -> str:
        """The token that is stored."""
        return Sealed.of(text).token

    def decrypt(self, encrypted_text: str) -> str:
        """The text of a token; raises ImproperlyConfigured when no key opens it."""
        return Sealed(encrypted_text).reveal()

    def build_totp_svg(self, url: str) -> str:
        """The QR code as an element for the page: the content policy allows no `data:` images."""
        code = qrcode.QRCode(border=4)
        code.add_data(url)
        rows = code.get_matrix()
        squares = "".join(f"M{x} {y}h1v1h-1z" for y, row in enumerate(rows) for x, dark in enumerate(row) if dark)
        return format_html(
            '<svg class="qr" viewBox="0 0 {0} {0}" role="img" aria-label="QR code of the setup key">'
            '<rect width="{0}" height="{0}" fill="#fff"/><path fill="#000" d="{1}"/></svg>',
            len(rows),
            squares,
        )

    def generate_authenticator_name(self, user: Account, type: Authenticator.Type) -> str:
        """`Passkey 1`, `Passkey 2`: what the name field holds until somebody types a better one."""
        return f"Passkey {Authenticator.objects.filter(user=user, type=type).count() + 1}"

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """Passkeys are bound to the host name without its port; the name is what the browser's dialog shows."""
        entity: dict[str, str] = super().get_public_key_credential_rp_entity()
        return entity | {"name": "Loopback"}
