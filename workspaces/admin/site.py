"""The admin site itself: its name, and its sign-in, which is the console's.

The look is `templates/admin/base_site.html` with `static/admin.css`.
"""

from __future__ import annotations

from typing import Any

from allauth.account.decorators import secure_admin_login
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse_lazy


def own_password(request: HttpRequest, extra_context: Any = None) -> HttpResponse:
    """Staff change their password where everybody does."""
    return redirect("account_change_password")


admin.site.site_header = "Support admin"
admin.site.site_title = "Support admin · Loopback"
admin.site.index_title = "Support admin"
admin.site.site_url = reverse_lazy("fleet")  # type: ignore[assignment]
admin.site.password_change = own_password  # type: ignore[method-assign,assignment]
# One place to sign in, with its rate limits. Who is signed in and not staff is refused, not asked again.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
# The sign-in library's own tables hold secrets and belong to their people, who manage them under "Your account".
for model in (EmailAddress, Authenticator, UserSession, SocialAccount, SocialApp, SocialToken):
    admin.site.unregister(model)
