"""Generated catalogues and situations against independent judges: Kamaji's webhook, the skew policy, brute force."""

from dataclasses import replace
from itertools import combinations

from hypothesis import assume, given
from hypothesis import strategies as st
from semver import Version

from workspaces.rules.refusal import Refused
from workspaces.rules.upgrades import CatalogueVersion, Situation, patch_target, plan, refuse_upgrade, targets
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
