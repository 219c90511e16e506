"""What is wrong in a version catalogue as a whole, and which version leads to which."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from semver import Version

from workspaces.rules.catalogue import edges, examine, refuse_reason
from workspaces.rules.upgrades import CatalogueVersion
from workspaces.rules.versions import parse_upgrade_from

TODAY = date(2026, 11, 24)
SOUND = [
    CatalogueVersion("1.33.9", True, "1.32.x || 1.33.x", end_of_life_on=date(2026, 12, 31)),
    CatalogueVersion("1.34.8", True, "1.33.x || 1.34.x"),
    CatalogueVersion("1.34.11", True, "1.33.x || 1.34.x"),
    CatalogueVersion("1.35.6", False, ">=1.34.2 <1.36.0", withdrawn_reason="Volume detach can hang."),
    CatalogueVersion("1.35.7", True, ">=1.34.2 <1.36.0", released_on=date(2026, 10, 13)),
    CatalogueVersion("1.36.2", True, "1.35.7"),
]


def row(version, upgrade_from="any", active=True, released=None, ends=None):
    return CatalogueVersion(version, active, upgrade_from, released_on=released, end_of_life_on=ends)


def found(*rows):
    """(version, level, code) of everything found."""
    return [(finding.version, finding.level, finding.code) for finding in examine(rows, TODAY)]


def said(code, *rows):
    """The sentences of one code."""
    return [finding.message for finding in examine(rows, TODAY) if finding.code == code]


def test_nothing_is_wrong_in_a_sound_catalogue_or_in_none():
    assert (examine(SOUND, TODAY), examine([], TODAY)) == ([], [])


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (row("latest"), "“latest” is not a version. Write it like 1.35.4."),
        (row("1.36.0-nightly.3"), "“1.36.0-nightly.3” is not a pre-release the catalogue knows. "
         "Write it like 1.35.0-rc.1."),
        (row("1.36.3", "whatever"), "The upgrade.from of 1.36.3: “whatever” is not understood. "
         "Write any, 1.34.5, 1.34.x or bounds like >=1.34.2 <1.35.0."),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_an_error_and_nothing_else_is_said_of_it(wrong, sentence):
    assert found(*SOUND, wrong) == [(wrong.version, "error", "unreadable")] + (
        [("1.36.2", "warning", "dead_end")] if wrong.version == "1.36.3" else []
    )
    assert said("unreadable", *SOUND, wrong) == [sentence]


def test_a_version_written_twice_is_an_error_with_and_without_v():
    assert found(row("1.35.4"), row("1.35.4")) == [("1.35.4", "error", "duplicate")]
    assert said("duplicate", row("1.35.4"), row("v1.35.4")) == [
        "v1.35.4 is in the catalogue twice, also as 1.35.4. Keep one of them, written 1.35.4."
    ]
    assert found(row("1.35.4"), row("1.35.40")) == []


# --- Cycles -----------------------------------------------------------------------------------------------------------
def test_exact_sources_that_come_back_are_an_error_that_names_the_way():
    assert said("cycle", row("1.35.7", "1.36.2"), row("1.36.2", "1.35.7")) == [
        "1.35.7 accepts 1.36.2, which is higher: 1.35.7 → 1.36.2 → 1.35.7. "
        "Name a lower version: Kamaji does not go back."
    ]


def test_a_way_around_over_several_versions_is_named_in_order():
    rows = [row("1.34.1", "1.36.2"), row("1.35.7", "1.34.1"), row("1.36.2", "1.35.7"), row("1.35.8", "1.34.1")]
    assert "1.34.1 → 1.35.7 → 1.36.2 → 1.34.1." in said("cycle", *rows)[0]
    assert len(said("cycle", *rows)) == 1


@pytest.mark.parametrize("source", ["1.35.7", "v1.35.7", "=1.35.7", "1.34.x || 1.35.7"])
def test_a_version_that_accepts_itself_is_a_cycle(source):
    assert said("cycle", row("1.34.1"), row("1.35.7", source)) == [
        "1.35.7 accepts itself: 1.35.7 → 1.35.7. Name a lower version: Kamaji does not go back."
    ]


@pytest.mark.parametrize("source", ["1.10.0", "1.9.11"])
def test_a_higher_source_is_an_error_also_where_nothing_leads_back_and_numbers_are_compared(source):
    rows = [row("1.9.2", source), row("1.10.0"), row("1.9.11")]
    assert said("cycle", *rows) == [
        f"1.9.2 accepts {source}, which is higher: {source} → 1.9.2. Name a lower version: Kamaji does not go back."
    ]
    assert said("cycle", row("1.9.2"), row("1.10.0", "1.9.2")) == []


def test_a_wildcard_or_a_range_may_admit_newer_patches():
    assert found(row("1.35.4", "any"), row("1.35.6", "1.35.x"), row("1.35.7", ">=1.35.0 <1.36.0")) == []


# --- Dates ------------------------------------------------------------------------------------------------------------
def test_an_end_before_the_release_is_an_error():
    assert said("dates", row("1.35.7", released=date(2026, 10, 13), ends=date(2026, 10, 12))) == [
        "Support of 1.35.7 ends on 12 Oct 2026, before its release on 13 Oct 2026. Correct one of the dates."
    ]
    assert said("dates", row("1.35.7", released=date(2026, 10, 13), ends=date(2026, 10, 13))) == []


def test_an_active_version_past_its_end_is_pointed_out_from_the_day_after():
    assert found(row("1.35.7", ends=TODAY)) == []
    assert said("ended", row("1.35.7", ends=date(2026, 11, 23))) == [
        "Support of 1.35.7 ended on 23 Nov 2026 and it is still offered. Withdraw it with the reason, "
        "or correct the date."
    ]
    assert found(row("1.35.7", active=False, ends=date(2026, 11, 23))) == []


# --- Sources ----------------------------------------------------------------------------------------------------------
def test_an_exact_source_that_is_not_there_is_pointed_out():
    assert said("unknown_source", row("1.34.8"), row("1.35.7", "1.34.8 || 1.34.9")) == [
        "1.35.7 accepts 1.34.9, which is not in the catalogue. Add 1.34.9, or name another source."
    ]
    assert said("unknown_source", row("v1.34.8"), row("1.35.7", "1.34.8")) == []


def test_a_range_or_wildcard_that_admits_no_lower_version_is_pointed_out_each():
    assert said("matches_nothing", row("1.34.8"), row("1.35.7", "1.33.x || >=1.34.9 <1.35.0 || 1.34.8")) == [
        "1.35.7 accepts 1.33.x: no lower version of the catalogue is one. The nearest lower is 1.34.8.",
        "1.35.7 accepts 1.34.9 or later, below 1.35.0: no lower version of the catalogue is one. "
        "The nearest lower is 1.34.8.",
    ]
    assert ("1.35.7", "warning", "matches_nothing") in found(row("1.34.8"), row("1.35.7", "1.35.x"), row("1.35.8"))


def test_of_the_lowest_version_and_of_the_first_patch_of_a_minor_no_lower_one_is_asked():
    assert found(row("1.33.9", "1.32.x || 1.33.x"), row("1.34.8", "1.33.x || 1.34.x")) == []


# --- The graph --------------------------------------------------------------------------------------------------------
def test_an_active_version_that_none_leads_to_is_pointed_out():
    rows = [row("1.34.8"), row("1.35.7", "1.34.x"), row("1.35.9", ">=1.35.8 <1.36.0")]
    assert said("unreachable", *rows) == [
        "No active version leads to 1.35.9 in one hop: it accepts 1.35.8 or later, below 1.36.0, and Kamaji goes one "
        "minor at a time. Widen its upgrade.from, or activate a version between."
    ]
    assert said("unreachable", *rows[:2], row("1.35.8", "any", active=False), rows[2]) != []
    assert said("unreachable", *rows[:2], row("1.35.8"), rows[2]) == []


def test_a_version_that_none_leads_on_from_is_pointed_out_unless_it_is_the_highest():
    assert said("dead_end", row("1.34.8"), row("1.34.11"), row("1.35.7", "1.34.8")) == [
        "No active version leads on from 1.34.11, although 1.35.7 is offered: workspaces stay on it. "
        "Let the upgrade.from of a higher patch or of the next minor admit 1.34.11."
    ]
    assert said("dead_end", row("1.34.8"), row("1.34.11"), row("1.35.7", "1.34.8", active=False)) == []
    # Kamaji never goes from a release to a pre-release of the same minor, so there is nothing to mend.
    assert found(row("1.34.8"), row("1.34.11"), row("1.34.12-rc.1", active=False)) == []
    assert said("dead_end", row("1.34.8"), row("1.34.11"), row("1.34.12-rc.1")) == []


def test_a_hole_between_the_active_minors_is_pointed_out_once():
    rows = [row("1.9.3"), row("1.9.8"), row("1.12.0"), row("1.12.1"), row("1.10.4", active=False)]
    assert said("skipped_minor", *rows) == [
        "There is no active 1.10 or 1.11 version between 1.9.8 and 1.12.0, and Kamaji does not skip a minor. "
        "Add one, or activate one."
    ]
    assert len(said("skipped_minor", row("1.9.3"), row("1.11.0"), row("1.12.0"))) == 1
    assert said("skipped_minor", row("1.9.3"), row("1.10.4"), row("1.11.0")) == []


def test_errors_come_before_warnings_and_newer_versions_before_older_ones():
    rows = [row("1.9.1", ends=date(2026, 1, 1)), row("1.10.1", "1.10.1"), row("1.10.0", ends=date(2026, 1, 1)),
            row("1.9.2", "1.10.0")]  # fmt: skip
    assert found(*rows) == [
        ("1.10.1", "error", "cycle"),
        ("1.9.2", "error", "cycle"),
        ("1.10.1", "warning", "unreachable"),
        ("1.10.0", "warning", "ended"),
        ("1.10.0", "warning", "dead_end"),
        ("1.9.2", "warning", "unreachable"),
        ("1.9.1", "warning", "ended"),
    ]


def test_a_reason_goes_with_a_withdrawal_and_with_nothing_else():
    assert refuse_reason(was_active=True, active=True, reason="Hangs.").startswith("Empty this")
    assert refuse_reason(was_active=True, active=False, reason="").startswith("Say why")
    assert refuse_reason(was_active=True, active=False, reason="Hangs.") == ""
    assert refuse_reason(was_active=False, active=False, reason="") == ""


# --- Generated catalogues against brute force -------------------------------------------------------------------------
texts = st.builds(
    "1.{}.{}{}".format, st.integers(8, 12), st.integers(0, 11), st.sampled_from(["", "", "", "-rc.1", "-beta.0"])
)
origins = st.one_of(
    st.just("any"),
    st.builds("1.{}.x".format, st.integers(8, 12)),
    st.builds(">={}".format, texts),
    texts,
    st.builds("1.{}.x || {}".format, st.integers(8, 12), texts),
)
catalogues = st.lists(
    st.builds(CatalogueVersion, version=texts, active=st.sampled_from([True, True, True, False]), upgrade_from=origins),
    max_size=12,
    unique_by=lambda one: one.version,
)


def judged(source: CatalogueVersion, target: CatalogueVersion) -> bool:
    """Kamaji's webhook from its description (patch numbers are set to 0 first), upwards, and the upgrade.from."""
    before, after = Version.parse(source.version), Version.parse(target.version)
    accepted = after.replace(patch=0) >= before.replace(patch=0) and after.minor - before.minor <= 1
    admitted = parse_upgrade_from(target.upgrade_from).admits(source.version)
    return source.active and target.active and after > before and accepted and admitted


@given(catalogues)
def test_the_edges_are_all_the_hops_that_brute_force_finds(catalogue):
    hops = edges(catalogue)
    assert len(set(hops)) == len(hops)
    assert set(hops) == {(a.version, b.version) for a in catalogue for b in catalogue if judged(a, b)}


@given(catalogues)
def test_findings_agree_with_brute_force_whatever_the_order_of_the_rows(catalogue):
    seen = set(found(*catalogue))
    assert seen == set(found(*reversed(catalogue)))
    active = sorted((one for one in catalogue if one.active), key=lambda one: Version.parse(one.version))
    codes = {code: {version for version, _, its in seen if its == code} for code in ("unreachable", "dead_end")}
    assert codes["unreachable"] == {one.version for one in active[1:] if not any(judged(a, one) for a in active)}
    releases = [Version.parse(one.version) for one in active if "-" not in one.version]
    assert codes["dead_end"] == {
        one.version
        for one in active
        if any(Version.parse(one.version) < higher for higher in releases) and not any(judged(one, a) for a in active)
    }
    backwards = {
        one.version
        for one in catalogue
        for part in one.upgrade_from.split(" || ")
        if part[0].isdigit() and "x" not in part and Version.parse(part) >= Version.parse(one.version)
    }
    assert {version for version, level, _ in seen if level == "error"} == backwards
