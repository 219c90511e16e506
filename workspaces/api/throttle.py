"""How often one API key may ask: so many requests in each minute of the clock, counted by all servers together.

The count is in Django's cache (Redis). Without it requests are let through: a limit is not worth an outage.
"""

from __future__ import annotations

import logging
import math
import time

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest
from ninja.throttling import BaseThrottle
from redis.exceptions import RedisError

from workspaces.models import ApiKey

MINUTE = 60
log = logging.getLogger(__name__)


class KeyThrottle(BaseThrottle):
    """Counts requests that came with an API key; the console's own session is not counted."""

    blind = False

    def allow_request(self, request: HttpRequest) -> bool:
        """Whether this one is within the limit."""
        key = request.auth  # type: ignore[attr-defined]
        if not isinstance(key, ApiKey):
            return True
        try:
            count = _count(f"api-requests:{key.pk}:{int(time.time()) // MINUTE}")
        except (RedisError, ValueError) as error:  # ValueError: the count was evicted between two commands
            self._say_once(error)
            return True
        self.blind = False
        return count <= settings.LOOPBACK_API_REQUESTS_PER_MINUTE

    def wait(self) -> float:
        """Seconds until the next minute begins."""
        return math.ceil(MINUTE - time.time() % MINUTE)

    def _say_once(self, error: Exception) -> None:
        """One line for each outage, not one for each request."""
        if not self.blind:
            log.warning("Requests are not counted, so API keys have no limit now: %s", error)
        self.blind = True


def _count(name: str) -> int:
    """Count one more. The two commands need no lock: adding what is there does nothing, and incrementing is atomic."""
    cache.add(name, 0, timeout=2 * MINUTE)
    return cache.incr(name)
