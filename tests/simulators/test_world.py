"""The simulated world as a process: it starts, is steered over HTTP, survives a kill, and leaves nothing."""

import json
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

import pytest

from tests.simulators.running import REPOSITORY, RunningWorld

TOKEN = "k" * 64
SPEC = {"hetzner_projects": [{"name": "kestrel", "token": TOKEN, "servers": [{"name": "w1", "server_type": "cpx32"}]}]}


def ask(world, method="GET", path="/servers", body=None, token=TOKEN):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(world.ready["hetzner_url"] + path, data, method=method)
    request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=5) as response:
        return json.loads(response.read() or "null")


def status(world, path="/locations", token=TOKEN):
    try:
        ask(world, path=path, token=token)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    return 200


def until(condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_ready_tells_where_everything_is_and_is_for_its_owner_only(running_world):
    path = running_world.state_dir / "ready.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    ready = json.loads(path.read_text())
    assert ready["faults_url"] == ready["control_url"] + "/faults"
    assert ready["hetzner_url"].endswith("/v1")
    assert {"management_clusters", "hetzner_projects", "hosts", "ssh_private_key"} <= set(ready)


def test_adding_the_same_world_twice_changes_nothing(world):
    name = f"twice-{uuid.uuid4().hex}"
    spec = {"hetzner_projects": [{"name": name, "servers": [{"name": "w1", "server_type": "cpx32"}]}]}
    assert world.add(spec) == world.add(spec)


def test_what_was_deleted_does_not_come_back_when_the_same_world_is_added_again(world):
    name, token = f"gone-{uuid.uuid4().hex}", uuid.uuid4().hex
    spec = {"hetzner_projects": [SPEC["hetzner_projects"][0] | {"name": name, "token": token}]}
    world.add(spec)
    (server,) = ask(world, token=token)["servers"]
    ask(world, "DELETE", f"/servers/{server['id']}", token=token)
    until(lambda: ask(world, token=token)["servers"] == [])
    world.add(spec)
    assert ask(world, token=token)["servers"] == []


def test_a_world_of_unknown_nouns_is_refused(world):
    with pytest.raises(ValueError, match="unknown: clouds"):
        world.add({"clouds": []})


def test_faults_are_added_listed_and_removed_over_http(world):
    first = world.fault(service="ssh", target="nobody", kind="apt_lock", seconds=2)
    world.fault(service="hetzner", target="nobody", kind="latency")
    assert [fault["kind"] for fault in world.faults()] == ["apt_lock", "latency"]
    request = urllib.request.Request(f"{world.ready['faults_url']}/{first}", method="DELETE")
    with urllib.request.urlopen(request) as response:
        assert response.status == 204
    assert [fault["kind"] for fault in world.faults()] == ["latency"]
    with pytest.raises(ValueError, match="kind is missing"):
        world.fault(service="ssh", target="*")


def test_the_same_seed_meets_the_same_faults(world):
    name, token = f"seed-{uuid.uuid4().hex}", uuid.uuid4().hex
    world.add({"hetzner_projects": [{"name": name, "token": token}]})
    world.fault(service="hetzner", target=name, kind="status", status=503, rate=0.5)

    def met(seed):
        world.seed(seed)
        return [status(world, token=token) for _ in range(20)]

    first = met(11)
    assert set(first) == {200, 503}
    assert met(11) == first
    assert met(12) != first


def test_the_journal_shows_what_was_asked_and_what_it_met(world):
    name, token = f"journal-{uuid.uuid4().hex}", uuid.uuid4().hex
    world.add({"hetzner_projects": [{"name": name, "token": token}]})
    world.fault(service="hetzner", target=name, kind="status", status=502, path="/v1/locations", times=1)
    assert [status(world, token=token), status(world, token=token)] == [502, 200]
    seen = [(entry["status"], entry["fault"]) for entry in world.journal(service="hetzner", target=name)]
    assert seen == [(502, "status"), (200, None)]
    assert world.journal(target=name, method="POST") == []


def test_a_killed_world_goes_on_where_it_was(tmp_path):
    with RunningWorld(SPEC, state_dir=tmp_path) as world:
        before = world.ready
        ask(world, "POST", "/servers", {"name": "w2", "server_type": "cpx22", "image": "debian-13"})
        kept = world.fault(service="hetzner", target="other", kind="latency")
        until(lambda: all(word in (tmp_path / "state.json").read_text() for word in ('"w2"', '"latency"')))
        world.stop(signal.SIGKILL)
        world.start()
        assert world.ready == before
        assert [server["name"] for server in ask(world)["servers"]] == ["w1", "w2"]
        until(lambda: [server["status"] for server in ask(world)["servers"]] == ["running", "running"])
        assert [fault["id"] for fault in world.faults()] == [kept]


def test_a_port_taken_in_the_meantime_is_replaced_and_ready_tells(tmp_path):
    with RunningWorld(SPEC, state_dir=tmp_path) as world:
        before = world.ready["hetzner_url"]
        world.stop()
        port = int(before.removesuffix("/v1").rpartition(":")[2])
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("127.0.0.1", port))
            other.listen()
            world.start()
            assert world.ready["hetzner_url"] != before
            assert len(ask(world)["servers"]) == 1


def test_it_stops_within_two_seconds_although_a_request_hangs_and_leaves_nothing(tmp_path):
    with RunningWorld(SPEC, state_dir=tmp_path) as world:
        world.fault(service="hetzner", target="*", kind="hang")
        address = world.ready["hetzner_url"].removeprefix("http://").removesuffix("/v1").split(":")
        with socket.create_connection(address) as hanging:
            hanging.sendall(f"GET /v1/servers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
            until(lambda: world.journal(fault="hang"))
            started = time.monotonic()
            assert world.stop() == 0, world.log()
            assert time.monotonic() - started < 2
        assert world.log() == ""
        assert not (tmp_path / "ready.json").exists()
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)


def test_it_dies_with_the_process_that_started_it(tmp_path):
    command = [sys.executable, "-m", "workspaces.simulators", "--die-with-parent", "--state-dir", str(tmp_path)]
    program = f"import subprocess, time; print(subprocess.Popen({command!r}).pid, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", program], cwd=REPOSITORY, stdout=subprocess.PIPE) as parent:
        pid = int(parent.stdout.readline())
        try:
            until(lambda: (tmp_path / "ready.json").exists(), seconds=20)
        finally:
            parent.kill()
    until(lambda: not is_running(pid))


def test_a_world_that_cannot_be_read_ends_with_a_failure(tmp_path):
    with pytest.raises(RuntimeError, match="unknown: clouds"), RunningWorld({"clouds": []}, state_dir=tmp_path):
        pass
