"""Kamaji's admission of TenantControlPlanes, with its quirks, and the faults that make it refuse or vanish.

Rules and texts follow Kamaji's source (internal/webhook/handlers). It compares with the OLD SPEC, not with what runs,
and with the patch number taken off: so patch downgrades and patches that do not exist pass.
"""

import re
from typing import Any

from workspaces.simulators.clusters.errors import denied_by_webhook, webhook_unreachable
from workspaces.simulators.clusters.kinds import CONTROL_PLANES, DATA_STORES
from workspaces.simulators.clusters.store import Store
from workspaces.simulators.faults import Faults

Document = dict[str, Any]
DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
FAULTS = ("webhook_down", "webhook_denied", "webhook_frozen")
"""webhook_frozen answers after the fault's `seconds`; Kubernetes gives a webhook 10 s."""
ADDRESS = "https://kamaji-webhook-service.kamaji-system.svc:443/mutate-kamaji-clastix-io-v1alpha1-tenantcontrolplane?timeout=10s"
CONFIGURATION_ERROR = (
    "the resulting Deployment will generate a configuration error, cannot proceed: "
    "spec.template.spec.containers[0].volumeMounts[0].mountPath: Required value"
)


class Unparsable(ValueError):
    """Kamaji's words for a version it cannot read."""


def parse(version: str) -> tuple[int, int, str]:
    """`v1.35.9-rc.1` -> (1, 35, "rc.1"): the patch number is taken off, a pre-release survives."""
    text = version.removeprefix("v")
    main, _, pre = text.partition("+")[0].partition("-")
    numbers = main.split(".")
    if not re.fullmatch(r"[0-9.]+", main):
        raise Unparsable("Invalid character(s) found in version")
    if len(numbers) != 3 or not all(numbers):
        raise Unparsable("No Major.Minor.Patch elements found")
    return int(numbers[0]), int(numbers[1]), pre


def rank(version: tuple[int, int, str]) -> tuple[int, int, bool, str]:
    """A key to compare by: a release comes after its pre-releases."""
    major, minor, pre = version
    return major, minor, not pre, pre


def printed(version: tuple[int, int, str]) -> str:
    return f"{version[0]}.{version[1]}.0" + (f"-{version[2]}" if version[2] else "")


class Webhook:
    """The mutating and the validating webhook of one management cluster; `highest` is the version compiled into
    Kamaji."""

    def __init__(self, store: Store, faults: Faults, cluster: str, highest: str) -> None:
        self._store, self._faults, self._cluster = store, faults, cluster
        self._highest = parse(highest)

    def down(self) -> bool:
        """Whether Kamaji's webhook cannot be reached now; no fault is used up by asking."""
        return self._faults.active("kubernetes", self._cluster, "webhook_down") is not None

    def mutate(self, document: Document) -> None:
        """What Kamaji fills in at creation: the DataStore, its schema and its user."""
        spec, metadata = document["spec"], document["metadata"]
        owner = f"{metadata['namespace']}_{metadata['name']}".replace("-", "_")
        spec.setdefault("dataStore", "default")
        spec.setdefault("dataStoreSchema", owner)
        spec.setdefault("dataStoreUsername", owner)

    def check_faults(self, method: str, path: str, tenant: str) -> None:
        for target in (self._cluster, tenant):
            fault = self._faults.hit("kubernetes", target, method, path, kinds=FAULTS)
            if fault is None:
                continue
            if fault.kind == "webhook_denied":
                raise denied_by_webhook(CONFIGURATION_ERROR)
            if fault.kind == "webhook_frozen":
                raise webhook_unreachable(f'Post "{ADDRESS}": context deadline exceeded', delay=fault.seconds)
            raise webhook_unreachable(f'Post "{ADDRESS}": dial tcp 10.96.0.31:443: connect: connection refused')

    def validate(self, document: Document, old: Document | None) -> None:
        """Raises the 403 of a refusal; `old` is None at creation."""
        wanted = document["spec"]["kubernetes"]["version"]
        try:
            desired = parse(wanted)
        except Unparsable as error:
            raise denied_by_webhook(f"unable to parse the desired Kubernetes version: {error}") from None
        self._check_name(document)
        if old is None:
            self._check_creation(desired)
        else:
            self._check_update(desired, old["spec"]["kubernetes"]["version"])
        self._check_data_store(document)

    def _too_new(self, version: tuple[int, int, str]) -> bool:
        return version[:2] > self._highest[:2]

    def _check_name(self, document: Document) -> None:
        name = document["metadata"]["name"]
        if not DNS_1035.fullmatch(name) or len(name) > 63:
            raise denied_by_webhook(
                "the provided name is invalid, a DNS-1035 label must consist of lower case alphanumeric characters or "
                "'-', start with an alphabetic character, and end with an alphanumeric character"
            )

    def _check_creation(self, desired: tuple[int, int, str]) -> None:
        if self._too_new(desired):
            raise denied_by_webhook(
                "unable to create a TenantControlPlane with a Kubernetes version greater than the supported one, "
                f"actually v{self._highest[0]}.{self._highest[1]}"
            )

    def _check_update(self, desired: tuple[int, int, str], old_version: str) -> None:
        try:
            previous = parse(old_version)
        except Unparsable as error:
            raise denied_by_webhook(f"unable to parse the previous Kubernetes version: {error}") from None
        if self._too_new(desired):
            supported = f"v{self._highest[0]}.{self._highest[1]}"
            raise denied_by_webhook(f"unable to upgrade to a version greater than the supported one ({supported})")
        if rank(desired) < rank(previous):
            was, now = printed(previous), printed(desired)
            raise denied_by_webhook(f"unable to downgrade a TenantControlPlane from {was} to {now}")
        if desired[:2] > (previous[0], previous[1] + 1):
            raise denied_by_webhook("unable to upgrade to a minor version in a non-sequential mode")

    def _check_data_store(self, document: Document) -> None:
        name = document["spec"].get("dataStore")
        if name and self._store.get(DATA_STORES, "", name) is None:
            raise denied_by_webhook(f"{name} DataStore does not exist")


def admit(webhook: Webhook | None, document: Document, old: Document | None, method: str, path: str) -> None:
    """Asks the webhook about a create or an update of a TenantControlPlane's main resource; without Kamaji all
    passes."""
    if webhook is None or document["kind"] != CONTROL_PLANES.kind:
        return
    metadata = document["metadata"]
    webhook.check_faults(method, path, f"{metadata['namespace']}/{metadata['name']}")
    webhook.validate(document, old)
