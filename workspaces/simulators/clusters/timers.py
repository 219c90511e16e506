"""Things that happen a moment later: keyed timers on the running loop, so that the same thing is never due twice."""

import asyncio
from collections.abc import Callable, Hashable


class Timers:
    """One cluster's timers. `phase` is the length of one phase of the world, in seconds."""

    def __init__(self, phase: float) -> None:
        self.phase = phase
        self._handles: dict[Hashable, asyncio.TimerHandle] = {}

    def after(self, key: Hashable, phases: float, action: Callable[[], None]) -> None:
        """Does it after so many phases; a key that is due already stays as it is."""
        if key not in self._handles:
            self._handles[key] = asyncio.get_running_loop().call_later(phases * self.phase, self._fire, key, action)

    def soon(self, key: Hashable, action: Callable[[], None]) -> None:
        """Does it after what the caller is doing has been answered: controllers are never part of a request."""
        self.after(key, min(0.02, 0.05 * self.phase) / self.phase if self.phase else 0, action)

    def cancel(self, key: Hashable) -> None:
        handle = self._handles.pop(key, None)
        if handle is not None:
            handle.cancel()

    def due(self, key: Hashable) -> bool:
        return key in self._handles

    def stop(self) -> None:
        for handle in self._handles.values():
            handle.cancel()
        self._handles.clear()

    def _fire(self, key: Hashable, action: Callable[[], None]) -> None:
        self._handles.pop(key, None)
        action()
