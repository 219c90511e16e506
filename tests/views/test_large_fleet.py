"""What the fleet list costs with 10,000 workspaces and 30,000 hosts: queries and bytes, on any machine the same."""

import pytest
from django.db import connection

from tests import cast, machinery
from tests.views.sockets import no_outside  # noqa: F401
from workspaces.models import Host, MaintenancePlan, Workspace

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_outside")]
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture(autouse=True)
def clock(monkeypatch, settings):
    """The clock of the cast, so that the rows are fresh."""
    settings.LOOPBACK_RECONCILE_SECONDS = 60
    monkeypatch.setattr("django.utils.timezone.now", lambda: cast.NOW)


@pytest.fixture
def alices(client, alice):
    machinery.alive()
    return cast.sign_in(client, alice)


def copy(model, seed, source, **columns):
    """Insert one row per row of `source` (SQL), like `seed` except for `columns` (SQL expressions)."""
    mapped = [(f'"{field.column}"', columns.get(field.column)) for field in model._meta.concrete_fields]
    table = model._meta.db_table
    selected = ", ".join(expression or f"seed.{column}" for column, expression in mapped)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(column for column, _ in mapped)}) "
            f"SELECT {selected} FROM {table} AS seed, {source} WHERE seed.{mapped[0][0]} = '{seed}'"
        )


@pytest.fixture
def ten_thousand(workspace, catalogue_rows):
    """10,000 workspaces with plans and 30,000 hosts, in 40 projects, on five versions, some of them in trouble."""
    projects = ", ".join(f"'{cast.project(f'Project {number:02}').pk}'" for number in range(40))
    running = ["1.33.9", "1.34.8", "1.34.11", "1.35.4", "1.36.2"]
    version = f"(ARRAY{running})[1 + n % 5]"
    keys = [version_key(one) for one in running]
    copy(
        Workspace, workspace.pk, "generate_series(1, 9999) AS n",
        id="gen_random_uuid()", name="'workspace-' || n", control_plane="'c' || n",
        project_id=f"(ARRAY[{projects}]::uuid[])[1 + n % 40]",
        kubernetes_version=version, control_plane_wanted=version, version_key=f"(ARRAY{keys})[1 + n % 5]",
        attention="CASE WHEN n % 17 = 0 THEN 'Not ready: worker-1' ELSE '' END",
        attention_tone="CASE WHEN n % 17 = 0 THEN 'bad' ELSE '' END",
    )  # fmt: skip
    numbered = "SELECT id, kubernetes_version, row_number() OVER () AS n FROM workspaces_workspace"
    others = f"({numbered} WHERE name <> 'ledger-prod') AS w"
    copy(MaintenancePlan, workspace.pk, others, workspace_id="w.id", hour_1="w.n % 24", enabled="w.n % 50 <> 0")
    for host in Host.objects.filter(workspace=workspace):
        kubelet = "CASE WHEN w.n % 41 = 0 THEN '1.33.9' ELSE w.kubernetes_version END"
        copy(Host, host.pk, others, id="gen_random_uuid()", workspace_id="w.id", kubelet_version=kubelet)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def version_key(version):
    probe = Workspace()
    probe.observe_version(version)
    return probe.version_key


def test_ten_thousand_workspaces_cost_at_most_twelve_queries_and_sixty_kilobytes(
    alices, ten_thousand, django_assert_max_num_queries
):
    for query in ("", "?sort=window", "?sort=health", "?state=upgradable&q=workspace", "?page=200&sort=-version"):
        with django_assert_max_num_queries(12):
            answer = alices.get(f"/workspaces{query}")
        assert len(answer.context["rows"]) == 50
        assert len(answer.content) < 60 * 1024
        with django_assert_max_num_queries(11):
            fragment = alices.get(f"/workspaces{query}", **HTMX)
        assert len(fragment.content) < 48 * 1024
    assert answer.context["workspace_count"] == 10_000
    assert {key: count for key, _, count in answer.context["states"]} == {
        "": 10_000,
        "attention": 588,
        "upgrading": 0,
        "upgradable": 8_000,
        "off": 199,
    }
