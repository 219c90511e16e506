"""Child processes that never outlive their parent, even when it is killed with -9.

This file is also a program: `command()` puts it in front of another one. It gives up root where asked, ties itself to
its parent, and becomes that program (exec, so the process id stays). It is not a `preexec_fn`, because Python between
fork and exec may deadlock in a process with threads. Standard library only: it runs isolated.

The tie is Linux's; elsewhere a child is stopped by its owner only, or by the next start on the same data directory.
"""

import ctypes
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from signal import Signals
from typing import Literal

# Who the program is: whoever started it, nobody in a user namespace of its own, or nobody on the whole machine.
Identity = Literal["same", "namespace", "nobody"]
NOBODY = 65534
_PR_SET_PDEATHSIG = 1


def command(program: Sequence[str | Path], number: Signals, identity: Identity = "same") -> list[str]:
    """The command line that runs `program` tied to this process: the kernel sends it `number` when this process ends.

    Start it from the main thread: to the kernel, the parent is the thread.
    """
    owner = str(os.getpid())
    return [sys.executable, "-I", "-S", __file__, owner, str(int(number)), identity, *map(str, program)]


def tie(number: int, parent: int) -> None:
    """Have the kernel send `number` to this process when `parent` ends; exits when that has already happened."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(1)


def _become_nobody(identity: str) -> None:
    """Give up root, which some servers refuse to run as."""
    if identity == "namespace":
        # Nobody to itself, still root to the files: it may work in directories that only root can enter.
        uid, gid = os.geteuid(), os.getegid()
        os.unshare(os.CLONE_NEWUSER)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{NOBODY} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{NOBODY} {gid} 1")
    elif identity == "nobody":
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def _main(owner: str, number: str, identity: str, *program: str) -> None:
    _become_nobody(identity)
    # After the change of identity, which undoes the tie.
    tie(int(number), int(owner))
    os.execvp(program[0], program)  # noqa: S606 - replacing this process is the point


if __name__ == "__main__":
    _main(*sys.argv[1:])
