"""`manage.py simulate`: the simulated world alone, in the foreground."""

import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """Becomes the simulators' process."""

    help = "Run only the simulators (Hetzner, Kubernetes, hosts); STATE_DIR/ready.json says where they are."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """As `python -m workspaces.simulators` has them."""
        parser.add_argument("--state-dir", type=Path, default=Path(".demo/world"))
        parser.add_argument("--world", type=Path, help="what to add at the start, a JSON file")
        parser.add_argument("--seed", type=int, default=1, help="of the faults' chance")
        parser.add_argument(
            "--phase-seconds", type=float, default=1.0, help="how long one phase of a vendor's work takes"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Replace this process: the simulators know nothing of Django."""
        program = [sys.executable, "-m", "workspaces.simulators"]
        for name in ("state_dir", "world", "seed", "phase_seconds"):
            if options[name] is not None:
                program += [f"--{name.replace('_', '-')}", str(options[name])]
        os.execv(sys.executable, program)  # noqa: S606
