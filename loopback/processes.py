"""What can be known about processes that are not our children: whether they live, and what they work for."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def pid_in(file: Path) -> int | None:
    """The number on the first line of a pid file."""
    try:
        return int(file.read_text().split()[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None


def alive(pid: int) -> bool:
    """Whether a process has this number, whoever it belongs to."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def serves(pid: int, data: Path) -> bool:
    """Whether that process was started with this directory as an argument."""
    if sys.platform == "linux":
        with suppress(OSError):
            return os.fsencode(data) in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return False
    shown = subprocess.run(["/bin/ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True)
    return str(data) in shown.stdout


def carrying(name: str, value: str) -> list[int]:
    """Processes of this user, other than this one, that were started with this in their environment (Linux only)."""
    if sys.platform != "linux":
        return []
    wanted, found = f"{name}={value}".encode(), []
    for directory in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if wanted in (directory / "environ").read_bytes().split(b"\0"):
                found.append(int(directory.name))
    return [pid for pid in found if pid != os.getpid()]


def poll(condition: Callable[[], bool], timeout: float) -> bool:
    """Wait until `condition` holds; False when it does not within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
