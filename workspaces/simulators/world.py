"""The simulated world: every simulator in one process, one state on disk, one control API.

What a vendor does lives in its own module or package; here they are composed, kept and steered.
"""

import asyncio
import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiohttp import web

from . import faults as faults_control
from . import journal as journal_control
from .clusters import Clusters
from .faults import Faults
from .hetzner import Hetzner
from .hosts import Hosts
from .journal import Journal
from .listening import LOCAL, listen
from .machines import Machines

SAVE_SECONDS = 0.5
# Saving a big world takes longer: it may take this part of the time and no more.
SAVE_SHARE = 0.05
# After a request that wrote, things go on moving by themselves (pods start, actions end): saved as long as this.
SETTLING_PHASES = 60
CLOUD_NOUNS = ("hetzner_projects", "hetzner_types", "hetzner_pricing")
NOUNS = ("management_clusters", *CLOUD_NOUNS, "hosts")
# How often the machines follow their servers when nobody asks the cloud, in phases and at most in seconds.
FOLLOW_PHASES, FOLLOW_SECONDS = 0.25, 0.1


class World:
    """Clusters, cloud and hosts on local ports, persisted in `state_dir` (created 0700: it holds keys)."""

    def __init__(self, state_dir: Path, seed: int = 1, phase_seconds: float = 1.0) -> None:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._dir = state_dir
        self._settling = SETTLING_PHASES * phase_seconds
        self.faults, self.journal = Faults(seed), Journal()
        self.clusters = Clusters(self.faults, self.journal, state_dir, phase_seconds)
        self.hetzner = Hetzner(self.faults, self.journal, state_dir, phase_seconds)
        self.hosts = Hosts(self.faults, self.journal, state_dir, self.clusters)
        self.machines = Machines(self.hetzner, self.hosts, state_dir, phase_seconds)
        self.hetzner.follow = self.machines.follow
        self._follow_seconds = max(0.01, min(FOLLOW_SECONDS, FOLLOW_PHASES * phase_seconds))
        self._control_port = 0
        self._control: web.AppRunner | None = None
        self._running: list[asyncio.Task[None]] = []
        self._adding = asyncio.Lock()

    async def start(self, spec: dict[str, Any] | None = None) -> None:
        """Restore what was saved, serve everything, add what `spec` has beyond it, then write ready.json."""
        (self._dir / "ready.json").unlink(missing_ok=True)
        self._restore()
        await self.clusters.start()
        await self.hetzner.start()
        self.machines.start()
        await self.hosts.start()
        app = web.Application(client_max_size=64 << 20)
        app.add_routes([web.get("/ready", self._get_ready), web.post("/world", self._post_world)])
        app.add_routes([web.post("/certificates", self._post_certificates)])
        app.add_routes(faults_control.routes(self.faults))
        app.add_routes(journal_control.routes(self.journal))
        self._control, self._control_port = await listen(app, self._control_port)
        await self.add(spec or {})
        self._running = [asyncio.create_task(work) for work in (self._keep_saved(), self._keep_following())]

    async def stop(self) -> None:
        """Save, then close every listener and session. A world that never came up saves nothing."""
        (self._dir / "ready.json").unlink(missing_ok=True)
        if self._running:
            for work in self._running:
                work.cancel()
            self.save()
        self.machines.stop()
        if self._control:
            await self._control.cleanup()
        await asyncio.gather(*(part.stop() for part in (self.hosts, self.hetzner, self.clusters)))

    async def add(self, spec: dict[str, Any]) -> dict[str, Any]:
        """Add what is not there yet, by name, and give `ready()`. Raises ValueError for a noun unknown.

        For a host that is there, `updates` it does not have yet are published (see `hosts/machine.py`).
        """
        unknown = set(spec) - set(NOUNS)
        if unknown:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
        async with self._adding:
            # Hosts come last: they join clusters that exist.
            for part, nouns in ((self.clusters, NOUNS[:1]), (self.hetzner, CLOUD_NOUNS), (self.hosts, NOUNS[-1:])):
                if described := {noun: spec[noun] for noun in nouns if noun in spec}:
                    await part.add(described)
            self.save()
            ready = self.ready()
            _replace(self._dir / "ready.json", json.dumps(ready))
        return ready

    def ready(self) -> dict[str, Any]:
        """All that a client needs: URLs, credentials, ports (see each simulator's `ready`)."""
        control = f"http://{LOCAL}:{self._control_port}"
        ready = {"control_url": control, "faults_url": f"{control}/faults"}
        parts = (self.clusters.ready(), self.hetzner.ready(), self.hosts.ready(), self.machines.ready())
        return {name: value for part in (*parts, ready) for name, value in part.items()}

    def save(self) -> None:
        """Write STATE_DIR/state.json, atomically."""
        self.machines.follow()
        state = {
            "ssh_port": self.machines.port,
            "control_port": self._control_port,
            "faults": self.faults.snapshot(),
            "clusters": self.clusters.snapshot(),
            "hetzner": self.hetzner.snapshot(),
            "hosts": self.hosts.snapshot(),
        }
        _replace(self._dir / "state.json", json.dumps(state, separators=(",", ":")))

    def _restore(self) -> None:
        path = self._dir / "state.json"
        if not path.exists():
            return
        state = json.loads(path.read_text())
        self._control_port, self.machines.port = state["control_port"], state.get("ssh_port", 0)
        self.faults.restore(state["faults"])
        self.clusters.restore(state["clusters"])
        self.hetzner.restore(state["hetzner"])
        self.hosts.restore(state["hosts"])

    async def _keep_following(self) -> None:
        while True:
            await asyncio.sleep(self._follow_seconds)
            self.machines.follow()

    async def _keep_saved(self) -> None:
        """Save while something changes: at most every half second, and not at all in a world at rest."""
        loop = asyncio.get_running_loop()
        changes, last_change, pause = self._changes(), loop.time(), SAVE_SECONDS
        while True:
            await asyncio.sleep(pause)
            started = loop.time()
            if self._changes() != changes:
                changes, last_change = self._changes(), started
            if started - last_change <= self._settling + pause:
                self.save()
            pause = max(SAVE_SECONDS, (loop.time() - started) / SAVE_SHARE)

    def _changes(self) -> int:
        return self.journal.writes + self.faults.changes

    async def _get_ready(self, request: web.Request) -> web.Response:
        return web.json_response(self.ready())

    async def _post_world(self, request: web.Request) -> web.Response:
        try:
            return web.json_response(await self.add(await request.json()))
        except (ValueError, KeyError, TypeError) as error:
            return web.json_response({"error": f"{type(error).__name__}: {error}"}, status=400)

    async def _post_certificates(self, request: web.Request) -> web.Response:
        """`{"cluster": a management cluster or "namespace/name", "days": 0.5}` → `{"kubeconfig": …}`."""
        try:
            asked = await request.json()
            kubeconfig = self.clusters.issue_certificate(asked["cluster"], float(asked["days"]))
        except (ValueError, KeyError, TypeError) as error:
            return web.json_response({"error": f"{type(error).__name__}: {error}"}, status=400)
        self.save()
        return web.json_response({"kubeconfig": kubeconfig})


def _replace(path: Path, text: str) -> None:
    """Readers see the old file or the new one, never half of it. Mode 0600: the text holds keys and tokens."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(name).unlink()
        raise
