"""What a script may send where a change of the maintenance plan is expected: bodies, content types, If-Match.

The tests that send it are in `test_maintenance_fuzz.py`.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from workspaces.rules import maintenance as rules

MERGE_PATCH = "application/merge-patch+json"

plans = st.builds(
    rules.Plan,
    enabled=st.booleans(),
    hours=st.tuples(*[st.sampled_from([None, *range(24)])] * 7),
    priority_hour=st.integers(0, 23),
    compute_auto_update=st.booleans(),
    kubernetes_auto_upgrade=st.booleans(),
)
NAMES = ["enabled", "schedule", "priority_hour", "compute", "kubernetes", "updated_at", "notes", "0", "6", "7", "00"]
names = st.sampled_from([*NAMES, "auto_update", "auto_upgrade", "", "\ud800", "\x00"])
scalars = st.one_of(
    st.none() | st.booleans() | st.integers(-1, 25),
    st.sampled_from([10**30, -(10**400), 2.0, 1e308, float("nan"), float("inf"), "2", "\udcff", "\x00", ""]),
    st.text(max_size=5),
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4), max_leaves=8
)
changes = st.fixed_dictionaries(
    {},
    optional={
        "enabled": st.booleans(),
        "schedule": st.dictionaries(st.sampled_from("0123456"), st.sampled_from([None, *range(24)])),
        "priority_hour": st.integers(0, 23),
        "compute": st.fixed_dictionaries({}, optional={"auto_update": st.booleans()}),
        "kubernetes": st.fixed_dictionaries({}, optional={"auto_upgrade": st.booleans()}),
        "updated_at": st.just("2026-11-24T14:32:00Z"),
        "notes": st.just([]),
    },
)


@st.composite
def mutated(draw: Any) -> Any:
    """A valid change with one more or one other value somewhere in it."""
    sent = draw(changes)
    blocks = [sent, *(block for block in sent.values() if isinstance(block, dict))]
    block = draw(st.sampled_from(blocks))
    block[draw(st.sampled_from([*block]) if block and draw(st.booleans()) else names)] = draw(values)
    return sent


def twice(sent: dict[str, Any], again: Any) -> str:
    """The object as text with every name in it two times: the last one counts."""
    pairs = [*((name, again) for name in sent), *sent.items()]
    return "{" + ", ".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in pairs) + "}"


texts = st.one_of(
    st.builds(json.dumps, changes),
    st.builds(json.dumps, changes | mutated()),
    st.builds(json.dumps, mutated() | values),
    st.builds(lambda sent: json.dumps(sent, ensure_ascii=False), mutated()),
    st.builds(twice, changes, scalars),
    st.one_of(
        st.builds(
            lambda depth, mark: mark * depth, st.integers(1, 100_000), st.sampled_from(["[", '{"schedule":', '"'])
        ),
        st.builds(lambda depth: f'{{"window": {"[" * depth}{"]" * depth}}}', st.integers(1, 2_000)),
        st.builds(lambda digits: f'{{"priority_hour": {"1" * digits}}}', st.integers(1, 6_000)),
        st.builds(lambda sent, end: json.dumps(sent) + end, changes, st.sampled_from(["}", " {}", "\n", "\x00", "//"])),
    ),
)
encodings = st.sampled_from(["utf-8"] * 6 + ["utf-8-sig", "utf-16", "utf-32-le", "latin-1"])
bodies = st.one_of(
    st.builds(lambda text: text.encode("utf-8", "surrogatepass"), texts),
    st.builds(
        lambda text, encoding: text.encode(encoding, "surrogatepass" if "utf" in encoding else "replace"),
        texts,
        encodings,
    ),
    changes.map(lambda sent: json.dumps(sent).encode()) | st.binary(max_size=30),
)
KINDS = [
    "application/json; charset=utf-8",
    "Application/JSON;charset=latin-1",
    "application/json; charset=klingon",
    f"{MERGE_PATCH}; charset=utf-16",
    "application/json;",
    'application/json; charset="',
    "application/json; ;==",
    "application/json, text/plain",
    "application/json-patch+json",
    "application/jsonp",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "multipart/form-data; boundary=x",
    "*/*",
    ";",
    "",
]
kinds = st.sampled_from([*["application/json", MERGE_PATCH] * 24, *KINDS])
TAGS = [
    '"2"',
    'W/"1"',
    "",
    '"',
    '""',
    '"1", "2"',
    '"-1"',
    '"1e0"',
    '"١"',
    "²",
    "0x1",
    "\x00",
    '"2147483648"',
    "9" * 400,
]
tags = st.one_of(
    st.sampled_from([None, "*", '"1"']),
    st.sampled_from([None, "*", '"1"', *TAGS]),
    st.sampled_from([None, "*", '"1"']) | st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=8),
)
