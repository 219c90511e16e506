"""The admin site itself: its name, and its sign-in, which is the console's.

The look is `templates/admin/base_site.html` with `static/admin.css`.
"""

from __future__ import annotations

from allauth.account.decorators import secure_admin_login
from allauth.account.models import EmailAddress
from django.contrib import admin
from django.contrib.admin.forms import AdminPasswordChangeForm
from django.db import transaction
from django.urls import reverse_lazy

from workspaces.models import Account, Actor, Event


class OwnPasswordForm(AdminPasswordChangeForm):
    """The form with which staff change their own password; it leaves a line in the audit trail."""

    def save(self, commit: bool = True) -> Account:
        """Store the new password and the event together."""
        with transaction.atomic():
            account: Account = super().save(commit)
            Event.record(
                Actor.of(account),
                "admin.changed",
                summary=f"Changed password of account {account.email}",
                changes={"password": "changed"},
            )
        return account


admin.site.site_header = "Support admin"
admin.site.site_title = "Support admin · Loopback"
admin.site.index_title = "Support admin"
admin.site.site_url = reverse_lazy("fleet")  # type: ignore[assignment]
admin.site.password_change_form = OwnPasswordForm
# One place to sign in, with its rate limits. Who is signed in and not staff is refused, not asked again.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
# People sign in with the address of their account; the library keeps its own list for verification, which is off.
admin.site.unregister(EmailAddress)
