"""How long upgrades and deletions took that succeeded: what `rules/estimate` and the pages go by."""

from __future__ import annotations

from datetime import timedelta
from statistics import median
from typing import Any, Final

from django.db.models import Count, DurationField, ExpressionWrapper, F, Max, Min, Q, Sum

from workspaces.models.operation import Operation
from workspaces.models.step import Step
from workspaces.rules.estimate import NEEDED, Durations

NEWEST: Final = 200
# The steps that move a control plane, from the first to the last.
_CONTROL_PLANE: Final = ("set_version", "roll_out", "confirm", "kubeadm_config")
# Between two steps a worker is woken. More than this lies between them when an upgrade was paused, stopped or failed
# and went on later: what that took is nobody's measure.
_BREAK: Final = timedelta(minutes=10)


def measured() -> Durations:
    """The newest 200 upgrades that succeeded: a sample a hop and one a host that moved in it, in seconds (one query).

    A host that was left out is none, and neither is a hop in which only the hosts left behind moved.
    """
    control_plane: list[float] = []
    host: list[float] = []
    for row in _rows():
        seconds = _host_seconds(row) if row["host"] else _control_plane_seconds(row)
        if seconds is not None:
            (host if row["host"] else control_plane).append(seconds)
    return Durations(tuple(control_plane), tuple(host))


def of_deletions() -> float | None:
    """Seconds that a deletion takes typically, by the newest 200 that succeeded; None: too few were (one query)."""
    took = ExpressionWrapper(F("finished_at") - F("started_at"), output_field=DurationField())
    done = Operation.objects.filter(kind="deletion", state="succeeded", started_at__isnull=False)
    spans = done.order_by("-finished_at").annotate(took=took).values_list("took", flat=True)[:NEWEST]
    return median(span.total_seconds() for span in spans) if len(spans) >= NEEDED else None


def _rows() -> Any:
    """One row a control plane and one a host, of each hop; the newest upgrade first."""
    newest = Operation.objects.filter(kind="upgrade", state="succeeded").order_by("-finished_at").values("pk")[:NEWEST]
    took = ExpressionWrapper(F("finished_at") - F("started_at"), output_field=DurationField())
    steps = Step.objects.filter(operation__in=newest).filter(~Q(host="") | Q(key__in=_CONTROL_PLANE))
    return (
        steps.order_by()
        .values("operation", "hop", "host")
        .annotate(
            spent=Sum(took, filter=Q(state="done")),
            begun=Min("started_at", filter=Q(key="set_version")),
            ended=Max("finished_at", filter=Q(key="kubeadm_config")),
            unfinished=Count("pk", filter=~Q(state="done") | Q(started_at=None) | Q(finished_at=None)),
            stayed=Count("pk", filter=Q(operation__parameters__from=F("operation__parameters__to"))),
            at=Max("operation__finished_at"),
        )
        .order_by("-at", "operation", "hop", "host")
    )


def _host_seconds(row: dict[str, Any]) -> float | None:
    """The sum of its steps; a pause lies between steps and is not in it."""
    return None if row["unfinished"] else float(row["spent"].total_seconds())


def _control_plane_seconds(row: dict[str, Any]) -> float | None:
    """From the start of the first step to the end of the last, unless it moved not at all or with a break."""
    if row["unfinished"] or row["stayed"] or row["begun"] is None or row["ended"] is None:
        return None
    span: timedelta = row["ended"] - row["begun"]
    return None if span - row["spent"] > _BREAK else span.total_seconds()
