"""`manage.py seed_demo`: fill a running simulated world and the database with the sample fleet, or link them again.

Used by `manage.py demo`. The first run makes the rows; later runs only store the world's addresses.
"""

from __future__ import annotations

import json
import secrets
import urllib.request
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from workspaces.management.fleet import rows, sample, seeding, upgrades, windows, world
from workspaces.models import Actor, Event, ManagementCluster, acting
from workspaces.operations import reconcile


class Command(BaseCommand):
    """Makes or links the sample fleet."""

    help = "Fill the simulated world and the database with the sample fleet (used by the demo)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where the world says that it is ready, how large the fleet is, and where to write the accounts."""
        parser.add_argument("--ready", type=Path, required=True, help="ready.json of the simulators")
        parser.add_argument("--data-dir", type=Path, required=True)
        parser.add_argument("--workspaces", type=int, default=60)
        parser.add_argument("--output", type=Path, required=True, help="gets accounts and API keys as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Post the world, make the rows once, link them."""
        fleet = sample.workspaces(options["workspaces"])
        control = json.loads(options["ready"].read_text())["control_url"]
        ready = _post(f"{control}/world", world.document(fleet))
        kept = options["data_dir"] / "accounts.json"
        who = Actor.of_command("seed_demo")
        with acting(who):
            first = not rows.exist()
            if first:
                password = secrets.token_urlsafe(12)
                # The keys cannot be read again: rows without this file would be worth nothing.
                with transaction.atomic():
                    _write(kept, {"accounts": _accounts(password), "api_keys": rows.create(fleet, password)})
            rows.connect(ready)
            if first:
                windows.record()
            Event.record(who, "fleet.connected", summary="Connected the sample fleet to the simulated world")
        if first:
            seeding.hold()
        # Before anybody is told that the demo is ready: without the running versions no upgrade would be offered.
        for key in ManagementCluster.objects.values_list("pk", flat=True):
            reconcile.look_at_control_planes(key)
        if first:
            with acting(who):
                upgrades.record()
        _write(options["output"], json.loads(kept.read_text()))


def _accounts(password: str) -> list[dict[str, str]]:
    return [{"email": email, "password": password, "role": role} for email, _, role, _, _ in sample.PEOPLE]


def _post(url: str, document: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(url, json.dumps(document).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        loaded: dict[str, Any] = json.load(answer)
        return loaded


def _write(path: Path, document: dict[str, Any]) -> None:
    """Written whole or not at all, and readable by its owner only: it holds passwords."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(document, indent=2))
    temporary.chmod(0o600)
    temporary.replace(path)
