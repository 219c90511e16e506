"""`manage.py dossier`: everything that is known about one workspace, to read or to attach to a ticket."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from workspaces.management import selection
from workspaces.models.dossier import dossier


class Command(BaseCommand):
    """Reads rows only: nobody is asked."""

    help = "Tell everything that is known about one workspace. Credentials are left out."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which one, and in which form."""
        parser.add_argument("workspace", metavar="ID|NAME", help="id, name, or organization/project/name")
        parser.add_argument("--json", action="store_true", help="one JSON document")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Tell it, section after section."""
        told = dossier(selection.workspace(options["workspace"]), timezone.now())
        if options["json"]:
            self.stdout.write(json.dumps(told, default=str, indent=1))
            return
        for name, rows in told.items():
            self.stdout.write(f"\n{name} ({len(rows)})")
            for number, row in enumerate(rows):
                if number:
                    self.stdout.write("  -")
                for column, value in row.items():
                    if value not in ("", None, [], {}):
                        self.stdout.write(f"  {column}: {value}")
