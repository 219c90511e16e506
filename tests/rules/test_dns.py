"""DNS records as values: what is the same however it is written, what differs, and what cannot be kept."""

from __future__ import annotations

import string
from dataclasses import replace

import pytest
from hcloud.exp.zone import format_txt_record
from hypothesis import given
from hypothesis import strategies as st

from workspaces.rules import dns
from workspaces.rules.dns import Record, RecordSet, Zone
from workspaces.rules.drift import Difference

ZONE = Zone(7, "customs.example", "primary", 3600)
COPY = Zone(8, "customs.example", "secondary", 3600)
PRINTABLE = st.text(string.ascii_letters + string.digits + string.punctuation + " ", max_size=700)


def record(type: str = "AAAA", value: str = "2001:db8::7", ttl: int | None = None, name: str = "gw") -> Record:
    return Record("r-1", "customs.example", name, type, value, ttl)


def seen(*values: str, type: str = "AAAA", ttl: int | None = None, protected: bool = False) -> RecordSet:
    return RecordSet("gw", type, values, ttl, protected)


def told(found: list[Difference]) -> list[tuple[str, object, object, str]]:
    return [(one.field, one.wanted, one.seen, one.policy) for one in found]


def test_a_record_that_is_as_wanted_differs_in_nothing() -> None:
    assert dns.differences(record(), ZONE, seen("2001:db8::7")) == []


@pytest.mark.parametrize(
    ("type", "ours", "theirs"),
    [
        ("AAAA", "2001:db8::7", "2001:0DB8:0000:0000:0000:0000:0000:0007"),
        ("AAAA", "2001:DB8::7", "2001:db8::7"),
        ("A", " 203.0.113.7 ", "203.0.113.7"),
        ("CNAME", "edge.fjordline.example.", "Edge.Fjordline.EXAMPLE."),
        ("CNAME", "edge", "edge.customs.example."),
        ("CNAME", "@", "customs.example."),
        ("MX", "10 mail.fjordline.example.", "10  MAIL.fjordline.example."),
        ("SRV", "0 5 443 edge", "0 5 443 edge.customs.example."),
        ("TXT", "v=spf1 -all", '"v=spf1 -all"'),
        ("TXT", "v=spf1 -all", '"v=spf1" " -all"'),
        ("TXT", 'say "no"', r'"say \"no\""'),
        ("TXT", r"C:\keys", r'"C:\\keys"'),
        ("TXT", "x" * 300, f'"{"x" * 255}" "{"x" * 45}"'),
        ("CAA", '0 issue "ca.example"', '0  issue "ca.example"'),
    ],
)
def test_another_way_to_write_the_same_is_no_difference(type: str, ours: str, theirs: str) -> None:
    assert dns.differences(record(type, ours), ZONE, seen(theirs, type=type)) == []


@pytest.mark.parametrize(
    ("type", "ours", "theirs"),
    [
        ("AAAA", "2001:db8::7", "2001:db8::8"),
        ("CNAME", "edge.fjordline.example.", "edge.fjordline.example"),  # a name within the zone
        ("MX", "10 mail.fjordline.example.", "20 mail.fjordline.example."),
        ("TXT", "v=spf1 -all", '"V=SPF1 -all"'),
        ("TXT", "v=spf1 -all", '"v=spf1  -all"'),
    ],
)
def test_another_value_is_a_difference(type: str, ours: str, theirs: str) -> None:
    (one,) = dns.differences(record(type, ours), ZONE, seen(theirs, type=type))
    assert (one.field, one.policy) == ("records", "repair")


def test_other_values_more_values_and_none_are_told_with_what_is_wanted() -> None:
    other = dns.differences(record(), ZONE, seen("2001:db8::9", "2001:db8::7"))
    assert told(other) == [("records", ["2001:db8::7"], ["2001:db8::7", "2001:db8::9"], "repair")]
    assert other[0].subject == "DNS record gw.customs.example AAAA"
    assert other[0].key == ("dns", "r-1", "records")
    assert other[0].actor == ""
    missing = dns.differences(record("TXT", "v=spf1", ttl=60, name="@"), ZONE, None)
    assert told(missing) == [("records", ["v=spf1"], None, "repair")]
    assert missing[0].subject == "DNS record customs.example TXT"


def test_text_is_shown_as_it_is_kept_here() -> None:
    (one,) = dns.differences(record("TXT", "v=spf1 -all"), ZONE, seen('"v=spf1 " "+all"', type="TXT"))
    assert (one.wanted, one.seen) == (["v=spf1 -all"], ["v=spf1 +all"])


@pytest.mark.parametrize(
    ("wanted", "there", "told_as"),
    [
        (300, 300, None),
        (None, None, None),
        (3600, None, None),  # what the zone says
        (None, 3600, None),
        (None, 300, (3600, 300)),
        (300, None, (300, 3600)),
        (300, 60, (300, 60)),
    ],
)
def test_a_time_to_live_is_compared_as_it_is_in_force(
    wanted: int | None, there: int | None, told_as: tuple[int, int] | None
) -> None:
    found = dns.differences(record(ttl=wanted), ZONE, seen("2001:db8::7", ttl=there))
    assert told(found) == ([("ttl", *told_as, "repair")] if told_as else [])


def test_value_and_time_to_live_are_two_differences() -> None:
    found = dns.differences(record(ttl=300), ZONE, seen("2001:db8::8", ttl=60))
    assert [one.field for one in found] == ["records", "ttl"]


def test_what_was_there_before_a_record_was_kept_needs_a_decision() -> None:
    new = replace(record(ttl=300), is_new=True)
    found = dns.differences(new, ZONE, seen("2001:db8::8"))
    assert [(one.field, one.policy) for one in found] == [("records", "decide"), ("ttl", "decide")]
    assert found[0].reason == (
        "It was in the zone before it was kept here: somebody may rely on it. Accept it, or have it set."
    )
    assert [one.policy for one in dns.differences(new, ZONE, None)] == ["repair"]
    assert [one.policy for one in dns.differences(new, COPY, seen("2001:db8::8"))] == ["tell", "tell"]


def test_a_zone_that_is_not_there_is_one_difference_that_says_who_can_fix_it() -> None:
    (one,) = dns.differences(record(ttl=300), None, None)
    assert told([one]) == [("zone", "customs.example", None, "tell")]
    assert one.reason == (
        "Its cloud account has no such zone. Who can fix: the owner of the cloud account, by creating the zone there; "
        "or the operator of the platform, by choosing the account that has it."
    )


def test_a_secondary_zone_is_told_only_and_says_who_can_fix_it() -> None:
    (one,) = dns.differences(record(), COPY, seen("2001:db8::8"))
    assert one.policy == "tell"
    assert one.reason.endswith("Who can fix: whoever runs the primary name servers of the zone.")
    assert dns.differences(record(), COPY, None)[0].policy == "tell"
    assert dns.differences(record(), COPY, seen("2001:db8::7")) == []


def test_a_protected_record_set_needs_a_decision_and_says_why() -> None:
    (one,) = dns.differences(record(), ZONE, seen("2001:db8::8", protected=True))
    assert one.policy == "decide"
    assert one.reason.startswith("It is protected against changes.")


@given(PRINTABLE)
def test_any_text_comes_back_as_it_was_and_every_piece_fits(text: str) -> None:
    quoted = dns.at_vendor("TXT", text)
    assert dns.as_kept("TXT", quoted) == text
    assert dns.differences(record("TXT", text), ZONE, seen(quoted, type="TXT")) == []
    assert quoted.startswith('"')
    assert quoted.endswith('"')


@given(st.text(string.ascii_letters + ' =-"', min_size=1, max_size=200))
def test_text_is_quoted_as_the_sdk_does_it(text: str) -> None:
    assert dns.at_vendor("TXT", text) == format_txt_record(text)


def test_text_is_not_parted_between_a_quote_and_its_backslash() -> None:
    text = "x" * 254 + '"y'
    assert dns.at_vendor("TXT", text) == f'"{"x" * 254}\\"" "y"'
    assert dns.as_kept("TXT", format_txt_record(text)) != text  # why it is not the SDK's


@given(st.text(max_size=40), st.sampled_from(dns.TYPES), st.text(max_size=20))
def test_nothing_a_vendor_may_answer_is_too_strange_to_compare(value: str, type: str, other: str) -> None:
    found = dns.differences(record(type, other), ZONE, seen(value, type=type))
    assert [one.field for one in found] in ([], ["records"])


@pytest.mark.parametrize(
    ("type", "value"),
    [
        ("A", "203.0.113.7"),
        ("AAAA", "2001:db8::7"),
        ("CNAME", "edge.fjordline.example."),
        ("CNAME", "edge"),
        ("MX", "10 mail"),
        ("SRV", "0 5 443 edge.fjordline.example."),
        ("TXT", 'v=spf1 "quoted" -all'),
        ("CAA", '0 issue "ca.example"'),
    ],
)
def test_a_record_that_the_vendor_takes_has_no_problems(type: str, value: str) -> None:
    assert dns.problems(record(type, value, ttl=60)) == {}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"value": "2001:db8::zz"}, {"value": "Enter an IPv6 address, such as 2001:db8::7."}),
        ({"value": "fe80::1%eth0"}, {"value": "Enter an IPv6 address, such as 2001:db8::7."}),
        ({"type": "A"}, {"value": "Enter an IPv4 address, such as 203.0.113.7."}),
        ({"type": "A", "value": "203.0.113.07"}, {"value": "Enter an IPv4 address, such as 203.0.113.7."}),
        (
            {"type": "TXT", "value": '"v=spf1"'},
            {"value": "Enter the text without quotes around it: they are added."},
        ),
        ({"type": "TXT", "value": "a\nb"}, {"value": "Enter letters, digits, spaces and signs of ASCII, in one line."}),
        (
            {"type": "CNAME", "value": "edge.customs.example"},
            {"value": "End it with a dot: without one it is a name within customs.example."},
        ),
        (
            {"type": "CNAME", "value": "-edge-"},
            {"value": "Enter the name of a host: absolute with a dot at the end, or one within the zone."},
        ),
        ({"type": "MX", "value": "mail.example.net."}, {"value": "Enter it as in 10 mail.example.net."}),
        ({"type": "SOA"}, {"type": f"Choose one of {', '.join(dns.TYPES)}."}),
        ({"ttl": 59}, {"ttl": "Enter 60 to 2147483647 seconds, or nothing for what the zone says."}),
        ({"ttl": 2147483648}, {"ttl": "Enter 60 to 2147483647 seconds, or nothing for what the zone says."}),
        ({"zone": "customs"}, {"zone": "Enter the name of a zone, such as customs.example."}),
        ({"name": "customs.example"}, {"name": "Enter @ for the zone itself."}),
        (
            {"name": "gw.customs.example"},
            {"name": "Enter the name within the zone: without the name of the zone, and without a dot at the end."},
        ),
        (
            {"name": "gw gw"},
            {"name": "Enter lower-case letters, digits, hyphens, underscores and dots; @ is the zone itself."},
        ),
        (
            {"name": "@", "type": "CNAME", "value": "edge"},
            {"name": "The zone itself cannot be an alias (CNAME): it has other records."},
        ),
    ],
)
def test_what_the_vendor_would_not_take_is_said_by_field(changed: dict[str, object], said: dict[str, str]) -> None:
    values = {"zone": "customs.example", "name": "gw", "type": "AAAA", "value": "2001:db8::7", "ttl": 60} | changed
    assert dns.problems(Record("r-1", **values)) == said  # type: ignore[arg-type]


def test_names_are_kept_as_the_vendor_has_them() -> None:
    assert dns.zone_name(" Customs.Example. ") == "customs.example"
    assert dns.record_name("GW") == "gw"
