"""Why a step waits or failed, in words: the codes of operations/diagnosis, of preflight and of the providers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from workspaces.rules.preflight import TITLES

_WORDS: Final[Mapping[str, str]] = {
    # Of the control plane.
    "paused": "Kamaji is told to leave this control plane alone",
    "data_store_not_ready": "the control plane's data store is not ready",
    "surge_pods_pending": "the management cluster has no place for the new control plane",
    "image_cannot_be_pulled": "an image of this version cannot be pulled",
    "control_plane_crashes": "the control plane of this version crashes",
    "tenant_unreachable": "the workspace's API server does not answer",
    # Of a host.
    "budget_blocks": "a disruption budget allows no eviction now",
    "budget_never_yields": "a disruption budget never allows an eviction",
    # Of every call.
    "credential": "a credential is refused",
    "quota": "a limit of the cloud account is reached",
    "no_capacity": "the vendor has none of these left there",
    "name_taken": "another server has this name",
    "price_changed": "the price is not the confirmed one any more",
    "overdue": "nobody looks at it",
    "rate_limit": "the vendor limits how often it is asked",
    "cloud_api": "the vendor's API reports a fault",
    "not_found": "what it works on does not exist any more",
    "conflict": "something else stands against it",
    "unreachable": "there is no connection",
    "package_lock": "another program holds the host's package lock",
    "configuration": "a setting is wrong",
    "preflight_failed": "the preflight found what stands in the way",
}


def in_words(code: str) -> str:
    """The cause inside a sentence; a code without words of its own is shown as it is, with spaces. "" stays ""."""
    if code in TITLES:
        return f"the check “{TITLES[code]}” does not pass"
    return _WORDS.get(code, code.replace("_", " "))
