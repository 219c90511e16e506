"""GET /metrics of an API server: the deprecated APIs asked for since its start, among the lines every server has."""

import time

from workspaces.simulators.clusters.requests import Place
from workspaces.simulators.clusters.store import Document

DEPRECATED = {
    ("", "v1", "componentstatuses"): ("", "v1 ComponentStatus is deprecated in v1.19+"),
    ("", "v1", "endpoints"): ("", "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"),
}
HEAD = """\
# HELP apiserver_requested_deprecated_apis [STABLE] Gauge of deprecated APIs that have been requested, broken out by \
API group, version, resource, subresource, and removed_release.
# TYPE apiserver_requested_deprecated_apis gauge
"""
OTHERS = """\
# HELP aggregator_discovery_aggregation_count_total [ALPHA] Counter of number of times discovery was aggregated
# TYPE aggregator_discovery_aggregation_count_total counter
aggregator_discovery_aggregation_count_total 41
# HELP apiserver_audit_event_total [ALPHA] Counter of audit events generated and sent to the audit backend.
# TYPE apiserver_audit_event_total counter
apiserver_audit_event_total 0
# HELP apiserver_current_inflight_requests [STABLE] Maximal number of currently used inflight request limit of this \
apiserver per request kind in last second.
# TYPE apiserver_current_inflight_requests gauge
apiserver_current_inflight_requests{request_kind="mutating"} 0
apiserver_current_inflight_requests{request_kind="readOnly"} 3
"""
TAIL = """\
# HELP apiserver_request_total [STABLE] Counter of apiserver requests broken out for each verb, dry run value, group, \
version, resource, scope, component, and HTTP response code.
# TYPE apiserver_request_total counter
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="pods",scope="resource",\
subresource="",verb="GET",version="v1"} 1182
apiserver_request_total{code="200",component="apiserver",dry_run="",group="coordination.k8s.io",resource="leases",\
scope="resource",subresource="",verb="PUT",version="v1"} 52310
apiserver_request_total{code="404",component="apiserver",dry_run="",group="",resource="configmaps",scope="resource",\
subresource="",verb="GET",version="v1"} 7
# HELP process_start_time_seconds [STABLE] Start time of the process since unix epoch in seconds.
# TYPE process_start_time_seconds gauge
"""
LAST = """\
# HELP workqueue_queue_duration_seconds [ALPHA] How long in seconds an item stays in workqueue before being requested.
# TYPE workqueue_queue_duration_seconds histogram
workqueue_queue_duration_seconds_bucket{name="APIServiceRegistrationController",le="1e-08"} 0
workqueue_queue_duration_seconds_bucket{name="APIServiceRegistrationController",le="+Inf"} 34
workqueue_queue_duration_seconds_sum{name="APIServiceRegistrationController"} 0.0021
workqueue_queue_duration_seconds_count{name="APIServiceRegistrationController"} 34
"""


class Metrics:
    """One process's counters, since `started` (seconds since the epoch).

    `asked` holds (group, version, resource, subresource, removed_release).
    """

    def __init__(self) -> None:
        self.asked: set[tuple[str, str, str, str, str]] = set()
        self.started = time.time()

    def add(self, api: Document) -> None:
        """A deprecated API of the world: group, version, resource, removed_release and perhaps subresource."""
        key = (api["group"], api["version"], api["resource"], api.get("subresource", ""), api["removed_release"])
        self.asked.add(key)

    def note(self, place: Place) -> str:
        """Counts a request when what it asks for is deprecated; the text of its Warning header, or ""."""
        found = DEPRECATED.get((place.group, place.version, place.plural))
        if found is None:
            return ""
        removed, warning = found
        self.asked.add((place.group, place.version, place.plural, place.subresource, removed))
        return warning

    def restart(self) -> None:
        """A new process knows nothing of what the old one was asked."""
        self.asked.clear()
        self.started = time.time()

    def text(self) -> str:
        lines = [
            f'apiserver_requested_deprecated_apis{{group="{group}",removed_release="{removed}",resource="{resource}",'
            f'subresource="{subresource}",version="{version}"}} 1\n'
            for group, version, resource, subresource, removed in sorted(self.asked)
        ]
        start = f"process_start_time_seconds {self.started:.11e}\n"
        return OTHERS + (HEAD + "".join(lines) if lines else "") + TAIL + start + LAST
