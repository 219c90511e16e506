"""Which workspaces a command is about, and the place that they are in: by id, or by name where it is the only one."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from itertools import batched
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError
from django.db.models import Model, Q, QuerySet

from workspaces.models import Organization, Project, Workspace
from workspaces.models.workspace import WorkspaceQuerySet

BATCH = 200


def add_to(parser: ArgumentParser) -> None:
    """`--workspace …`, `--project` or `--organization`: one of them."""
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--workspace", nargs="+", metavar="ID|NAME", help="id, name, or organization/project/name")
    where.add_argument("--project", metavar="ID|NAME", help="all its workspaces; id, name, or organization/name")
    where.add_argument("--organization", metavar="ID|NAME", help="all its workspaces; id or name")


def chosen(options: dict[str, Any]) -> WorkspaceQuerySet:
    """The workspaces, by name; deleted ones are history. CommandError for what is not there."""
    rows = Workspace.objects.exclude(state="deleted")
    if options["workspace"]:
        rows = rows.filter(pk__in=[workspace(text).pk for text in options["workspace"]])
    elif options["project"]:
        rows = rows.filter(project=project(options["project"]))
    else:
        rows = rows.filter(project__organization=organization(options["organization"]))
    return rows.order_by("name", "pk")


def in_batches(rows: WorkspaceQuerySet) -> Iterator[tuple[Workspace, ...]]:
    """The workspaces with all that the planner's facts need, some at a time: fleets are larger than memory."""
    return batched(rows.with_plan().iterator(chunk_size=BATCH), BATCH, strict=False)


def workspace(text: str) -> Workspace:
    """The workspace of that id, name, or organization/project/name."""
    path = ("project__organization__name", "project__name", "name")
    rows = Workspace.objects.exclude(state="deleted").select_related("project__organization")
    return _one(rows, text, path)


def project(text: str) -> Project:
    """The project of that id, name, or organization/name."""
    return _one(Project.objects.select_related("organization"), text, ("organization__name", "name"))


def organization(text: str) -> Organization:
    """The organization of that id or name."""
    return _one(Organization.objects.all(), text, ("name",))


def _one[Row: Model](rows: QuerySet[Row], text: str, path: tuple[str, ...]) -> Row:
    parts = text.split("/")
    by_path = Q(**dict(zip(path, parts, strict=True))) if len(parts) == len(path) else Q(pk__in=[])
    try:
        named = Q(pk=UUID(text))
    except ValueError:
        named = Q(name=text) | by_path
    found, noun = list(rows.filter(named)[:2]), rows.model._meta.verbose_name
    if not found:
        raise CommandError(f"There is no {noun} {text}.")
    if len(found) > 1:
        raise CommandError(f"More than one {noun} is called {text}. Give the id, or the whole path.")
    return found[0]
