"""Preflights as rows, made of any checks: nobody has looked."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from tests import cast
from workspaces.models import Preflight, Workspace
from workspaces.rules.preflight import CODES, TITLES, Check

BLAST: dict[str, Any] = {
    "pods": 14,
    "hosts": [
        {"host": "ledger-prod-w1", "pods": 2, "names": ["shop/web-7d9f", "shop/cart-0"], "more": 0},
        {"host": "ledger-prod-w2", "pods": 12, "names": ["pay/api-1"], "more": 11},
        {"host": "ledger-prod-w3", "pods": 0, "names": [], "more": 0},
    ],
    "single_replica": ["shop/web (Deployment, 1 replica)"],
    "bare": ["tools/debug"],
    "budgets": [{"budget": "pay/api", "allowed": 0, "healthy": 2, "needed": 2, "pods": 1}],
}
# As rules/preflight has them: warnings block nobody, and of these no person may take the risk of a failure.
WARNINGS = ("admission_webhooks", "control_plane_replicas", "capacity", "pinned_addons")
FINAL = ("control_plane", "data_store", "no_open_operation", "version_skew", "credentials")


def check(code: str, result: Any = "pass", at: datetime = cast.NOW, **fields: Any) -> Check:
    """A check with evidence that names it."""
    values: dict[str, Any] = {
        "title": TITLES[code],
        "evidence": f"Evidence of {code}.",
        "blocks": code not in WARNINGS,
        "acceptable": code not in FINAL or (result == "cannot_tell" and code in ("control_plane", "data_store")),
    }
    return Check(code=code, result=result, observed_at=at, **(values | fields))


def finished(
    workspace: Workspace, target: str = "1.35.7", *, ago: timedelta = timedelta(minutes=3), **results: Any
) -> Preflight:
    """One that ended `ago`: every check passed, but for `results` by code (a result or a check)."""
    at = cast.NOW - ago
    checks = [results.get(code, "pass") for code in CODES]
    documents = [
        (one if isinstance(one, Check) else check(code, one, at)).document()
        for code, one in zip(CODES, checks, strict=True)
    ]
    return Preflight.objects.create(
        workspace=workspace,
        target=target,
        asked_by="Alice Ahrens",
        asked_at=at,
        finished_at=at,
        checks=documents,
        blast=BLAST,
    )


def running(workspace: Workspace, target: str = "1.35.7", *, ago: timedelta = timedelta(seconds=4)) -> Preflight:
    """One that nobody has ended yet."""
    return Preflight.objects.create(
        workspace=workspace, target=target, asked_by="Alice Ahrens", asked_at=cast.NOW - ago
    )
