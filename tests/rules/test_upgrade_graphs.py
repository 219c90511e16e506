"""Generated catalogues and situations against independent judges: Kamaji's webhook, the skew policy, brute force."""

import random
from dataclasses import replace
from functools import cache
from itertools import combinations

from hypothesis import assume, given
from hypothesis import strategies as st
from semver import Version

from workspaces.rules.refusal import Refused
from workspaces.rules.upgrades import (
    CatalogueVersion,
    Situation,
    patch_target,
    plan,
    plans,
    recommended,
    refuse_upgrade,
    route,
    targets,
)
from workspaces.rules.versions import parse_upgrade_from

MAXIMUM = Version(1, 36, 0)
texts = st.builds(
    "1.{}.{}{}".format, st.integers(32, 37), st.integers(0, 3), st.sampled_from(["", "", "", "-rc.1", "-beta.0"])
)
origins = st.one_of(
    st.just("any"),
    st.builds("1.{}.x".format, st.integers(32, 37)),
    st.builds(">={}".format, texts),
    st.builds("1.{}.x || {}".format, st.integers(32, 37), texts),
)
catalogues = st.lists(
    st.builds(
        CatalogueVersion,
        version=texts,
        active=st.sampled_from([True, True, True, False]),
        upgrade_from=origins,
    ),
    max_size=9,
    unique_by=lambda row: row.version,
)
situations = st.builds(
    Situation,
    workspace_type=st.just("kubernetes"),
    state=st.just("active"),
    running_version=texts,
    kubelet_versions=st.lists(st.builds("v1.{}.{}".format, st.integers(29, 35), st.integers(0, 3)), max_size=3).map(
        tuple
    ),
    kamaji_max=st.just("1.36"),
    control_plane_wanted=st.none(),
)


def kamaji_accepts(old: str, new: str) -> bool:
    """The decision of Kamaji's webhook on an update, from its description: patch numbers are set to 0 first."""
    before, after = (Version.parse(text.removeprefix("v")).replace(patch=0) for text in (old, new))
    return after <= MAXIMUM and after >= before and after.minor - before.minor <= 1


def skew_allows(control_plane: str, kubelets: list[Version]) -> bool:
    server = Version.parse(control_plane)
    return all(kubelet <= server and server.minor - kubelet.minor <= 3 for kubelet in kubelets)


def kubelets_of(situation: Situation) -> list[Version]:
    return [Version.parse(text.removeprefix("v")) for text in situation.kubelet_versions]


def judged_eligible(situation: Situation, row: CatalogueVersion) -> bool:
    running = str(situation.running_version)
    return (
        row.active
        and Version.parse(row.version) > Version.parse(running)
        and kamaji_accepts(situation.control_plane_wanted or running, row.version)
        and kamaji_accepts(running, row.version)
        and parse_upgrade_from(row.upgrade_from).admits(running)
        and skew_allows(row.version, kubelets_of(situation))
    )


@given(catalogues, situations, st.one_of(st.none(), texts))
def test_targets_part_the_catalogue_and_agree_with_the_judges(catalogue, situation, wanted):
    if wanted and Version.parse(wanted) >= Version.parse(situation.running_version):
        situation = replace(situation, control_plane_wanted=f"v{wanted}")
    seen = targets(situation, catalogue)
    eligible, not_offered = [row.version for row in seen.eligible], [row.version for row in seen.not_offered]
    assert sorted(eligible + not_offered) == sorted(
        row.version for row in catalogue if row.version != situation.running_version
    )
    assert set(eligible) == {row.version for row in catalogue if judged_eligible(situation, row)}
    for versions in (eligible, not_offered):
        assert versions == sorted(versions, key=Version.parse, reverse=True)
    assert seen.recommended is None or seen.recommended in eligible
    for row in seen.not_offered:
        refused = refuse_upgrade(situation, row.version, catalogue)
        assert (refused.code, refused.message) == (row.code, row.reason)
    assert all(refuse_upgrade(situation, version, catalogue) is None for version in eligible)


def shortest(situation: Situation, to: CatalogueVersion, catalogue: list[CatalogueVersion]) -> list[list[str]]:
    """By brute force: all routes with the fewest hops that are accepted; a pre-release only as the end."""
    running = Version.parse(situation.running_version)
    newest = max([running, *kubelets_of(situation)])
    stops = [
        row
        for row in catalogue
        if row.active and running < (version := Version.parse(row.version)) < Version.parse(to.version)
        if version.prerelease is None and version >= newest
    ]
    stops.sort(key=lambda row: Version.parse(row.version))
    for count in range(len(stops) + 1):
        routes = []
        for between in combinations(stops, count):
            route = [*between, to]
            origins_of_hops = [situation.running_version, *(row.version for row in between)]
            if all(
                kamaji_accepts(start, row.version) and parse_upgrade_from(row.upgrade_from).admits(start)
                for start, row in zip(origins_of_hops, route, strict=True)
            ):
                routes.append([row.version for row in route])
        if routes:
            return routes
    return []


@given(catalogues, situations, st.integers(0, 8))
def test_a_plan_is_the_shortest_route_with_the_highest_stops_and_never_breaks_a_rule(catalogue, situation, index):
    assume(index < len(catalogue))
    to = catalogue[index]
    assume(to.active and Version.parse(to.version) > Version.parse(situation.running_version))
    kubelets = kubelets_of(situation)
    assume(all(kubelet <= Version.parse(to.version) for kubelet in kubelets))
    routes = shortest(situation, to, catalogue)
    found = plan(situation, to.version, catalogue)
    if isinstance(found, Refused):
        best = max(routes, key=lambda route: [Version.parse(text) for text in route], default=None)
        assert best is None or (found.code == "workers_too_old" and not skew_allows(best[0], kubelets))
        return
    assert [hop.to for hop in found] == max(routes, key=lambda route: [Version.parse(text) for text in route])
    assert [hop.from_ for hop in found] == [situation.running_version, *(hop.to for hop in found[:-1])]
    for hop, following in zip(found, [*found[1:], None], strict=True):
        assert kamaji_accepts(hop.from_, hop.to)
        assert skew_allows(hop.to, kubelets)
        needed = following is None or not skew_allows(following.to, kubelets)
        assert hop.workers_move == (needed and bool(kubelets))
        if hop.workers_move:
            kubelets = [Version.parse(hop.to)] * len(kubelets)


@given(catalogues, situations)
def test_the_patch_target_is_the_highest_eligible_release_of_the_same_minor(catalogue, situation):
    running = Version.parse(situation.running_version)
    patches = [
        row.version
        for row in targets(situation, catalogue).eligible
        if Version.parse(row.version).minor == running.minor and Version.parse(row.version).prerelease is None
    ]
    found = patch_target(situation, catalogue)
    assert (found and found.version) == (patches[0] if patches else None)


# --- Thousands of whole graphs ----------------------------------------------------------------------------------------
GRAPHS = 2_500
LOWEST, HIGHEST = 8, 13  # minors: 1.9 and 1.10 are among them, which texts order wrongly


@cache
def webhook_admits(old_spec: str, new: str, built_for: int) -> bool:
    """Kamaji's validating webhook on an update, step by step as it is described: admitted or one of its denials.

    The patch number is set to 0 before every comparison, the pre-release stays, the maximum is compared by minor.
    """
    before, after = (Version.parse(text.removeprefix("v")).replace(patch=0) for text in (old_spec, new))
    if (after.major, after.minor) > (1, built_for):
        return False  # unable to upgrade to a version greater than the supported one
    if after < before:
        return False  # unable to downgrade a TenantControlPlane
    return after.minor <= before.minor + 1  # unable to upgrade to a minor version in a non-sequential mode


def origin_admits(forms: list[tuple], current: Version) -> bool:
    """Whether one of the alternatives holds, by their meaning: they are written only for the catalogue."""
    for form, *values in forms:
        if form == "any" or (form == "exact" and current == values[0]):
            return True
        if form == "wildcard" and (current.major, current.minor) == (1, values[0]):
            return True
        if form == "range" and values[0] <= current < values[1]:
            return True
    return False


def written(forms: list[tuple]) -> str:
    words = {"any": "any", "exact": "{}", "wildcard": "1.{}.x", "range": ">={} <{}"}
    return " || ".join(words[form].format(*values) for form, *values in forms)


class Graph:
    """A random catalogue with one workspace in it."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        versions = {self.version() for _ in range(chance.randint(3, 16))}
        self.origins = {version: [self.form() for _ in range(chance.choice((1, 1, 2)))] for version in versions}
        self.active = {version for version in versions if chance.random() < 0.85}
        self.running = chance.choice([min(versions), min(versions), self.version(), Version(1, LOWEST, 1)])
        self.built_for = chance.choice((HIGHEST, HIGHEST, HIGHEST, self.running.minor + 2))
        near = Version(1, max(0, self.running.minor + chance.choice((-1, 0, 1))), chance.choice((0, 10)))
        self.wanted = chance.choice((None, self.running, self.running, self.running, near))
        self.kubelets = [self.kubelet() for _ in range(chance.choice((0, 1, 2, 3)))]

    def version(self) -> Version:
        prerelease = self.chance.choice((None, None, None, None, "rc.1", "beta.0"))
        patch = 0 if prerelease and self.chance.random() < 0.7 else self.chance.choice((0, 1, 2, 9, 10))
        return Version(1, self.chance.randint(LOWEST, HIGHEST), patch, prerelease)

    def kubelet(self) -> Version:
        behind = self.chance.choice((0, 0, 0, 0, 0, 1, 1, 2, 2, 3))
        if not behind:
            return self.running if self.chance.random() < 0.95 else self.version()
        return Version(1, self.running.minor - behind, self.chance.choice((1, 10)))

    def form(self) -> tuple:
        kind = self.chance.choice(("any", "any", "any", "wildcard", "exact", "range", "range"))
        if kind == "exact":
            return kind, self.version()
        if kind == "wildcard":
            return kind, self.chance.randint(LOWEST, HIGHEST)
        if kind == "range":
            low, high = sorted((self.version(), self.version()))
            return (kind, low, high) if low < high else ("exact", low)
        return (kind,)

    def situation(self) -> Situation:
        return Situation(
            workspace_type="kubernetes",
            state="active",
            running_version=str(self.running),
            kubelet_versions=tuple(f"v{kubelet}" for kubelet in self.kubelets),
            kamaji_max=f"1.{self.built_for}",
            control_plane_wanted=f"v{self.wanted}" if self.wanted else None,
        )

    def catalogue(self) -> list[CatalogueVersion]:
        rows = [
            CatalogueVersion(str(version), active=version in self.active, upgrade_from=written(forms))
            for version, forms in self.origins.items()
        ]
        self.chance.shuffle(rows)
        return rows

    def leads(self, current: Version, to: Version) -> bool:
        """One hop, but for the hosts: upward, active, admitted by upgrade.from and by Kamaji from both versions."""
        if to not in self.active or to <= current or not origin_admits(self.origins[to], current):
            return False
        asked_for = [current] + ([self.wanted] if self.wanted and current == self.running else [])
        return all(webhook_admits(str(spec), str(to), self.built_for) for spec in asked_for)

    def hosts_allow(self, to: Version) -> bool:
        return all(kubelet <= to and to.minor - kubelet.minor <= 3 for kubelet in self.kubelets)

    def ways(self) -> dict[Version, tuple[int, Version]]:
        """By breadth, for each version: the fewest hops, and the highest version that stands first on such a way."""
        found: dict[Version, tuple[int, Version]] = {}
        reached = {version: version for version in self.active if self.leads(self.running, version)}
        for length in range(1, len(self.active) + 1):
            found = {version: (length, first) for version, first in reached.items()} | found
            following: dict[Version, Version] = {}
            for stop, first in reached.items():
                if stop.prerelease or any(kubelet > stop for kubelet in self.kubelets):
                    continue
                for version in self.active - set(found):
                    if self.leads(stop, version):
                        following[version] = max(first, following.get(version, first))
            reached = following
        newest = max(self.kubelets, default=self.running)
        return {version: way for version, way in found.items() if version >= newest}


def judge_targets(graph: Graph, seen) -> None:
    """Eligible is what one hop reaches and every host can follow; nothing else is, and nothing is missing."""
    expected = {to for to in graph.active if graph.leads(graph.running, to) and graph.hosts_allow(to)}
    assert {Version.parse(row.version) for row in seen.eligible} == expected
    named = [row.version for row in (*seen.eligible, *seen.not_offered)]
    assert sorted(named) == sorted(str(version) for version in graph.origins if version != graph.running)
    assert seen.recommended == (str(max(stable)) if (stable := {v for v in expected if not v.prerelease}) else None)


def judge_hops(graph: Graph, to: Version, hops) -> None:
    """Kamaji takes each hop, upgrade.from admits it, and no kubelet is ever newer nor more than 3 minors behind.

    Hosts move at the last hop, and before it only where the next one would leave them behind.
    """
    current, asked_for, kubelets = graph.running, graph.wanted or graph.running, list(graph.kubelets)
    for hop, following in zip(hops, [*hops[1:], None], strict=True):
        arrives = Version.parse(hop.to)
        assert hop.from_ == str(current)
        assert webhook_admits(str(asked_for), hop.to, graph.built_for)
        assert graph.leads(current, arrives)
        assert all(kubelet <= arrives and arrives.minor - kubelet.minor <= 3 for kubelet in kubelets)
        late = following and any(Version.parse(following.to).minor - kubelet.minor > 3 for kubelet in kubelets)
        assert hop.workers_move == (bool(kubelets) and (following is None or late))
        if hop.workers_move:
            kubelets = [arrives] * len(kubelets)
        current = asked_for = arrives
    assert current == to
    assert all(kubelet == to for kubelet in kubelets)


def test_in_thousands_of_random_graphs_every_route_is_the_shortest_and_each_hop_one_that_kamaji_takes():
    """Counts what was met, so that the graphs cannot quietly become easy."""
    met = dict.fromkeys(("eligible", "several", "three", "no way", "hosts in the way", "workers move early"), 0)
    for seed in range(GRAPHS):
        graph = Graph(random.Random(seed))
        situation, catalogue = graph.situation(), graph.catalogue()
        seen = targets(situation, catalogue)
        judge_targets(graph, seen)
        assert recommended(situation, catalogue) == seen.recommended
        told = {row.version: row.hops for row in seen.not_offered} | {row.version: 1 for row in seen.eligible}
        ways, together = graph.ways(), plans(situation, catalogue)
        for to in graph.active - {graph.running}:
            hops = plan(situation, str(to), catalogue)
            length, first = ways.get(to, (0, None))
            if not length or not graph.hosts_allow(first):
                assert isinstance(hops, Refused), (seed, to)
                assert (told[str(to)], str(to) in together) == (0, False), (seed, to)
                met["hosts in the way" if length else "no way"] += 1
                continue
            assert (len(hops), hops[0].to, told[str(to)]) == (length, str(first), length), (seed, to)
            judge_hops(graph, to, hops)
            assert together[str(to)] == hops
            assert route(situation, str(to), catalogue, [hop.to for hop in hops[:-1]] or None) == hops
            met["eligible" if length == 1 else "several"] += 1
            met["three"] += length > 2
            met["workers move early"] += any(hop.workers_move for hop in hops[:-1])
    assert all(count > 100 for count in met.values()), met
