"""What the sign-in pages need and the library's views do not pass."""

from __future__ import annotations

from datetime import datetime

from django import template
from django.utils import timezone

from workspaces.views import single_sign_on

register = template.Library()


@register.simple_tag
def single_sign_on_name() -> str:
    """What the OpenID provider is called; empty when there is none."""
    return single_sign_on.name()


@register.simple_tag
def this_moment() -> datetime:
    """The `now` of a page whose view is the library's."""
    return timezone.now()
