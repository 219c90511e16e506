"""Child processes of the demo: started, started again when they end, stopped, and swept up if anything is left.

Each is a process group of its own, so that Ctrl-C reaches the demo alone, and is tied to it (`loopback.tether`).
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from loopback import processes, tether

# A child that ends within this many seconds of its start is started again ever more slowly.
SETTLED = 30.0
SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
# Carried by every child and inherited by its children: the data directory they work for.
MARK = "LOOPBACK_DEMO"


@dataclass
class Child:
    """A Python program that is meant to run; `dies_by` is what the kernel sends it when this process is killed."""

    name: str
    command: Sequence[str | Path]
    directory: Path
    environment: Mapping[str, str]
    log: Path
    dies_by: signal.Signals = signal.SIGKILL
    keep_open: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _started: float = field(default=0.0, init=False)
    _pause: float = field(default=SHORTEST_PAUSE, init=False)
    _again_at: float | None = field(default=None, init=False)

    def start(self) -> None:
        """Start it; its output goes to the end of `log`."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                tether.command(self.command, self.dies_by),
                cwd=self.directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=self.keep_open,
                process_group=0,
            )
        self._started, self._again_at = time.monotonic(), None

    def has_ended(self) -> bool:
        """Whether it was started and does not run any more."""
        return self.process is not None and self.process.poll() is not None

    def wait(self, seconds: float | None = None) -> int | None:
        """The exit code, or None when it still runs after `seconds`."""
        with suppress(subprocess.TimeoutExpired):
            return self.process.wait(seconds) if self.process is not None else 0
        return None

    def look_after(self, say: Callable[[str], None]) -> None:
        """Notice its end, and start it again after a pause."""
        if self.process is None or self.process.poll() is None:
            return
        now = time.monotonic()
        if self._again_at is None:
            lived = now - self._started
            self._pause = SHORTEST_PAUSE if lived > SETTLED else min(self._pause * 2, LONGEST_PAUSE)
            self._again_at = now + self._pause
            say(f"{self.name} {_how_it_ended(self.process.returncode)}; started again in {self._pause:g} s.")
        elif now >= self._again_at:
            self.start()

    def ask_to_stop(self) -> None:
        """Send SIGTERM to the program alone; the second one makes RQ's worker give up its step."""
        if self.process is not None:
            self.process.terminate()

    def kill(self) -> None:
        """Kill it and its process group."""
        if self.process is not None and self.process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)


def stop_all(children: Sequence[Child], patience: float) -> None:
    """Ask the children to stop, ask again after `patience` seconds, then kill them."""
    for insist in (Child.ask_to_stop, Child.ask_to_stop, Child.kill):
        for child in children:
            insist(child)
        deadline = time.monotonic() + patience
        # All of them, not only up to the first: each wait also collects what has ended.
        codes = [child.wait(max(0.0, deadline - time.monotonic())) for child in children]
        if None not in codes:
            return


def sweep(mark: str, patience: float = 3.0) -> None:
    """Wait for the processes that carry `mark` to end, and kill what then remains."""
    if processes.poll(lambda: not processes.carrying(MARK, mark), patience):
        return
    for pid in processes.carrying(MARK, mark):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _how_it_ended(code: int) -> str:
    if code < 0:
        return f"was killed ({signal.Signals(-code).name})"
    return "ended" if code == 0 else f"ended with an error (exit code {code})"
