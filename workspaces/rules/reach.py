"""Whether one Kubernetes version can follow another: Kamaji's rule, `upgrade.from`, and how old a kubelet may be.

Kamaji's admission webhook takes one minor at a time, never a lower version, and none above the minor it was built for.
It sets the patch number to 0 before it compares, so refusing a lower patch is up to us. Everything here is about
versions; what else stands in a workspace's way is in `upgrades`.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from workspaces.rules.refusal import Refused
from workspaces.rules.versions import Precedence, is_version, minor_of, parse, parse_upgrade_from, precedence

# The oldest kubelet an API server serves is this many minors behind (Kubernetes version skew policy).
MAX_SKEW: Final = 3


def refuse_limits(running: str, target: str, kamaji_max: str) -> Refused | None:
    """What no route gets around: a version lower than the running one, or above the management cluster's maximum."""
    if precedence(target) < precedence(running):
        return unreachable(
            f"{target} is lower than {running}, which runs now. Kamaji does not go back.", running, target
        )
    if minor_of(target) > _limit(kamaji_max):
        known = f"up to {kamaji_max}" if kamaji_max else "up to a limit that is not configured"
        return unreachable(
            f"Kamaji in this management cluster accepts versions {known}. "
            "The operator raises the limit after updating Kamaji.",
            running,
            target,
        )
    return None


@lru_cache(maxsize=64)
def _limit(kamaji_max: str) -> tuple[int, int]:
    """The configured maximum by major and minor. Without one nothing is accepted: a guess would fail half-way."""
    return minor_of(f"{kamaji_max}.0") if is_version(f"{kamaji_max}.0") else (0, 0)


def refuse_step(current: str, target: str, upgrade_from: str) -> Refused | None:
    """What a longer route may get around: more than one minor, or an `upgrade.from` that does not admit `current`."""
    (major, minor), (to_major, to_minor) = minor_of(current), minor_of(target)
    if to_major != major or to_minor > minor + 1:
        return unreachable(
            f"Not reachable in one hop from {current}. Kamaji goes one minor at a time: {major}.{minor + 1} is next.",
            current,
            target,
        )
    if as_kamaji_compares(target) < as_kamaji_compares(current):
        return unreachable(
            f"Kamaji does not look at the patch number and takes {target} for lower than {current}.", current, target
        )
    try:
        origin = parse_upgrade_from(upgrade_from)
    except ValueError:
        return unreachable("Its upgrade.from cannot be read. Support staff correct it.", current, target)
    if origin.admits(current):
        return None
    return unreachable(
        f"Not reachable in one hop. It {origin.describe()}; this workspace runs {current}.", current, target
    )


@lru_cache(maxsize=1024)
def as_kamaji_compares(version: str) -> Precedence:
    """The order of the version in Kamaji's webhook: patch 0, pre-release kept, so 1.35.5-rc.1 counts as 1.35.0-rc.1."""
    return precedence(str(parse(version).replace(patch=0)))


def serves(control_plane: str, kubelet: str) -> bool:
    """Whether a control plane of this version still serves so old a kubelet."""
    major, minor = minor_of(control_plane)
    return minor_of(kubelet) >= (major, minor - MAX_SKEW)


def unreachable(message: str, running: str, target: str) -> Refused:
    """The one code for everything a version graph says no to."""
    return Refused("not_reachable", message, {"running": running, "target": target})


def refuse_newer_workers(running: str, target: str, kubelets: Sequence[str]) -> Refused | None:
    """A kubelet is never newer than the control plane it talks to."""
    newer = [kubelet for kubelet in kubelets if is_version(kubelet) and precedence(kubelet) > precedence(target)]
    if not newer:
        return None
    newest = max(newer, key=precedence).removeprefix("v")
    message = f"A host runs kubelet {newest}. A kubelet must not be newer than its control plane."
    return unreachable(message, running, target)


def refuse_old_workers(running: str, target: str, kubelets: Sequence[str]) -> Refused | None:
    """workers_too_old: before the control plane moves, every kubelet must be known and recent enough for it."""
    unknown = sum(not is_version(kubelet) for kubelet in kubelets)
    if unknown:
        return Refused(
            "workers_too_old",
            f"The kubelet version of {_hosts(unknown)} is not known. Reconciliation reads it once the host has joined.",
            {"unknown": unknown},
        )
    old = [kubelet for kubelet in kubelets if not serves(target, kubelet)]
    if not old:
        return None
    major, minor = minor_of(target)
    oldest = min(old, key=precedence).removeprefix("v")
    return Refused(
        "workers_too_old",
        f"{target} needs kubelet {major}.{minor - MAX_SKEW} or later. The kubelet of {_hosts(len(old))} is older "
        f"(oldest: {oldest}). Bring the workers up to {running} first.",
        {"target": target, "kubelets": sorted(set(old), key=precedence)},
    )


def _hosts(count: int) -> str:
    return "1 host" if count == 1 else f"{count} hosts"
