"""`manage.py cron`: the scheduler, in the foreground."""

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand

from loopback import cron


class Command(BaseCommand):
    """Runs until SIGTERM or Ctrl-C."""

    help = "Enqueue what is periodic and wake operations that are due. Start as many as you like: one leads."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Run the scheduler."""
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        cron.run(stop)
