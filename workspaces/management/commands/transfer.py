"""`manage.py transfer WORKSPACE… --to PROJECT`: move workspaces to another project, each in its own transaction.

It runs with the rights of whoever can run commands on a machine of the platform. What a move does is `models/transfer`.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from workspaces.models import Actor, Project, Transfer, Workspace, acting
from workspaces.models.transfer import move
from workspaces.models.transfer_preview import Preview, preview
from workspaces.models.transfer_proof import proof
from workspaces.rules.ids import as_id
from workspaces.rules.refusal import Refused


class Command(BaseCommand):
    """Previews and moves."""

    help = "Move workspaces to another project of their organization, and say what that changes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which workspaces, where to, and how to tell."""
        parser.add_argument("workspaces", nargs="+", metavar="WORKSPACE", help="its id, or organization/project/name")
        parser.add_argument("--to", required=True, metavar="PROJECT", help="its id, or organization/project")
        parser.add_argument("--dry-run", action="store_true", help="tell what would change, and change nothing")
        parser.add_argument("--json", action="store_true", dest="as_json", help="a JSON list, one entry a workspace")

    def handle(self, *args: Any, **options: Any) -> None:
        """Look everything up before the first move; exit with 1 when one was refused."""
        destination = _project(options["to"])
        chosen = [_workspace(text, destination) for text in options["workspaces"]]
        results = []
        with acting(Actor.of_command("transfer")):
            for workspace in chosen:
                results.append(_result(workspace, destination, dry_run=options["dry_run"]))
                if not options["as_json"]:
                    self.stdout.write("\n".join(_in_words(results[-1])))
        if options["as_json"]:
            self.stdout.write(json.dumps(results, indent=2, default=str))
        refused = sum(result["refused"] is not None for result in results)
        if refused:
            raise CommandError(f"{refused} of {len(results)} refused.")


def _result(workspace: Workspace, destination: Project, *, dry_run: bool) -> dict[str, Any]:
    """What would change, or has: the preview's document with `moved`, and the proof of a move."""
    seen = preview(workspace, destination, timezone.now())
    if dry_run or seen.refused:
        return _told(seen, seen.refused) | {"proof": None}
    done = move(
        workspace,
        destination,
        by=Actor.of_command("transfer"),
        caller=None,
        expected_fingerprint=seen.fingerprint,
    )
    if isinstance(done, Transfer):
        return _told(seen, None) | {"moved": True, "proof": proof(done, timezone.now()).document()}
    return _told(seen, done) | {"proof": None}


def _told(seen: Preview, refused: Refused | None) -> dict[str, Any]:
    why = {"code": refused.code, "message": refused.message} if refused else None
    return seen.document() | {"refused": why, "moved": False}


def _in_words(result: dict[str, Any]) -> list[str]:
    """One line about the workspace, one for each identity whose rights change."""
    source, name = result["source"]["name"], result["workspace"]["name"]
    way = f"{name}: from {source} to {result['destination']['name']}"
    if result["refused"]:
        return [f"{way}: refused ({result['refused']['code']}). {result['refused']['message']}"]
    lines = [f"{way}: {'moved' if result['moved'] else 'would move'}"]
    for one in result["identities"]:
        if one["effect"] != "same":
            words = one["effect"].replace("_", " ")
            lines.append(f"  {one['name']} {words} ({one['role_before']} before, {one['role_after']} after)")
    lines += [f"  kubeconfig of {one['requested_by']} stays valid" for one in result["kubeconfigs"]]
    if result["proof"]:
        rights = result["proof"]["compared"]["rights"]
        verdict = "as predicted" if result["proof"]["holds"] else "NOT as predicted"
        lines.append(f"  {rights} rights compared: {verdict}")
    return lines


def _workspace(text: str, destination: Project) -> Workspace:
    """The workspace of that id or organization/project/name, in the destination's organization."""
    rows = Workspace.objects.select_related("project__organization")
    if pk := as_id(text):
        found = rows.filter(pk=pk).first()
    else:
        organization, project, name = _parts(text, 3, "organization/project/name")
        rows = rows.exclude(state="deleted")  # whose name another one may have by now
        found = rows.filter(project__organization__name=organization, project__name=project, name=name).first()
    if found is None:
        raise CommandError(f"There is no workspace {text}.")
    if found.project.organization_id != destination.organization_id:
        raise CommandError(f"{text} stays in its organization: {destination} belongs to {destination.organization}.")
    return found


def _project(text: str) -> Project:
    rows = Project.objects.select_related("organization")
    if pk := as_id(text):
        found = rows.filter(pk=pk).first()
    else:
        organization, name = _parts(text, 2, "organization/project")
        found = rows.filter(organization__name=organization, name=name).first()
    if found is None:
        raise CommandError(f"There is no project {text}.")
    return found


def _parts(text: str, number: int, form: str) -> list[str]:
    parts = text.split("/")
    if len(parts) != number:
        raise CommandError(f"{text} is neither an id nor of the form {form}.")
    return parts
