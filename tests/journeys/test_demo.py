"""`manage.py demo` as a person starts it: it comes up, survives what dies in it, and leaves nothing behind."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from loopback import demo_directory

ROOT = Path(__file__).parents[2]
# The machine may be busy with other tests; on a quiet one the first page is there after 10 s.
PATIENCE = 110
pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("demo")]


class Started:
    """A running demo and the directory of its data."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        command = [sys.executable, "manage.py", "demo", "--port", "0", "--no-open", "--workspaces", "8"]
        # As from a terminal: none of what the tests set for themselves.
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("LOOPBACK_") and name not in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "LOG_LEVEL")
        }
        self.directory = directory
        self.output = directory.parent / f"{directory.name}.txt"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [*command, "--data-dir", str(directory), *arguments],
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def document(self) -> dict:
        """demo.json, once it is there."""
        file = self.directory / "demo.json"
        assert eventually(lambda: file.exists() or self.process.poll() is not None, PATIENCE), self.output.read_text()
        assert file.exists(), self.output.read_text()
        return json.loads(file.read_text())

    def processes(self, *words: str) -> list[int]:
        """Processes with the data directory in command line or environment, and all the words in the command line."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                line = (process / "cmdline").read_bytes().replace(b"\0", b" ")
                everything = line + (process / "environ").read_bytes()
            except OSError:
                continue
            if f"{self.directory}".encode() in everything and all(word.encode() in line for word in words):
                found.append(int(process.name))
        return found


@contextmanager
def demo(directory: Path, *arguments: str) -> Iterator[Started]:
    started = Started(directory, *arguments)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.process.terminate()
            started.process.wait(30)


def eventually(condition: Callable[[], object], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def sign_in(document: dict) -> requests.Session:
    """A session of the first account that demo.json names."""
    account, session = document["accounts"][0], requests.Session()
    session.trust_env = False
    login = f"{document['url']}/accounts/login/"
    page = session.get(login, timeout=10).text
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert token
    form = {"login": account["email"], "password": account["password"], "csrfmiddlewaretoken": token[1]}
    assert (
        session.post(login, data=form, headers={"Referer": login}, timeout=10, allow_redirects=False).status_code == 302
    )
    return session


def fleet_status(document: dict, session: requests.Session) -> int:
    return session.get(f"{document['url']}/workspaces", timeout=10, allow_redirects=False).status_code


def is_child_of(pid: int, parent: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1] == str(parent)
    except OSError:
        return False


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "demo"


def test_the_demo_comes_up_survives_a_death_stops_and_goes_on_where_it_was(directory: Path) -> None:
    with demo(directory) as first:
        before = first.document()
        assert set(before) == {
            "url",
            "accounts",
            "api_keys",
            "hetzner_url",
            "hetzner_token",
            "management_kubeconfig",
            "faults_url",
        }
        assert set(before["api_keys"]) == {"administrator", "operator", "viewer", "stranger"}
        assert (directory / "demo.json").stat().st_mode & 0o777 == 0o600
        assert before["url"] in first.output.read_text()
        session = sign_in(before)
        assert fleet_status(before, session) == 200

        (worker, *_) = first.processes("rqworker operations")
        os.kill(worker, signal.SIGKILL)
        assert eventually(lambda: worker not in first.processes() and len(first.processes("rqworker operations")) == 2)
        for server in ("-D", "--unixsocket"):
            (parent,) = [pid for pid in first.processes(server) if is_child_of(pid, first.process.pid)]
            os.kill(parent, signal.SIGKILL)
        assert eventually(lambda: requests.get(f"{before['url']}/readyz", timeout=10).status_code == 200)
        assert fleet_status(before, session) == 200

        first.process.send_signal(signal.SIGINT)
        assert first.process.wait(30) == 0
        assert first.processes() == []
        assert not (directory / "demo.json").exists()

    with demo(directory) as second:
        after = second.document()
        assert after["accounts"] == before["accounts"]
        assert after["api_keys"] == before["api_keys"]
        assert after["hetzner_token"] == before["hetzner_token"]
        # Signed in before the restart, and still signed in.
        assert fleet_status(after, session) == 200

        second.process.kill()
        second.process.wait()
        assert eventually(lambda: second.processes() == [], 10)


def test_a_port_that_is_taken_is_one_sentence(directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = refused(directory, "--port", str(port))
    assert result.returncode == 2
    assert f"Port {port} cannot be used (Address already in use); choose another one with --port.\n" in result.stderr


def test_a_directory_of_another_demo_is_one_sentence(directory: Path) -> None:
    with demo_directory.only_one(directory):
        result = refused(directory, "--port", "0")
    assert result.returncode == 2
    assert result.stderr.endswith(f"Another demo is running in {directory}.\n")


def refused(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "manage.py", "demo", "--no-open", "--data-dir", str(directory), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
