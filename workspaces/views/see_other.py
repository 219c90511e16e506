"""Where a browser goes after a form was taken: 303, so that a reload does not send the form again."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect


def see_other(to: str, **arguments: Any) -> HttpResponse:
    """Go and see `to`: an address, or the name of one with its arguments."""
    response: HttpResponse = redirect(to, **arguments)
    response.status_code = 303
    return response
