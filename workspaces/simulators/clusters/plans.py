"""What Kamaji makes of a control plane's spec before it does anything: what it can plan, and which changes count."""

import re

from workspaces.simulators.clusters.kubelets import minor_of
from workspaces.simulators.clusters.store import Change

HIGHEST_PATCH = 60
"""Images of higher patch numbers do not exist in any registry."""


def woken(change: Change) -> bool:
    """Whether a change of a control plane that rests touched more than its status and labels."""
    before = change.before
    return before is not None and before["metadata"].get("generation") != change.document["metadata"].get("generation")


def missing_image(version: str) -> bool:
    match = re.fullmatch(r"v\d+\.\d+\.(\d+)(-.*)?", version)
    return match is None or int(match[1]) > HIGHEST_PATCH


def plannable(installed: str, wanted: str) -> bool:
    """Kamaji plans an upgrade to the same or the next minor only; anything else stays Ready at the old version for
    ever."""
    old, new = minor_of(installed), minor_of(wanted)
    return new in (old, (old[0], old[1] + 1))
