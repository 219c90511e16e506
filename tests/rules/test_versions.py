"""Versions as numbers, and the upgrade.from grammar."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from semver import Version

from workspaces.rules.versions import (
    is_prerelease,
    is_version,
    minor_of,
    parse,
    parse_upgrade_from,
    precedence,
    sort_key,
)

number = st.integers(min_value=0, max_value=99)
prerelease = st.one_of(
    st.just(""), st.builds("-{}.{}".format, st.sampled_from(["alpha", "beta", "rc"]), number), st.just("-rc")
)
versions = st.builds("{}.{}.{}{}".format, number, number, number, prerelease)


@pytest.mark.parametrize(
    ("text", "read"), [("1.35.4", "1.35.4"), ("v1.35.4", "1.35.4"), (" v1.36.0-rc.1 ", "1.36.0-rc.1")]
)
def test_a_version_is_read_with_and_without_v(text, read):
    assert str(parse(text)) == read


@pytest.mark.parametrize("text", ["", "1.35", "1.35.x", "latest", "1.035.1", "vv1.35.1", "1.35.4.1"])
def test_what_is_not_a_version_is_refused_in_a_sentence(text):
    assert not is_version(text)
    with pytest.raises(ValueError, match=r"is not a version\. Write it like 1\.35\.4\."):
        parse(text)


def test_the_minor_is_a_pair_of_numbers():
    assert minor_of("v1.35.4") == (1, 35)


def test_an_alpha_a_beta_and_a_candidate_are_pre_releases():
    assert [is_prerelease(v) for v in ("1.36.0-alpha.1", "1.36.0-rc.0", "1.36.0", "1.36.0+build")] == [
        True,
        True,
        False,
        False,
    ]


def test_versions_sort_as_numbers_and_not_as_text():
    shuffled = ["1.9.11", "1.10.0", "1.10.0-rc.10", "1.10.0-rc.2", "1.9.2", "1.10.0-beta.0", "1.10.0-alpha.3", "2.0.0"]
    expected = [
        "1.9.2",
        "1.9.11",
        "1.10.0-alpha.3",
        "1.10.0-beta.0",
        "1.10.0-rc.2",
        "1.10.0-rc.10",
        "1.10.0",
        "2.0.0",
    ]
    assert sorted(shuffled, key=precedence) == expected
    assert sorted(shuffled, key=sort_key) == expected


def test_the_sort_key_is_a_literal_that_never_changes():
    # It is stored in the database: changing it needs a migration of the rows.
    assert sort_key("1.35.4") == 1_00035_00004_99999
    assert sort_key("1.36.0-rc.1") == 1_00036_00000_60002


def test_the_largest_sort_key_fits_a_bigint():
    assert sort_key("8999.99999.99999") < 2**63


@pytest.mark.parametrize("text", ["9000.0.0", "1.100000.0", "1.35.0-gke.100", "1.35.0-rc.1.2", "1.35.0-rc.29999"])
def test_what_the_sort_key_cannot_hold_is_refused(text):
    with pytest.raises(ValueError, match=r"too large for the catalogue|pre-release the catalogue knows"):
        sort_key(text)


@given(versions, versions)
def test_the_order_is_that_of_the_semver_library(one, other):
    expected = Version.parse(one).compare(other)
    for key in (precedence, sort_key):
        assert (key(one) > key(other)) - (key(one) < key(other)) == expected


FROM = [
    ("any", ["1.2.3", "1.36.0-rc.1"], [], "accepts any version"),
    ("1.34.5", ["1.34.5", "v1.34.5"], ["1.34.4", "1.34.6", "1.34.5-rc.1"], "accepts 1.34.5"),
    ("v1.34.5", ["1.34.5"], ["1.34.4"], "accepts 1.34.5"),
    ("1.34.x", ["1.34.0", "1.34.99", "1.34.0-rc.1"], ["1.33.9", "1.35.0", "1.35.0-alpha.0"], "accepts 1.34.x"),
    ("1.34.*", ["1.34.7"], ["1.35.0"], "accepts 1.34.x"),
    (">=1.35.4", ["1.35.4", "1.35.10", "1.36.0"], ["1.35.3", "1.35.4-rc.1"], "accepts 1.35.4 or later"),
    (
        ">=1.34.2 <1.35.0",
        ["1.34.2", "1.34.10"],
        ["1.34.1", "1.35.0"],
        "accepts 1.34.2 or later, below 1.35.0",
    ),
    (">= 1.34.2  < 1.35.0", ["1.34.2"], ["1.34.1"], "accepts 1.34.2 or later, below 1.35.0"),
    (">1.34.2 <=1.34.9", ["1.34.3", "1.34.9"], ["1.34.2", "1.34.10"], "accepts later than 1.34.2, up to 1.34.9"),
    ("=1.34.5", ["1.34.5"], ["1.34.6"], "accepts 1.34.5"),
    ("1.34.x || >=1.35.4", ["1.34.1", "1.36.0"], ["1.35.3"], "accepts 1.34.x, or 1.35.4 or later"),
    ("1.34.5, 1.34.7\n1.33.x", ["1.34.7", "1.33.0"], ["1.34.6"], "accepts 1.34.5, or 1.34.7, or 1.33.x"),
]


@pytest.mark.parametrize(("text", "admitted", "refused", "words"), FROM)
def test_upgrade_from_admits_what_it_says(text, admitted, refused, words):
    origin = parse_upgrade_from(text)
    assert [v for v in admitted if not origin.admits(v)] == []
    assert [v for v in refused if origin.admits(v)] == []
    assert origin.describe() == words


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "An alternative is empty"),
        ("1.34.x ||", "An alternative is empty"),
        ("1.34.5,,1.34.6", "An alternative is empty"),
        ("1.34", "is not understood. Write any, 1.34.5, 1.34.x or bounds"),
        ("~1.34.2", "is not understood"),
        (">=1.34", "is not understood"),
        ("x.34.1", "is not understood"),
        (">=1.35.0 <1.34.0", "can never hold"),
        (">1.35.0 <=1.35.0", "can never hold"),
        ("1.34.5 1.34.6", "can never hold"),
        (">=1.34.2, <1.35.0", "A comma means “or”"),
    ],
)
def test_an_upgrade_from_that_cannot_be_meant_is_refused_in_a_sentence(text, sentence):
    with pytest.raises(ValueError, match=sentence):
        parse_upgrade_from(text)


@given(versions, versions, versions)
def test_a_range_admits_what_lies_between_its_bounds(low, high, version):
    if precedence(low) >= precedence(high):
        low, high = high, low
    if precedence(low) == precedence(high):
        return
    between = precedence(low) <= precedence(version) < precedence(high)
    assert parse_upgrade_from(f">={low} <{high}").admits(version) == between
    assert parse_upgrade_from(f"1.0.0-alpha.0 || >={low} <{high}").admits(version) == (
        between or version == "1.0.0-alpha.0"
    )
