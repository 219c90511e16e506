"""What Prometheus scrapes: the state of the fleet, of operations and of the queue, counted in the database when asked.

Nothing is kept in a process, so every web process gives the same answer. Per-request times are in the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Any

from django.conf import settings
from django.db.models import Count, DateTimeField, DurationField, ExpressionWrapper, F, Min, Q, Value
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from workspaces.models import Drift, LeftServer, Look, Operation, Workspace
from workspaces.models.workspace import too_old
from workspaces.operations import queues
from workspaces.rules import lifecycle, looks


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """The figures, for whoever holds LOOPBACK_METRICS_TOKEN; 404 while no token is set."""
    token = settings.LOOPBACK_METRICS_TOKEN
    if not token:
        raise Http404
    if not compare_digest(request.headers.get("Authorization", "").encode(), f"Bearer {token}".encode()):
        return HttpResponse("Send the token as “Authorization: Bearer …”.\n", content_type="text/plain", status=401)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Figures(timezone.now()))
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class Figures(Collector):
    """Every figure, as of `now`."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """Count (seven queries, and the queue's round trips)."""
        yield from self._fleet()
        yield from self._operations()
        yield from self._looks()
        yield from self._queue()

    def _fleet(self) -> Iterator[Metric]:
        looked_at = Workspace.objects.filter(state__in=("active", "gated", "error", "deletion_scheduled"))
        by_state = Workspace.objects.order_by().values_list("type", "state").annotate(number=Count("pk"))
        yield _gauge("workspaces", "Workspaces by type and state.", ("type", "state"), by_state)
        counted = looked_at.aggregate(
            attention=Count("pk", filter=~Q(attention="")),
            stale=Count("pk", filter=too_old(self._now)),
        )
        yield GaugeMetricFamily(
            "loopback_workspaces_attention", "Workspaces a person should look at.", counted["attention"]
        )
        yield GaugeMetricFamily(
            "loopback_workspaces_stale", "Workspaces not seen for two periods of reconciliation.", counted["stale"]
        )
        yield GaugeMetricFamily(
            "loopback_left_servers", "Servers under our labels that no host has.", LeftServer.objects.count()
        )

    def _operations(self) -> Iterator[Metric]:
        counted = list(Operation.objects.order_by().values_list("kind", "state").annotate(number=Count("pk")))
        still = [row for row in counted if row[1] in lifecycle.OPEN]
        ended = [row for row in counted if row[1] not in lifecycle.OPEN]
        yield _gauge("operations_open", "Operations that have not ended.", ("kind", "state"), still)
        family = CounterMetricFamily("loopback_operations_ended", "Operations that ended.", labels=("kind", "state"))
        for kind, state, number in ended:
            family.add_metric((kind, state), number)
        yield family
        yield GaugeMetricFamily(
            "loopback_operations_waiting_for_a_person",
            "Failed operations that nothing has replaced.",
            Operation.objects.waiting_for_a_person().count(),
        )

    def _looks(self) -> Iterator[Metric]:
        periods = ExpressionWrapper(F("every") * Value(timedelta(seconds=looks.PERIODS)), output_field=DurationField())
        oldest = ExpressionWrapper(Value(self._now) - periods, output_field=DateTimeField())
        late = Q(succeeded_at=None) | Q(succeeded_at__lte=oldest)
        by_kind = Look.objects.order_by().values("kind")
        counted = {row["kind"]: row for row in by_kind.annotate(at=Min("succeeded_at"), late=Count("pk", filter=late))}
        ages = [(kind, (self._now - row["at"]).total_seconds()) for kind, row in counted.items() if row["at"]]
        yield _gauge("look_age_seconds", "Age of the oldest look that saw something.", ("kind",), ages)
        numbers = [(kind, counted[kind]["late"] if kind in counted else 0) for kind in looks.LOOPS]
        yield _gauge("looks_late", "Targets that were not seen for two periods.", ("kind",), numbers)
        failing = Look.objects.exclude(error_code="").order_by().values_list("kind", "error_code")
        by_code = failing.annotate(number=Count("pk"))
        yield _gauge("looks_failing", "Targets whose last look failed, by cause.", ("kind", "code"), by_code)
        drift = Drift.objects.open().order_by().values_list("kind", "policy").annotate(number=Count("pk"))
        yield _gauge("drift_open", "Fields that are not as wanted, by what becomes of them.", ("kind", "policy"), drift)

    def _queue(self) -> Iterator[Metric]:
        seen = queues.look(self._now)
        yield GaugeMetricFamily("loopback_queue_up", "Whether Redis answers.", float(not seen.trouble))
        waits = [(one.name, (self._now - one.oldest).total_seconds() if one.oldest else 0.0) for one in seen.queues]
        yield _gauge("queue_depth", "Jobs that wait.", ("queue",), ((one.name, one.depth) for one in seen.queues))
        yield _gauge("queue_oldest_seconds", "How long the oldest job has waited.", ("queue",), waits)
        yield _gauge("queue_failed", "Failed jobs.", ("queue",), ((one.name, one.failed) for one in seen.queues))
        yield _gauge("workers_alive", "Living workers.", ("queue",), ((one.name, one.workers) for one in seen.queues))
        if seen.scheduler_heard_at:
            silent = (self._now - seen.scheduler_heard_at).total_seconds()
            yield GaugeMetricFamily("loopback_scheduler_silent_seconds", "Since the scheduler was heard.", silent)


def _gauge(name: str, text: str, labels: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> Metric:
    """A gauge from rows of labels and, last, the number."""
    family = GaugeMetricFamily(f"loopback_{name}", text, labels=labels)
    for *values, number in rows:
        family.add_metric([str(value) for value in values], number)
    return family
