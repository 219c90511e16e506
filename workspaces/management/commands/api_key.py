"""`manage.py api_key create`: a key for a script, made on a machine of the platform. The console's page: `api_keys`."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.core.management.base import BaseCommand, CommandError
from django.db import models
from django.utils import timezone

from workspaces.models import Account, Actor, ApiKey, Organization, Project, acting
from workspaces.models.members import Scope
from workspaces.rules import members as rules
from workspaces.rules import permissions


class Command(BaseCommand):
    """Makes API keys."""

    help = "Make an API key: `api_key create --name ci --organization 'Kestrel Freight' --role viewer --created-by …`."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where, with which role, in whose name, and for how long."""
        create = parser.add_subparsers(dest="action", required=True).add_parser("create", help="Make a key.")
        create.add_argument("--name", required=True)
        where = create.add_mutually_exclusive_group(required=True)
        where.add_argument("--organization", help="name or id; the key counts in all its projects")
        where.add_argument("--project", help="name or id; the key counts there only")
        create.add_argument("--role", required=True, choices=permissions.ROLES)
        create.add_argument("--created-by", required=True, metavar="EMAIL", help="who answers for it")
        create.add_argument(
            "--days", type=int, default=rules.KEY_DAYS, help=f"life, 1 to {rules.KEY_DAYS_AT_MOST}; default %(default)s"
        )
        create.add_argument("--json", action="store_true", help="write JSON")
        create.add_argument("--dry-run", action="store_true", help="say what would be made, and make nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make the key and write it once, on standard output."""
        scope, maker, name = _scope(options), _maker(options["created_by"]), options["name"].strip()
        if not 1 <= options["days"] <= rules.KEY_DAYS_AT_MOST:
            raise CommandError(f"--days: a number from 1 to {rules.KEY_DAYS_AT_MOST}.")
        if not 1 <= len(name) <= 100:
            raise CommandError("--name: 1 to 100 characters.")
        own = scope.roles_of(maker)
        if not any(permissions.allows(role, "api_keys.manage") for role in own):
            raise CommandError(f"{maker} manages no API keys of {scope}.")
        if refused := rules.may_grant(own, options["role"]):
            raise CommandError(refused.message)
        now = timezone.now()
        expires = now + timedelta(days=options["days"])
        text = "" if options["dry_run"] else _issue(name, scope, options["role"], maker, expires)
        self._say(options, name, scope, expires.isoformat(timespec="seconds"), text)

    def _say(self, options: dict[str, Any], name: str, scope: Scope, expires: str, text: str) -> None:
        document = {
            "name": name,
            "organization": str(scope.organization),
            "project": str(scope.project) if scope.project else None,
            "role": options["role"],
            "expires_at": expires.replace("+00:00", "Z"),
            "dry_run": options["dry_run"],
            "key": text or None,
        }
        if options["json"]:
            self.stdout.write(json.dumps(document))
        elif options["dry_run"]:
            self.stdout.write(f"Would make {name}: {options['role']} of {scope} until {document['expires_at']}.")
        else:
            self.stderr.write(f"Made {name}: {options['role']} of {scope} until {document['expires_at']}. Shown once:")
            self.stdout.write(text)


def _issue(name: str, scope: Scope, role: str, maker: Account, expires: Any) -> str:
    with acting(Actor.of_command("api_key")):
        try:
            return ApiKey.issue(
                name=name,
                organization=scope.organization,
                project=scope.project,
                role=role,
                created_by=maker,
                expires_at=expires,
            )[1]
        except PermissionDenied as error:  # the maker lost the role a moment ago
            raise CommandError(str(error)) from None


def _scope(options: dict[str, Any]) -> Scope:
    if options["organization"]:
        return Scope(_named(Organization.objects.all(), options["organization"]))
    project = _named(Project.objects.select_related("organization"), options["project"])
    return Scope(project.organization, project)


def _named[Row: models.Model](rows: models.QuerySet[Row], said: str) -> Row:
    """The one row of that name or id; CommandError without one, or when several projects have the name."""
    try:
        found = list(rows.filter(pk=UUID(said)))
    except ValueError:
        found = list(rows.filter(name=said)[:2])
    noun = rows.model._meta.verbose_name
    if not found:
        raise CommandError(f"There is no {noun} {said}.")
    if len(found) > 1:
        raise CommandError(f"More than one {noun} is called {said}. Give the id.")
    return found[0]


def _maker(email: str) -> Account:
    maker = Account.objects.filter(email__iexact=email, is_active=True).first()
    if maker is None:
        raise CommandError(f"There is no active account {email}.")
    return maker
