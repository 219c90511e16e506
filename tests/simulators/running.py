"""The simulated world as a process of its own, for tests: started, spoken to and stopped from outside."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
START_SECONDS = 120
# A world of thousands takes its time to be added.
ANSWER_SECONDS = 120


class RunningWorld:
    """`with RunningWorld(spec) as world:` gives a world that serves; it is gone at the end.

    `state_dir` may be given to go on with the state of an earlier one; then it is left in place.
    """

    def __init__(self, spec=None, *, state_dir=None, seed=1, phase_seconds=0.05):
        self._spec, self._seed, self._phase_seconds = spec or {}, seed, phase_seconds
        self._scratch = None if state_dir else tempfile.TemporaryDirectory(prefix="world-")
        self.state_dir = Path(state_dir or self._scratch.name)
        self.ready = {}

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *details):
        self.stop()
        if self._scratch:
            self._scratch.cleanup()

    def start(self):
        """Start the process and wait until it serves."""
        self.state_dir.mkdir(parents=True, exist_ok=True)
        spec = self.state_dir / "spec.json"
        spec.write_text(json.dumps(self._spec))
        options = ["--state-dir", self.state_dir, "--world", spec, "--die-with-parent"]
        options += ["--seed", self._seed, "--phase-seconds", self._phase_seconds]
        # A ready.json of an earlier process, killed, would be taken for the new one's.
        (self.state_dir / "ready.json").unlink(missing_ok=True)
        with (self.state_dir / "log.txt").open("ab") as log:
            command = [sys.executable, "-m", "workspaces.simulators", *map(str, options)]
            self.process = subprocess.Popen(command, cwd=REPOSITORY, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.ready = self._wait_until_ready()

    def _wait_until_ready(self):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if (self.state_dir / "ready.json").exists():
                return json.loads((self.state_dir / "ready.json").read_text())
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        self.stop()
        raise RuntimeError(f"the simulated world did not start: {self.log()[-3000:]}")

    def log(self):
        """What the process wrote to its output."""
        return (self.state_dir / "log.txt").read_text()

    def stop(self, number=signal.SIGTERM):
        """Send the signal, wait for the end (a process that does not end in 5 s is killed); gives the exit code."""
        if self.process.poll() is None:
            os.kill(self.process.pid, number)
        try:
            return self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def add(self, spec):
        """Add to the world what is not there yet; gives (and keeps in `.ready`) what it has now."""
        self.ready = self._ask("POST", "/world", spec)
        return self.ready

    def fault(self, **fields):
        """Add a fault (see workspaces/simulators/faults.py); gives its id."""
        return self._ask("POST", "/faults", fields)["id"]

    def clear_faults(self):
        """Remove every fault."""
        self._ask("DELETE", "/faults")

    def faults(self):
        """Every fault there is."""
        return self._ask("GET", "/faults")["faults"]

    def seed(self, number):
        """Start the chance of the faults anew."""
        self._ask("POST", "/seed", {"seed": number})

    def journal(self, **filters):
        """The requests that arrived, oldest first; filters are patterns: service, target, method, path, fault."""
        return self._ask("GET", f"/journal?{urllib.parse.urlencode(filters)}")["entries"]

    def counts(self):
        """How many requests arrived since the start: {"kubernetes": {"GET": 12, ...}, ...}."""
        return self._ask("GET", "/counts")

    def certificate(self, cluster, days):
        """A new kubeconfig of a management cluster, or of a tenant ("namespace/name"), that ends in so many days."""
        return self._ask("POST", "/certificates", {"cluster": cluster, "days": days})["kubeconfig"]

    def _ask(self, method, path, document=None):
        data = None if document is None else json.dumps(document).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.ready["control_url"] + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as response:
                return json.loads(response.read() or "null")
        except urllib.error.HTTPError as error:
            with error:
                raise ValueError(error.read().decode()) from None
