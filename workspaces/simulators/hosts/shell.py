"""One SSH command as a local process, its three streams pumped both ways as they come."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import asyncssh

CHUNK = 65536


class _Source(Protocol):
    async def read(self, n: int = -1) -> bytes: ...


class _Sink(Protocol):
    def write(self, data: bytes) -> None: ...

    async def drain(self) -> None: ...


async def run(
    process: asyncssh.SSHServerProcess[bytes],
    command: str,
    root: Path,
    environment: Mapping[str, str],
    running: set[asyncio.subprocess.Process],
) -> int:
    """Run `command`, tell the client its exit code, return it. While it runs, its process group is in `running`."""
    child = await asyncio.create_subprocess_exec(
        *("/bin/sh", "-c", command),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=root,
        env=environment,
        start_new_session=True,
    )
    assert child.stdin
    assert child.stdout
    assert child.stderr
    running.add(child)
    feeding = asyncio.create_task(_feed(process.stdin, child.stdin))
    try:
        await asyncio.gather(_pump(child.stdout, process.stdout), _pump(child.stderr, process.stderr))
        code = await child.wait()
    finally:
        feeding.cancel()
        running.discard(child)
    process.exit(code if code >= 0 else 128 - code)
    return code


async def _feed(source: _Source, sink: asyncio.StreamWriter) -> None:
    with suppress(asyncssh.Error, OSError):
        await _pump(source, sink)
    sink.close()


async def _pump(source: _Source, sink: _Sink) -> None:
    """Copy until the source ends; a sink that is gone only swallows, so that the process is not stopped by it."""
    gone = False
    while data := await source.read(CHUNK):
        if not gone:
            try:
                sink.write(data)
                await sink.drain()
            except (asyncssh.Error, OSError):
                gone = True
