"""The console's pages and the API on ten thousand workspaces, each beside the least an answer of its size costs."""

from __future__ import annotations

import itertools
from typing import Any

from django.test import Client

from tests import cast
from tests.benchmarks.measuring import Case
from workspaces.models import Account, ApiKey, MaintenancePlan, Workspace

MERGE = "application/merge-patch+json"


def cases(alice: Account) -> list[Case]:
    """All of them, for a signed-in administrator and a script with an administrator's key."""
    browser = cast.sign_in(Client(), alice)
    _, text = ApiKey.issue(
        name="ci", organization=cast.organization("Kestrel Freight"), role="administrator", created_by=alice
    )
    script = Client(headers={"Authorization": f"Bearer {text}"})
    workspace = Workspace.objects.select_related("maintenance_plan").get(name="workspace-00001")
    return [*_reading(browser, workspace), _save(browser, workspace), *_api(script, workspace)]


def _reading(browser: Client, workspace: Workspace) -> list[Case]:
    own = f"/workspaces/{workspace.pk}"
    fragment = {"HX-Request": "true"}
    wanted: list[tuple[str, str, dict[str, str], str, tuple[float, float]]] = [
        ("fleet, 50 of 10,000", "/workspaces", {}, "listing", (633, 8.4)),
        ("fleet, its fragment", "/workspaces?sort=version", fragment, "listing", (333, 8.4)),
        ("fleet, searched", "/workspaces?q=009", {}, "listing", (633, 8.4)),
        ("fleet, by next window", "/workspaces?sort=window", {}, "listing", (633, 8.4)),
        ("fleet, last page", "/workspaces?page=200", {}, "listing", (633, 8.4)),
        ("calendar, 20 of 10,000", "/maintenance", {}, "listing", (633, 8.4)),
        ("calendar, over the limit", "/maintenance?show=over", {}, "listing", (633, 8.4)),
        ("calendar, searched", "/maintenance?q=009", {}, "listing", (633, 8.4)),
        ("propose hours, of 9,800", "/maintenance/proposal?weekday=2&hour=2", {}, "listing", (633, 8.4)),
        ("overview", own, {}, "detail", (115, 3.3)),
        ("maintenance", f"{own}/maintenance", {}, "detail", (115, 3.3)),
        ("version", f"{own}/version", {}, "detail", (115, 3.3)),
        ("operations", "/operations", {}, "detail", (115, 3.3)),
    ]
    return [_page(browser, *one) for one in wanted]


def _page(browser: Client, name: str, url: str, headers: dict[str, str], kind: str, peer: tuple[float, float]) -> Case:
    def run() -> Any:
        response = browser.get(url, headers=headers)
        assert response.status_code == 200, (url, response.status_code)
        return response

    size = len(run().content)
    return Case(name, run, lambda: browser.get(f"/least/{kind}/{size}"), peer=peer)


def _save(browser: Client, workspace: Workspace) -> Case:
    """The form with another hour each time; each save is a change with its event."""
    hours = itertools.cycle(range(24))
    form = {f"day_{day}": "3" for day in range(7)} | {"enabled": "on", "compute_auto": "on", "kubernetes_auto": "on"}

    def prepare() -> None:
        version = MaintenancePlan.objects.values_list("version", flat=True).get(pk=workspace.pk)
        form.update(version=str(version), priority_hour=str(next(hours)))

    def run() -> Any:
        response = browser.post(f"/workspaces/{workspace.pk}/maintenance", form)
        assert response.status_code == 303, response.status_code
        return response

    def limit() -> Any:
        return browser.post("/least/save", {"workspace": workspace.pk, "hour": next(hours)})

    return Case("maintenance, saved by form", run, limit, prepare, peer=(111, 1.6))


def _api(script: Client, workspace: Workspace) -> list[Case]:
    hours = itertools.cycle(range(24))

    def listing() -> Any:
        response = script.get("/api/v1/workspaces?limit=50")
        assert len(response.json()["items"]) == 50
        return response

    def patch() -> Any:
        url = f"/api/v1/workspaces/{workspace.pk}/maintenance"
        response = script.patch(url, f'{{"priority_hour": {next(hours)}}}', content_type=MERGE)
        assert response.status_code == 200, response.content
        return response

    def least_patch() -> Any:
        url = f"/least/api-patch?workspace={workspace.pk}&hour={next(hours)}"
        return script.patch(url, "{}", content_type=MERGE)

    return [
        Case("API, list of 50", listing, lambda: script.get("/least/api-list"), peer=(236, 1.9)),
        Case("API, PATCH one plan", patch, least_patch, peer=(249, 1.6)),
    ]
