"""The compute profiles of one workspace at their largest: 500 at 6 locations under an agreement of 200 clauses."""

from __future__ import annotations

from typing import Any

from django.test import Client
from django.utils import timezone

from tests import cast
from tests.benchmarks.measuring import Case
from tests.views import price_rows
from workspaces.models import Account, ProviderAccount, Workspace

# What the page may take of a server, in milliseconds.
LIMIT = 200
FRAGMENT = {"HX-Request": "true"}


def cases(alice: Account) -> list[Case]:
    """The page, the table after a filter, the save bar after a choice, and three side by side."""
    workspace = Workspace.objects.get(name="workspace-00002")
    account = ProviderAccount.objects.filter(name="profiles-benchmark").first() or _fill(workspace)
    browser, own = cast.sign_in(Client(), alice), f"/workspaces/{workspace.pk}/profiles"
    keys = list(account.profiles.order_by("name").values_list("pk", flat=True)[:3])
    chosen = f"?location=fsn1&profile={keys[0]}"
    compared = "&".join(f"profile={key}" for key in keys)
    return [
        _case(browser, f"profiles, 500 at 6, ≤ {LIMIT} ms", own, {}),
        _case(browser, "profiles, the table, filtered", f"{own}?q=cc", FRAGMENT | {"HX-Target": "profiles"}),
        _case(browser, "profiles, the save bar", f"{own}{chosen}", FRAGMENT | {"HX-Target": "order"}),
        _case(browser, "profiles, three compared", f"{own}/compare?{compared}", {}),
    ]


def _fill(workspace: Workspace) -> ProviderAccount:
    account = price_rows.account("profiles-benchmark", of=str(workspace.project.organization))
    price_rows.on_account(workspace, account)
    price_rows.crowd(account, profiles=500, locations=6, clauses=200)
    price_rows.aged(account, timezone.now())
    return account


def _case(browser: Client, name: str, url: str, headers: dict[str, str]) -> Case:
    def run() -> Any:
        response = browser.get(url, headers=headers)
        assert response.status_code == 200, (url, response.status_code)
        return response

    size = len(run().content)
    return Case(name, run, lambda: browser.get(f"/least/detail/{size}"), rounds=20)
