"""The whole product on one machine: servers, simulated world, sample fleet, workers, scheduler and web server.

`Demo.run` starts them as children of this process and looks after them until it is interrupted. The product's own code
runs in the children only, with the addresses in their environment; nothing here touches the database.
"""

import importlib.util
import json
import os
import signal
import socket
import sys
import time
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import django
import redis
from rq.cron_scheduler_registry import get_registry_key
from rq.worker_registration import REDIS_WORKER_KEYS

from loopback import demo_directory, supervisor
from loopback.demo_directory import DemoError
from loopback.embedded import EmbeddedError, Postgres, Valkey
from loopback.supervisor import Child

ROOT = Path(__file__).resolve().parent.parent
# The one thing that is quicker than life: seconds that a phase of the simulated world takes.
PHASE_SECONDS = "1.0"
# Seconds for a child to answer after its start, and to stop after it was asked.
START_PATIENCE, STOP_PATIENCE = 90.0, 3.0


@dataclass(frozen=True)
class Options:
    """What `manage.py demo` was asked for."""

    port: int
    directory: Path
    workspaces: int
    reset: bool
    open_browser: bool


class Demo:
    """One demo in one data directory. `say` writes a line to the person at the terminal."""

    def __init__(self, options: Options, say: Callable[[str], None]) -> None:
        """Nothing is started yet."""
        self.options = options
        self.say = say
        self.directory = options.directory.absolute()
        self.postgres = Postgres(self.directory / "postgres")
        self.valkey = Valkey(self.directory / "valkey")
        self.environment: dict[str, str] = {}
        self.simulators: list[Child] = []
        self.workers: list[Child] = []
        self.web: list[Child] = []

    def run(self) -> None:
        """Start everything, look after it until KeyboardInterrupt, and leave no process behind.

        Raises DemoError, EmbeddedError or MissingProgram when that cannot be done here.
        """
        with demo_directory.only_one(self.directory), _listen(self.options.port) as listener:
            supervisor.sweep(str(self.directory))
            demo_directory.prepare(self.directory, reset=self.options.reset)
            try:
                self._start(listener)
                while True:
                    time.sleep(0.2)
                    self._look_after()
            except KeyboardInterrupt:
                self.say("Stopping.")
            finally:
                self._stop()

    # --- Starting -----------------------------------------------------------------------------------------------------
    def _start(self, listener: socket.socket) -> None:
        began = time.monotonic()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.environment = self._settings()
        ready = self.directory / "world" / "ready.json"
        fleet = self.directory / "fleet.json"
        self._start_simulators(ready)
        self.valkey.launch()
        self.postgres.start()
        self.valkey.wait()
        self.environment |= {"DATABASE_URL": self.postgres.url(), "REDIS_URL": self.valkey.url()}
        self._run("migrate", "--verbosity", "0")
        self.say("PostgreSQL and Valkey are up, and the database is ready.")
        self._wait_for(ready.exists, self.simulators[0])
        self.environment["LOOPBACK_HCLOUD_ENDPOINT"] = json.loads(ready.read_text())["hetzner_url"]
        self._start_web(listener)
        where = ("--ready", ready, "--data-dir", self.directory, "--output", fleet)
        self._run("seed_demo", *where, "--workspaces", str(self.options.workspaces))
        self.say("The simulated world and the sample fleet are there.")
        self._wait_for(lambda: _answers(url), self.web[0])
        # After the first page: four processes that import the vendors' libraries would hold it up.
        self._start_workers()
        # A person who comes now should not read on the first page that nobody works.
        self._wait_for(self._all_workers_live, self.workers[-1])
        self._announce(url, json.loads(ready.read_text()), json.loads(fleet.read_text()), time.monotonic() - began)

    def _settings(self) -> dict[str, str]:
        """The children's environment, without the addresses that are not known yet: this machine only, plain http."""
        environment = os.environ | demo_directory.secrets_of(self.directory)
        environment |= {
            "ALLOWED_HOSTS": "127.0.0.1,localhost",
            "DEBUG": "",
            "INSECURE_COOKIES": "1",
            "STATIC_FINDERS": "1",
            "LOOPBACK_MAIL_DIRECTORY": str(self.directory / "mail"),
            # So few that some windows of the sample fleet find no place at once.
            "LOOPBACK_RUNS_AT_ONCE": os.environ.get("LOOPBACK_RUNS_AT_ONCE", "4"),
            "PYTHONUNBUFFERED": "1",
            supervisor.MARK: str(self.directory),
        }
        if sys.dont_write_bytecode and not Path(importlib.util.cache_from_source(django.__file__)).exists():
            # Each child would compile all the libraries. What must not lie beside the sources may lie here.
            environment |= {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(self.directory / "bytecode")}
        return environment

    def _start_simulators(self, ready: Path) -> None:
        ready.unlink(missing_ok=True)
        program = ("-m", "workspaces.simulators", "--state-dir", ready.parent, "--phase-seconds", PHASE_SECONDS)
        # Not killed: it saves its world before it ends.
        self.simulators = [self._child("simulators", *program, dies_by=signal.SIGTERM)]
        self.simulators[0].start()

    def _start_web(self, listener: socket.socket) -> None:
        # The listening socket stays open here: nobody is refused while the web server is started again.
        bind = f"fd://{listener.fileno()}"
        program = ["-m", "gunicorn", "-c", "python:loopback.serving", "--bind", bind, "loopback.wsgi"]
        self.web = [self._child("web", *program, keep_open=(listener.fileno(),))]
        self.web[0].start()

    def _start_workers(self) -> None:
        def worker(name: str, *queues: str) -> Child:
            # Quiet: otherwise RQ tells every five seconds that it tidies up.
            return self._child(name, "manage.py", "rqworker", *queues, "--verbosity", "0")

        operations = [worker(f"worker-{number}", "operations") for number in (1, 2)]
        ticks = worker("worker-ticks", "ticks", "reconcile")
        self.workers = [self._child("cron", "manage.py", "cron"), *operations, ticks]
        for child in self.workers:
            child.start()

    def _all_workers_live(self) -> bool:
        """Whether every worker has registered with the queue, and the scheduler too."""
        with redis.from_url(self.valkey.url()) as queue:
            registered, scheduling = queue.scard(REDIS_WORKER_KEYS), queue.zcard(get_registry_key())
        return bool(registered >= len(self.workers) - 1 and scheduling)

    def _child(
        self,
        name: str,
        *program: str | Path,
        dies_by: signal.Signals = signal.SIGKILL,
        keep_open: tuple[int, ...] = (),
    ) -> Child:
        log = self.directory / "logs" / f"{name}.log"
        log.write_bytes(b"")
        return Child(name, [sys.executable, *program], ROOT, self.environment, log, dies_by, keep_open)

    def _run(self, command: str, *arguments: str | Path) -> None:
        """Run a management command to its end. Raises DemoError with the end of its output when it fails."""
        child = self._child(command, "manage.py", command, *arguments)
        child.start()
        if child.wait():
            raise DemoError(f"`manage.py {command}` failed: {_end_of(child.log)}")

    def _wait_for(self, condition: Callable[[], bool], child: Child) -> None:
        """Raises DemoError when the child ends, or START_PATIENCE runs out, before the condition holds."""
        deadline = time.monotonic() + START_PATIENCE
        while not condition():
            if child.has_ended() or time.monotonic() > deadline:
                raise DemoError(f"The process “{child.name}” did not start: {_end_of(child.log)}")
            time.sleep(0.05)

    def _announce(self, url: str, world: dict[str, Any], fleet: dict[str, Any], seconds: float) -> None:
        """Write demo.json and tell the person where to go and who to be."""
        document = {
            "url": url,
            "accounts": fleet["accounts"],
            "api_keys": fleet["api_keys"],
            "hetzner_url": world["hetzner_url"],
            "hetzner_token": world["hetzner_projects"][0]["token"],
            "management_kubeconfig": world["management_clusters"][0]["kubeconfig"],
            "faults_url": world["faults_url"],
        }
        demo_directory.write_private(self.directory / "demo.json", json.dumps(document, indent=2))
        self.say(f"\nReady after {seconds:.1f} s: {url}\n")
        for account in fleet["accounts"]:
            self.say(f"  {account['email']:<32} {account['password']:<20} {account['role']}")
        self.say(f"\nCtrl-C stops everything. What it says: {self.directory / 'logs'}")
        if self.options.open_browser and _has_a_screen():
            webbrowser.open(url)

    # --- Looking after ------------------------------------------------------------------------------------------------
    def _look_after(self) -> None:
        """Start again what has ended, the servers first: the others wait for them by themselves."""
        for server in (self.postgres, self.valkey):
            if server.has_ended():
                self.say(f"{server.label} has ended; started again.")
                self._revive(server)
        for child in (*self.simulators, *self.workers, *self.web):
            child.look_after(self.say)

    def _revive(self, server: Postgres | Valkey) -> None:
        """The last sessions of a PostgreSQL that was killed may take a moment to end, and it waits for them."""
        for attempt in range(5):
            time.sleep(0.5 + attempt)
            try:
                server.start()
            except EmbeddedError:
                if attempt == 4:
                    raise
            else:
                return

    def _stop(self) -> None:
        """Stop who asks before who answers; the servers come last."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        (self.directory / "demo.json").unlink(missing_ok=True)
        supervisor.stop_all([*self.web, *self.workers], STOP_PATIENCE)
        supervisor.stop_all(self.simulators, STOP_PATIENCE)
        supervisor.sweep(str(self.directory))
        self.valkey.stop()
        self.postgres.stop()


def _listen(port: int) -> socket.socket:
    """Take the port, 0 for any free one. Raises DemoError when it is taken."""
    try:
        return socket.create_server(("127.0.0.1", port), backlog=128)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise DemoError(f"Port {port} cannot be used ({why}); choose another one with --port.") from None


def _answers(url: str) -> bool:
    """Whether the services and the sign-in page answer."""
    opener = build_opener(ProxyHandler({}))
    try:
        for path in ("/readyz", "/accounts/login/"):
            opener.open(url + path, timeout=10).close()
    except (URLError, OSError):
        return False
    return True


def _end_of(log: Path) -> str:
    """The last lines of a log, and where the others are."""
    lines = log.read_text(errors="replace").strip().splitlines()[-3:]
    return "\n".join([*lines, f"All of it is in {log}"])


def _has_a_screen() -> bool:
    """Without one, a browser would open in this terminal, or not at all."""
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
