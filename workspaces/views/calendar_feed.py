"""A project's calendar feed: its page, a new address, its end, and the feed itself for whoever has the address.

The address is on one page only, the answer to the form that made it. What is in the feed is `feed_entries`.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from datetime import datetime, timedelta
from typing import Final, cast
from uuid import UUID

from django.contrib import messages
from django.core.cache import cache
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_POST, require_safe
from redis.exceptions import RedisError

from workspaces.models import Actor, CalendarFeed
from workspaces.views import feed_document
from workspaces.views.access import account_of, get_project, login_required, recently_signed_in
from workspaces.views.feed_entries import feed_of
from workspaces.views.see_other import see_other

log = logging.getLogger(__name__)
NEED = "maintenance.edit"
READS_PER_MINUTE: Final = 12
_MINUTE: Final = 60


# --- The page ---------------------------------------------------------------------------------------------------------
@login_required
@require_safe
def calendar_feed(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Whether there is a feed, who made it and when it was last read; never its address."""
    project = get_project(request, pk)
    feed = CalendarFeed.objects.filter(project=project).first()
    context = {
        "nav": "calendar",
        "now": timezone.now(),
        "project": project,
        "feed": feed,
        "may_edit": account_of(request).allows(NEED, project),
    }
    return render(request, "workspaces/calendar_feed.html", context)


@login_required
@require_POST
@recently_signed_in
def new(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Give the feed a new address and show it, once."""
    project = get_project(request, pk, need=NEED)
    secret = CalendarFeed.make(project, Actor.of(account_of(request)))
    address = request.build_absolute_uri(reverse("feed", args=[secret]))
    context = {"nav": "calendar", "now": timezone.now(), "project": project, "address": address}
    response = render(request, "workspaces/calendar_feed_made.html", context, status=201)
    response["Cache-Control"] = "no-store"
    return response


@login_required
@require_POST
@recently_signed_in
def end(request: HttpRequest, pk: UUID) -> HttpResponse:
    """End the feed: whoever reads it is answered 404 from now on."""
    project = get_project(request, pk, need=NEED)
    if CalendarFeed.end(project, Actor.of(account_of(request))):
        messages.success(request, f"The calendar feed of {project} has ended.")
    return see_other("calendar_feed", pk=project.pk)


# --- The feed ---------------------------------------------------------------------------------------------------------
@require_safe
def feed(request: HttpRequest, secret: str) -> HttpResponse:
    """The project's maintenance as iCalendar, for whoever knows the secret."""
    found, now = CalendarFeed.found(secret), timezone.now()
    if found is None:
        raise Http404
    if _asked_too_often(found):
        return _too_often()
    _note_read(found, now)
    title = f"Maintenance of {found.project}"
    document = feed_document.written(title, feed_of(found.project, now), request.build_absolute_uri)
    etag = f'"{hashlib.sha256(document).hexdigest()[:32]}"'
    headers = {"Cache-Control": "private, max-age=60", "ETag": etag}
    whole = HttpResponse(document, content_type="text/calendar; charset=utf-8", headers=headers)
    return cast(HttpResponse, get_conditional_response(request, etag=etag, response=whole))


def _note_read(feed: CalendarFeed, now: datetime) -> None:
    """Remember that it is read; readers that come within the same minute write nothing."""
    before = Q(last_read_at=None) | Q(last_read_at__lte=now - timedelta(seconds=_MINUTE))
    CalendarFeed.objects.filter(before, pk=feed.pk).update(last_read_at=now)


def _asked_too_often(feed: CalendarFeed) -> bool:
    """Whether this minute's reads are used up, counted by all servers together. Without Redis nobody is refused."""
    name = f"calendar-reads:{feed.pk}:{int(time.time()) // _MINUTE}"
    try:
        cache.add(name, 0, timeout=2 * _MINUTE)
        return cache.incr(name) > READS_PER_MINUTE
    except (RedisError, ValueError) as error:  # ValueError: the count was evicted between two commands
        log.warning("Reads of calendar feeds are not counted: %s", error)
        return False


def _too_often() -> HttpResponse:
    wait = math.ceil(_MINUTE - time.time() % _MINUTE)
    response = HttpResponse(status=429, headers={"Retry-After": str(wait), "Cache-Control": "no-store"})
    # Django would log the address, and the address is the secret.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response
