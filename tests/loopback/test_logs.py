"""The log: what a line is about stands on it, as JSON where machines read it, and no secret of an address does."""

import json
import logging
from logging.config import dictConfig

import pytest
from django.conf import settings
from django.test import Client

from tests import cast
from workspaces import jobs
from workspaces.logs import AboutFilter, about, note
from workspaces.models import PLATFORM, Operation, StepPlan
from workspaces.operations import plans

pytestmark = pytest.mark.django_db


class Lines(logging.Handler):
    """Keeps records as the console's handler would get them."""

    def __init__(self) -> None:
        super().__init__()
        self.addFilter(AboutFilter())
        self.kept: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append(record)


@pytest.fixture
def lines():
    handler = Lines()
    logging.getLogger().addHandler(handler)
    logging.getLogger("loopback.requests").setLevel(logging.INFO)
    yield handler.kept
    logging.getLogger().removeHandler(handler)
    logging.getLogger("loopback.requests").setLevel(logging.NOTSET)


def requests(lines):
    return [line for line in lines if line.name == "loopback.requests"]


def test_a_request_leaves_one_line_with_its_id_its_workspace_and_what_it_took(lines, alice, workspace):
    answer = cast.sign_in(Client(), alice).get(f"/workspaces/{workspace.pk}")
    (line,) = requests(lines)
    assert line.request == answer["X-Request-ID"]
    assert line.workspace == str(workspace.pk)
    assert (line.method, line.route, line.status) == ("GET", "workspaces/<uuid:pk>", 200)
    assert line.ids == {"pk": str(workspace.pk)}
    assert 0 < line.milliseconds < 60_000
    assert line.getMessage().startswith("GET /workspaces/<uuid:pk> 200 in ")


def test_an_api_request_names_its_workspace_too(lines, alice, workspace):
    cast.sign_in(Client(), alice).get(f"/api/v1/workspaces/{workspace.pk}")
    (line,) = requests(lines)
    assert line.workspace == str(workspace.pk)
    assert line.status == 200


def test_the_secret_in_an_address_is_not_in_the_line(lines):
    Client().get("/calendars/very-secret-word.ics")
    Client().get("/invitations/very-secret-word")
    assert [line.route for line in requests(lines)] == ["calendars/<str:secret>.ics", "invitations/<str:token>"]
    assert "very-secret-word" not in repr([vars(line) for line in requests(lines)])


def test_what_a_job_writes_is_about_its_operation_and_workspace(lines, workspace, monkeypatch):
    def broken(context):
        raise ZeroDivisionError

    monkeypatch.setitem(plans.KINDS, "broken", {"break": broken})
    operation = Operation.start(workspace, "broken", "Break", [StepPlan("break", "Break")], actor=PLATFORM)
    jobs.run_operation(str(operation.pk))
    (line,) = [line for line in lines if line.getMessage() == f"Step break of operation {operation.pk} broke"]
    assert (line.operation, line.workspace, line.request) == (str(operation.pk), str(workspace.pk), "-")


def test_more_can_become_known_and_is_forgotten_at_the_end():
    record = logging.LogRecord("x", logging.INFO, __file__, 1, "said", (), None)
    with about(operation="1", workspace=None):
        note(workspace="2")
        AboutFilter().filter(record)
    assert (record.request, record.operation, record.workspace) == ("-", "1", "2")
    after = logging.LogRecord("x", logging.INFO, __file__, 1, "said", (), None)
    AboutFilter().filter(after)
    assert (after.operation, after.workspace) == ("-", "-")


def test_as_json_a_line_is_one_object_with_its_ids_and_its_exception(capsys):
    handler = settings.LOGGING["handlers"]["console"] | {"formatter": "json", "stream": "ext://sys.stdout"}
    only = {"loggers": {"tested": {"handlers": ["console"], "propagate": False, "level": "INFO"}}}
    dictConfig(settings.LOGGING | {"handlers": {"console": handler}, "root": {}} | only)
    try:
        with about(request="r-1", operation="o-1", workspace="w-1"):
            try:
                raise ValueError("half\nway")
            except ValueError:
                logging.getLogger("tested").exception("It broke", extra={"route": "workspaces"})
    finally:
        dictConfig(settings.LOGGING)
    written = capsys.readouterr().out
    assert written.count("\n") == 1
    told = json.loads(written)
    assert {name: told[name] for name in ("level", "logger", "message", "request", "operation", "workspace")} == {
        "level": "ERROR",
        "logger": "tested",
        "message": "It broke",
        "request": "r-1",
        "operation": "o-1",
        "workspace": "w-1",
    }
    assert told["route"] == "workspaces"
    assert "ValueError: half\nway" in told["exc_info"]
