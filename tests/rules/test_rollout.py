"""What a rollout does next: a table of situations, and random outcomes played to the end."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workspaces.rules import rollout as rules
from workspaces.rules.rollout import Member, Settings, canary_has_passed, canary_of, decide

NOW = datetime(2026, 11, 24, 14, 0, tzinfo=UTC)
STATES = {
    "w": "waiting",
    "r": "running",
    "s": "succeeded",
    "f": "failed",
    "x": "refused",
    "o": "left_out",
    "h": "waiting",  # held
}


def members(word: str) -> list[Member]:
    """One member a letter of STATES, numbered from 0."""
    return [
        Member(number, STATES[letter], "ledger-prod is held." if letter == "h" else "")
        for number, letter in enumerate(word)
    ]


# The members, the settings, when the canary passed (minutes ago), and what is done.
TABLE = [
    # The canary goes first, alone.
    ("wwww", {}, None, "start", "The canary starts next.", (0,)),
    ("wwww", {"canary": 2}, None, "start", "The canary starts next.", (0, 1)),
    ("wwww", {"canary": 3, "at_once": 2}, None, "start", "The canary starts next.", (0, 1)),
    ("rrww", {"canary": 3, "at_once": 2}, None, "wait", "The canary runs alone: 2 of 3 run.", ()),
    ("srww", {"canary": 3, "at_once": 2}, None, "start", "The canary starts next.", (2,)),
    ("rwww", {}, None, "wait", "The canary runs alone: 1 of 1 run.", ()),
    ("hwww", {}, None, "wait", "The canary waits: another operation or a hold keeps it from starting.", ()),
    ("hwww", {"canary": 2}, None, "start", "The canary starts next.", (1,)),
    # Whoever is refused or runs it already gives the place to the next.
    ("xwww", {}, None, "start", "The canary starts next.", (1,)),
    ("oxww", {}, None, "start", "The canary starts next.", (2,)),
    ("xrww", {}, None, "wait", "The canary runs alone: 1 of 1 run.", ()),
    # A failed canary pauses, however many failures are allowed; who continues goes on with the next as canary.
    ("fwww", {"stop_after": 5}, None, "pause", "The canary failed. The others have not been touched.", ()),
    ("frww", {"canary": 2, "stop_after": 5}, None, "pause", "The canary failed. The others have not been touched.", ()),
    ("fwww", {"failures_forgiven": 1}, None, "start", "The canary starts next.", (1,)),
    # Without a canary all are the others.
    ("wwww", {"canary": 0}, 0, "start", "The next ones start.", (0, 1, 2)),
    # The soak.
    ("swww", {"soak": timedelta(minutes=20)}, 19, "wait", "The canary has succeeded. It soaks until 14:01 UTC.", ()),
    ("swww", {"soak": timedelta(minutes=20)}, 20, "start", "The next ones start.", (1, 2, 3)),
    (
        "swww",
        {"soak": timedelta(hours=12)},
        0,
        "wait",
        "The canary has succeeded. It soaks until Wed 25 Nov 02:00 UTC.",
        (),
    ),
    # The others, as many as there are places.
    ("sww", {}, 0, "start", "The next ones start.", (1, 2)),
    ("swwww", {}, 0, "start", "The next ones start.", (1, 2, 3)),
    ("srwww", {}, 0, "start", "The next ones start.", (2, 3)),
    ("srrrw", {}, 0, "wait", "3 of 3 run. The next one starts when one of them has ended.", ()),
    ("srrrrw", {}, 0, "wait", "4 of 3 run. The next one starts when one of them has ended.", ()),
    ("shwwww", {}, 0, "start", "The next ones start.", (2, 3, 4)),
    ("shh", {}, 0, "wait", "Another operation or a hold keeps those that wait from starting.", ()),
    ("srhh", {}, 0, "wait", "1 of 3 run. Another operation or a hold keeps those that wait from starting.", ()),
    # Failures.
    ("sfww", {}, 0, "pause", "1 failed, and it stops after 1.", ()),
    ("sfww", {"stop_after": 2}, 0, "start", "The next ones start.", (2, 3)),
    ("sffrw", {"stop_after": 2}, 0, "pause", "2 failed, and it stops after 2.", ()),
    ("sfwww", {"failures_forgiven": 1}, 0, "start", "The next ones start.", (2, 3, 4)),
    ("sffww", {"failures_forgiven": 1}, 0, "pause", "1 failed, and it stops after 1.", ()),
    # What is refused is no failure.
    ("sxxxw", {}, 0, "start", "The next ones start.", (4,)),
    # Nobody is left to start: it ends with the last, whatever has failed.
    ("sr", {}, 0, "wait", "The last one runs.", ()),
    ("sfrr", {}, 0, "wait", "The last 2 run.", ()),
    ("r", {}, None, "wait", "The last one runs.", ()),
    ("f", {}, None, "finish", "1 failed.", ()),
    ("ssfxo", {}, 0, "finish", "2 upgraded, 1 failed, 1 refused, 1 left out.", ()),
    ("xx", {}, None, "finish", "2 refused.", ()),
    ("", {}, None, "finish", "Nothing to upgrade.", ()),
]


@pytest.mark.parametrize(("word", "careful", "minutes", "does", "sentence", "keys"), TABLE)
def test_every_situation_has_one_answer(word, careful, minutes, does, sentence, keys) -> None:
    passed = None if minutes is None else NOW - timedelta(minutes=minutes)
    done = decide(Settings(**careful), members(word), passed, NOW)
    assert (done.does, done.sentence, done.members) == (does, sentence, keys)


@pytest.mark.parametrize(
    ("word", "careful", "keys", "passed"),
    [
        ("ww", {}, [0], False),
        ("rw", {}, [0], False),
        ("sw", {}, [0], True),
        ("sw", {"canary": 2}, [0, 1], False),
        ("sxs", {"canary": 2}, [0, 2], True),
        ("fw", {}, [1], False),
        ("fsw", {}, [1], False),  # nobody has looked at the failure
        ("fsw", {"failures_forgiven": 1}, [1], True),
        ("rsw", {"canary": 1}, [0], False),  # it had failed and was continued
        ("ww", {"canary": 0}, [], True),
        ("x", {}, [], True),
    ],
)
def test_the_canary_is_the_first_that_can_be_and_passes_when_all_of_it_has_succeeded(
    word, careful, keys, passed
) -> None:
    careful = Settings(**careful)
    assert [member.key for member in canary_of(careful, members(word))] == keys
    assert canary_has_passed(careful, members(word)) is passed


def test_settings_out_of_bounds_are_named() -> None:
    assert rules.wrong({"canary": 1, "at_once": 3, "stop_after": 1, "soak_minutes": 0}) == []
    assert rules.wrong({"canary": -1, "at_once": 0, "stop_after": 501, "soak_minutes": 10081}) == [
        ("canary", "Enter a number from 0 to 100."),
        ("at_once", "Enter a number from 1 to 50."),
        ("stop_after", "Enter a number from 1 to 500."),
        ("soak_minutes", "Enter a number from 0 to 10080."),
    ]


# --- Played to the end ------------------------------------------------------------------------------------------------
class Play:
    """A rollout with random outcomes. Whenever it pauses, a person continues after a look."""

    def __init__(self, careful: Settings, number: int, pick) -> None:
        self.careful, self.pick, self.now = careful, pick, NOW
        self.states = dict.fromkeys(range(number), "waiting")
        self.held: set[int] = set()
        self.passed: datetime | None = None
        self.forgiven = self.pauses = 0

    @property
    def count(self) -> Counter[str]:
        return Counter(self.states.values())

    def turn(self) -> bool:
        """One look; False when it is over."""
        careful = self.settings()
        now_members = [Member(key, state, "held" if key in self.held else "") for key, state in self.states.items()]
        if self.passed is None and canary_has_passed(careful, now_members):
            self.passed = self.now
        done = decide(careful, now_members, self.passed, self.now)
        match done.does:
            case "finish":
                return False
            case "pause":
                self.pauses += 1
                self.forgiven = self.count["failed"]
            case "start":
                self.start(done.members, {member.key for member in canary_of(careful, now_members)})
            case "wait":
                self.something_happens()
        return True

    def settings(self) -> Settings:
        kept = self.careful
        return Settings(kept.canary, kept.at_once, kept.stop_after, kept.soak, self.forgiven)

    def start(self, keys, canary) -> None:
        assert keys
        failures = self.count["failed"] - self.forgiven
        assert failures < self.careful.stop_after
        assert self.passed is not None or (set(keys) <= canary and failures <= 0)
        assert self.passed is None or self.now >= self.passed + self.careful.soak
        for key in keys:
            assert self.states[key] == "waiting"
            assert key not in self.held
            self.states[key] = self.pick(["running", "running", "refused", "left_out"])
        assert self.count["running"] <= self.careful.at_once
        if self.passed is None:
            assert self.count["running"] + self.count["succeeded"] <= self.careful.canary

    def something_happens(self) -> None:
        """Time passes, holds come and go, an upgrade ends."""
        self.now += timedelta(minutes=7)
        waiting = [key for key, state in self.states.items() if state == "waiting"]
        self.held = {key for key in waiting if self.pick([False, False, False, True])}
        running = [key for key, state in self.states.items() if state == "running"]
        if running:
            self.states[self.pick(running)] = self.pick(["succeeded", "succeeded", "failed"])


@settings(max_examples=300, deadline=None)
@given(
    data=st.data(),
    number=st.integers(0, 12),
    canary=st.integers(0, 4),
    at_once=st.integers(1, 4),
    stop_after=st.integers(1, 3),
    soak=st.sampled_from([0, 20]),
)
def test_whatever_happens_nobody_starts_too_early_or_too_many_and_everybody_ends(
    data, number, canary, at_once, stop_after, soak
) -> None:
    seed = data.draw(st.randoms(use_true_random=False))
    play = Play(Settings(canary, at_once, stop_after, timedelta(minutes=soak)), number, seed.choice)
    turns = 0
    while play.turn():
        turns += 1
        assert turns < 2000, play.states
    assert set(play.states.values()) <= {"succeeded", "failed", "refused", "left_out"}
    assert play.pauses <= play.count["failed"]
