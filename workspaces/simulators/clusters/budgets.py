"""Disruption budgets and evictions: what the disruption controller computes and what the eviction subresource answers.

After kubernetes pkg/registry/core/pod/storage/eviction.go and pkg/controller/disruption.
"""

import math
from collections.abc import Callable
from typing import Any

from workspaces.simulators.clusters import errors
from workspaces.simulators.clusters.api import Api
from workspaces.simulators.clusters.kinds import BUDGETS, DEPLOYMENTS, PODS, STATEFUL_SETS
from workspaces.simulators.clusters.pods import controller, is_ready, terminating
from workspaces.simulators.clusters.requests import Answer, Call, decode
from workspaces.simulators.clusters.selectors import matches
from workspaces.simulators.clusters.store import Change, Document, timestamp
from workspaces.simulators.clusters.timers import Timers

TWO_BUDGETS = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."

OBSERVE_SECONDS = 0.05
"""How long at least a new or changed budget is "still being processed"."""


class Budgets:
    """The budgets of one tenant; `stubborn` says whether a fault keeps every budget from yielding."""

    def __init__(self, api: Api, timers: Timers, stubborn: Callable[[], bool]) -> None:
        self._api, self._store, self._timers, self._stubborn = api, api.store, timers, stubborn
        api.hooks["pods", "eviction"] = self.evict
        api.store.subscribe(self._changed)

    def _changed(self, change: Change) -> None:
        namespace = change.document["metadata"].get("namespace", "")
        if change.resource == PODS:
            for budget in self._store.list(BUDGETS, namespace):
                labels = change.document["metadata"].get("labels", {})
                if matches(budget["spec"].get("selector"), labels):
                    self._settle_soon(namespace, budget["metadata"]["name"])
        elif change.resource == BUDGETS and change.kind != "DELETED":
            name = change.document["metadata"]["name"]
            phases = max(0.1, OBSERVE_SECONDS / self._timers.phase)
            self._timers.after(("budget", namespace, name), phases, lambda: self._settle(namespace, name))

    def _settle_soon(self, namespace: str, name: str) -> None:
        self._timers.soon(("budget", namespace, name), lambda: self._settle(namespace, name))

    def settle_all(self) -> None:
        for budget in self._store.list(BUDGETS):
            self._settle(budget["metadata"]["namespace"], budget["metadata"]["name"])

    def _settle(self, namespace: str, name: str) -> None:
        budget = self._store.get(BUDGETS, namespace, name)
        if budget is not None:
            status = self._status(budget)
            self._store.edit(BUDGETS, namespace, name, lambda document: document.update(status=status))

    def _pods(self, budget: Document) -> list[Document]:
        selector, pods = budget["spec"].get("selector"), self._store.list(PODS, budget["metadata"]["namespace"])
        return [p for p in pods if matches(selector, p["metadata"].get("labels", {}))]

    def _status(self, budget: Document) -> Document:
        spec, pods = budget["spec"], self._pods(budget)
        pods = [p for p in pods if p["status"].get("phase") not in ("Succeeded", "Failed")]
        expected = len(pods)
        if "maxUnavailable" in spec or isinstance(spec.get("minAvailable"), str):
            expected = self._expected(pods)
        healthy = sum(is_ready(p) and not terminating(p) for p in pods)
        if "maxUnavailable" in spec:
            desired = max(0, expected - _scaled(spec["maxUnavailable"], expected))
        else:
            desired = _scaled(spec.get("minAvailable", 1), expected)
        if self._stubborn():
            desired = max(desired, healthy)
        allowed = max(0, healthy - desired) if expected else 0
        condition: dict[str, Any] = {
            "type": "DisruptionAllowed",
            "status": "True" if allowed else "False",
            "observedGeneration": budget["metadata"]["generation"],
            "lastTransitionTime": timestamp(),
            "reason": "SufficientPods" if allowed else "InsufficientPods",
            "message": "",
        }
        for held in budget.get("status", {}).get("conditions", ()):
            if held["status"] == condition["status"]:
                condition["lastTransitionTime"] = held["lastTransitionTime"]
        return {
            "observedGeneration": budget["metadata"]["generation"],
            "disruptionsAllowed": allowed,
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "expectedPods": expected,
            "conditions": [condition],
        }

    def _expected(self, pods: list[Document]) -> int:
        """What the controllers of the pods want, and the pods without one."""
        owners, alone = {}, 0
        for pod in pods:
            owner = controller(pod)
            if not owner:
                alone += 1
                continue
            owners[owner["uid"]] = (owner, pod["metadata"]["namespace"])
        return alone + sum(self._wanted(owner, namespace, pods) for owner, namespace in owners.values())

    def _wanted(self, owner: Document, namespace: str, pods: list[Document]) -> int:
        kind, name = owner["kind"], owner["name"]
        resource = STATEFUL_SETS if kind == "StatefulSet" else DEPLOYMENTS
        name = name if kind == "StatefulSet" else name.rpartition("-")[0]
        document = self._store.get(resource, namespace, name)
        if document is None:
            return sum(controller(p).get("uid") == owner["uid"] for p in pods)
        return int(document["spec"].get("replicas", 1))

    # The eviction subresource -------------------------------------------------------------------------------------

    def evict(self, call: Call) -> Answer:
        """POST pods/{name}/eviction: 201, or the refusals 400, 404, 409, 429 and 500."""
        body = decode(call, "Eviction")
        metadata = body.get("metadata", {})
        if metadata.get("name") != call.name:
            raise errors.bad_request("name in URL does not match name in Eviction object")
        if metadata.get("namespace") not in (None, "", call.namespace):
            raise errors.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        pod = self._api.existing(call)
        options = body.get("deleteOptions") or {}
        self._check_preconditions(pod, options.get("preconditions") or {})
        dry_run = call.dry_run or options.get("dryRun") == ["All"]
        if not terminating(pod) and pod["status"].get("phase") not in ("Pending", "Succeeded", "Failed"):
            self._ask_budget(pod, dry_run)
        if not dry_run:
            self._evict(pod, options.get("gracePeriodSeconds"))
        return Answer(201, errors.success(code=201))

    def _check_preconditions(self, pod: Document, wanted: Document) -> None:
        for field, label in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
            found = pod["metadata"][field]
            if wanted.get(field) and wanted[field] != found:
                raise errors.precondition(PODS, pod["metadata"]["name"], label, wanted[field], found)

    def _evict(self, pod: Document, grace: int | None) -> None:
        if not terminating(pod):
            condition = {
                "type": "DisruptionTarget",
                "status": "True",
                "lastProbeTime": None,
                "lastTransitionTime": timestamp(),
                "reason": "EvictionByEvictionAPI",
                "message": "Eviction API: evicting",
            }
            status = pod["status"]
            pod = {**pod, "status": {**status, "conditions": [*status.get("conditions", ()), condition]}}
        self._api.deletion.delete_pod(pod, grace)

    def _ask_budget(self, pod: Document, dry_run: bool) -> None:
        labels = pod["metadata"].get("labels", {})
        held = self._store.list(BUDGETS, pod["metadata"]["namespace"])
        budgets = [b for b in held if matches(b["spec"].get("selector"), labels)]
        if len(budgets) > 1:
            raise errors.ApiError(500, TWO_BUDGETS)
        if not budgets:
            return
        budget = budgets[0]
        name, status = budget["metadata"]["name"], budget["status"]
        if status.get("observedGeneration", 0) < budget["metadata"]["generation"]:
            raise errors.over_budget(f"The disruption budget {name} is still being processed by the server.", 10)
        if not is_ready(pod) and self._may_go_unready(budget):
            return
        if self._stubborn():
            status = self._status(budget)
        if status["disruptionsAllowed"] <= 0:
            needs, has = status["desiredHealthy"], status["currentHealthy"]
            raise errors.over_budget(f"The disruption budget {name} needs {needs} healthy pods and has {has} currently")
        if not dry_run:
            left = {**status, "disruptionsAllowed": status["disruptionsAllowed"] - 1}
            namespace = budget["metadata"]["namespace"]
            self._store.edit(BUDGETS, namespace, name, lambda document: document.update(status=left))

    def _may_go_unready(self, budget: Document) -> bool:
        """unhealthyPodEvictionPolicy: AlwaysAllow, or IfHealthyBudget with enough healthy pods."""
        if budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
            return True
        status = budget["status"]
        return bool(status["currentHealthy"] >= status["desiredHealthy"] > 0)


def _scaled(value: int | str, expected: int) -> int:
    if isinstance(value, str):
        return math.ceil(expected * int(value.rstrip("%")) / 100)
    return value
