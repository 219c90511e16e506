"""The shortest ways through the versions of a catalogue. Which hop may be made is the caller's to say (`upgrades`).

Hops only lead up, so one walk from the lowest version to the highest finds the way to every one of them.
"""

from collections.abc import Callable, Collection, Sequence


def shortest(
    start: str, ascending: Sequence[str], stops: Collection[str], leads: Callable[[str, str], bool]
) -> dict[str, list[str]]:
    """The way from `start` to every version of `ascending` (all higher) that can be reached, ending with it.

    Each has the fewest hops, and of those the highest version at the first hop, then at the second, and so on. Only
    `stops` are gone through; `leads(a, b)` says whether one hop goes from a to the higher b.
    """
    # A way is its versions' distances from the newest: the fewest, and then the lowest numbers, are the best.
    newest = len(ascending)
    ways: dict[str, tuple[int, list[int]]] = {start: (0, [])}
    for number, version in enumerate(ascending):
        befores = [before for before in ways if (before == start or before in stops) and leads(before, version)]
        if befores:
            hops, way = min(ways[before] for before in befores)
            ways[version] = hops + 1, [*way, newest - number]
    return {
        version: [ascending[newest - back] for back in way] for version, (_, way) in ways.items() if version != start
    }
