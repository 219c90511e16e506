"""The registry of faults, the journal, and the middleware that brings both to every HTTP simulator."""

import asyncio
import time

import aiohttp
import pytest
from aiohttp import web

from workspaces.simulators.faults import Faults, middleware
from workspaces.simulators.journal import Journal

ONE = {"service": "hetzner", "target": "kestrel", "kind": "status"}


def hits(faults, count, path="/v1/servers"):
    return [faults.hit("hetzner", "kestrel", "GET", path) is not None for _ in range(count)]


def test_the_same_seed_hits_the_same_requests():
    first, second = Faults(seed=7), Faults(seed=7)
    first.add(**ONE, rate=0.5)
    second.add(**ONE, rate=0.5)
    drawn = hits(first, 40)
    assert drawn == hits(second, 40)
    assert 0 < sum(drawn) < 40
    first.seed(7)
    assert hits(first, 40) == drawn


def test_a_fault_stops_after_its_number_of_hits():
    faults = Faults(seed=1)
    faults.add(**ONE, times=2)
    assert hits(faults, 4) == [True, True, False, False]


def test_a_fault_meets_only_what_its_patterns_name():
    faults = Faults(seed=1)
    faults.add(service="kubernetes", target="ws-*/ledger-*", kind="status", method="P*", path="*/nodes/*")
    assert faults.hit("kubernetes", "ws-1/ledger-prod", "PATCH", "/api/v1/nodes/w1")
    assert faults.hit("kubernetes", "ws-1/ledger-prod", "GET", "/api/v1/nodes/w1") is None
    assert faults.hit("kubernetes", "ws-1/ledger-prod", "PATCH", "/api/v1/pods") is None
    assert faults.hit("kubernetes", "mgmt-fsn1", "PATCH", "/api/v1/nodes/w1") is None
    assert faults.hit("hetzner", "ws-1/ledger-prod", "PATCH", "/api/v1/nodes/w1") is None
    assert faults.hit("kubernetes", "ws-1/ledger-prod", "PUT", "/api/v1/nodes/w1", kinds=("latency",)) is None


def test_a_state_like_fault_is_seen_without_being_used_up():
    faults = Faults(seed=1)
    fault = faults.add(service="kubernetes", target="ws-1/a", kind="lost_node", path="w1", times=1)
    assert faults.active("kubernetes", "ws-1/a", "lost_node") is fault
    assert faults.active("kubernetes", "ws-1/a", "lost_node") is fault
    assert faults.active("kubernetes", "ws-1/a", "budget") is None
    faults.remove(fault.id)
    assert faults.active("kubernetes", "ws-1/a", "lost_node") is None


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"sevice": "ssh"}, "unknown field: sevice"),
        ({"rate": 2}, "rate is between 0 and 1"),
        ({"status": 200}, "status is between 400 and 599"),
        ({"service": "aws"}, "service is one of hetzner, kubernetes, ssh, *"),
        ({"times": "3"}, "times is of the wrong type"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused_with_a_sentence(wrong, sentence):
    with pytest.raises(ValueError, match=sentence.replace("*", r"\*")):
        Faults(seed=1).add(**{**ONE, **wrong})


def test_faults_survive_a_snapshot():
    faults, later = Faults(seed=1), Faults(seed=1)
    faults.add(**ONE, times=3)
    later.restore(faults.snapshot())
    assert later.all() == faults.all()
    assert later.add(**ONE).id == "f2"


def test_the_journal_is_bounded_and_filtered():
    journal = Journal(size=2)
    for number in range(3):
        journal.record("ssh", f"w{number}", "EXEC", "apt-get update", 0, None)
    assert [entry["target"] for entry in journal.entries()] == ["w1", "w2"]
    assert [entry["target"] for entry in journal.entries(target="*2", path="apt*")] == ["w2"]
    with pytest.raises(ValueError, match="unknown filter: stauts"):
        journal.entries(stauts="0")


class Served:
    """A small HTTP service behind the middleware, for one test."""

    def __init__(self):
        self.faults, self.journal = Faults(seed=1), Journal()

    async def __aenter__(self):
        self.faults.register_error_body("hetzner", lambda status: {"error": {"code": f"own_{status}"}})
        app = web.Application(middlewares=[middleware(self.faults, self.journal, "hetzner", "kestrel")])
        app.router.add_route("*", "/ping", self._ping)
        self.runner = web.AppRunner(app, shutdown_timeout=0.2)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        self.session = aiohttp.ClientSession(f"http://127.0.0.1:{self.runner.addresses[0][1]}")
        return self

    async def __aexit__(self, *details):
        await self.session.close()
        await self.runner.cleanup()

    @staticmethod
    async def _ping(request):
        return web.json_response({"got": await request.text()})

    async def ask(self, method="GET", data=None):
        async with self.session.request(method, "/ping?a=1", data=data) as response:
            return response.status, await response.json()


def with_served(scenario):
    async def run():
        async with Served() as served:
            await scenario(served)

    asyncio.run(run())


def test_an_error_speaks_the_language_of_its_service_and_both_are_journalled():
    async def scenario(served):
        served.faults.add(**ONE, status=503, times=1)
        assert await served.ask() == (503, {"error": {"code": "own_503"}})
        assert await served.ask("POST", '{"b": 2}') == (200, {"got": '{"b": 2}'})
        first, second = served.journal.entries()
        assert (first["status"], first["fault"], first["path"]) == (503, "status", "/ping?a=1")
        assert (second["status"], second["fault"], second["body"]) == (200, None, {"b": 2})

    with_served(scenario)


def test_an_expired_token_is_a_401_and_latency_only_delays():
    async def scenario(served):
        served.faults.add(service="*", target="*", kind="latency", seconds=0.2, times=1)
        started = time.monotonic()
        assert (await served.ask())[0] == 200
        assert time.monotonic() - started >= 0.2
        served.faults.add(service="*", target="*", kind="expired_token")
        assert await served.ask() == (401, {"error": {"code": "own_401"}})

    with_served(scenario)


def test_a_refused_connection_gives_no_answer_and_is_journalled():
    async def scenario(served):
        served.faults.add(service="*", target="*", kind="refuse", method="POST")
        with pytest.raises(aiohttp.ClientConnectionError):
            await served.ask("POST")
        (entry,) = served.journal.entries()
        assert (entry["status"], entry["fault"]) == (0, "refuse")

    with_served(scenario)


def test_a_lost_answer_is_lost_after_the_work_was_done():
    async def scenario(served):
        served.faults.add(service="*", target="*", kind="lost_answer", times=1)
        with pytest.raises(aiohttp.ClientConnectionError):
            await served.ask("POST")
        assert (await served.ask("POST"))[0] == 200
        lost, answered = served.journal.entries()
        assert (lost["status"], lost["fault"]) == (200, "lost_answer")
        assert (answered["status"], answered["fault"]) == (200, None)

    with_served(scenario)


def test_a_hanging_request_is_let_go_when_the_fault_is_removed():
    async def scenario(served):
        fault = served.faults.add(service="*", target="*", kind="hang", method="POST")
        assert fault.seconds == 3600
        asking = asyncio.create_task(served.ask("POST"))
        while not served.journal.entries(fault="hang"):
            await asyncio.sleep(0.01)
        served.faults.clear()
        with pytest.raises(aiohttp.ClientConnectionError):
            await asyncio.wait_for(asking, 2)

    with_served(scenario)
