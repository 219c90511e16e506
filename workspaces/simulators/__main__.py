"""`python -m workspaces.simulators --state-dir DIR [--world FILE] [--seed 1] [--phase-seconds 1.0]`.

Runs the simulated world until SIGTERM or SIGINT. `DIR/ready.json` appears when everything serves.
"""

import argparse
import asyncio
import ctypes
import json
import os
import signal
import sys
from pathlib import Path

from .world import World

STOP_SECONDS = 1.5
PR_SET_PDEATHSIG = 1


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="workspaces.simulators", description="The simulated world.")
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--world", type=Path, help="what to add at the start, a JSON file")
    parser.add_argument("--seed", type=int, default=1, help="of the faults' chance")
    parser.add_argument("--phase-seconds", type=float, default=1.0, help="how long one phase of a vendor's work takes")
    parser.add_argument("--die-with-parent", action="store_true", help="stop when the starting process ends (Linux)")
    options = parser.parse_args()
    if options.die_with_parent:
        _die_with_parent()
    spec = json.loads(options.world.read_text()) if options.world else None
    asyncio.run(_run(World(options.state_dir, options.seed, options.phase_seconds), spec))


async def _run(world: World, spec: dict[str, object] | None) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    try:
        await world.start(spec)
        await stopped.wait()
    finally:
        # A session that does not let go must not hold the process: what matters was saved first.
        async with asyncio.timeout(STOP_SECONDS):
            await world.stop()


def _die_with_parent() -> None:
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    # The parent may have ended before the call above: nobody would tell us any more.
    if os.getppid() != parent:
        sys.exit(0)


if __name__ == "__main__":
    main()
