"""`manage.py demo`: the whole product on this machine, in the foreground."""

import signal
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from loopback.demo import Demo, Options
from loopback.demo_directory import DemoError
from loopback.embedded import EmbeddedError
from loopback.programs import MissingProgram


class Command(BaseCommand):
    """Runs until Ctrl-C or SIGTERM."""

    help = "Start everything here, with a simulated world and a sample fleet: no account anywhere is needed."
    # The settings have no database and no secrets yet: the children get them.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where, how large, and from the beginning or not."""
        parser.add_argument("--port", type=int, default=8000, help="on 127.0.0.1; 0 takes a free one")
        parser.add_argument("--data-dir", type=Path, default=Path(".demo"))
        parser.add_argument("--workspaces", type=int, default=60, help="how many the sample fleet has")
        parser.add_argument("--reset", action="store_true", help="forget what earlier runs have left")
        parser.add_argument("--no-open", action="store_true", help="do not open the browser")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run the demo; what stands in its way is one sentence and exit code 2."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, signal.default_int_handler)
        wanted = Options(
            port=options["port"],
            directory=options["data_dir"],
            workspaces=options["workspaces"],
            reset=options["reset"],
            open_browser=not options["no_open"],
        )
        try:
            Demo(wanted, self._say).run()
        except (DemoError, EmbeddedError, MissingProgram) as error:
            raise CommandError(str(error), returncode=2) from None

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
