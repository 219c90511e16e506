"""Names of hosts: which are possible, and which comes next."""

import pytest

from workspaces.rules.host_names import is_possible, propose


@pytest.mark.parametrize("name", ["a", "0", "ledger-prod-w4", "a" * 63, "1-2--3"])
def test_labels_of_rfc_1123_are_possible(name):
    assert is_possible(name)


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a.b", "a_b", "a b", "a" * 64, "ä", "a\n"])
def test_anything_else_is_not(name):
    assert not is_possible(name)


@pytest.mark.parametrize(
    ("taken", "kubernetes", "name"),
    [
        ([], True, "ledger-prod-w1"),
        ([], False, "ledger-prod-1"),
        (["ledger-prod-w1", "ledger-prod-w3"], True, "ledger-prod-w4"),
        (["ledger-prod-w9", "ledger-prod-w10"], True, "ledger-prod-w11"),
        (["ledger-w1", "ledger-w2", "spare"], True, "ledger-w3"),
        (["old1", "ledger-prod-w1"], True, "ledger-prod-w2"),
        (["spare"], True, "ledger-prod-w1"),
    ],
)
def test_the_next_in_the_row_is_proposed(taken, kubernetes, name):
    assert propose("ledger-prod", taken, kubernetes=kubernetes) == name


def test_a_row_that_cannot_go_on_proposes_nothing():
    assert propose("x" * 63, [], kubernetes=True) == ""
    assert propose("Ledger", [], kubernetes=True) == ""
