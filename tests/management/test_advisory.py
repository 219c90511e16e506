"""`manage.py advisory`: what it flags, refuses, renews, closes and lists."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests import cast
from workspaces.models import Advisory, Event, KubernetesVersion

pytestmark = pytest.mark.django_db


def run(*arguments: Any) -> str:
    out = StringIO()
    call_command("advisory", *arguments, stdout=out)
    return out.getvalue()


def test_packages_and_versions_are_flagged(catalogue_rows) -> None:
    told = run(
        "flag", "LSA-1", "--severity", "high", "--package", "openssl", "--package", "libssl3t64",
        "--version", "1.34.11", "--enforced", "--text", "CVE-2026-1",
    )  # fmt: skip
    row = Advisory.objects.get()
    assert (row.name, row.severity, row.packages, row.enforced, row.text, row.closed_at) == (
        "LSA-1", "high", ["openssl", "libssl3t64"], True, "CVE-2026-1", None,
    )  # fmt: skip
    assert [one.version for one in row.versions.all()] == ["1.34.11"]
    assert told == f"LSA-1: high, enforced, flagged {row.flagged_at:%Y-%m-%dT%H:%M:%SZ}: openssl, libssl3t64, 1.34.11\n"
    assert {event.actor_name for event in Event.objects.row_changes().filter(action="advisory.added")} == {
        "manage.py advisory"
    }


def test_flagging_again_counts_from_now_and_keeps_what_is_not_said(catalogue_rows) -> None:
    row = Advisory.objects.create(
        name="LSA-1", severity="high", packages=["openssl"], flagged_at=cast.NOW, closed_at=cast.NOW, text="Old"
    )
    row.versions.set(KubernetesVersion.objects.filter(version="1.34.11"))
    run("flag", "LSA-1", "--severity", "critical", "--no-enforced")
    row.refresh_from_db()
    assert row.flagged_at > cast.NOW
    assert (row.closed_at, row.severity, row.packages, row.text) == (None, "critical", ["openssl"], "Old")
    assert row.versions.count() == 1
    run("flag", "LSA-1", "--version", "1.35.7")
    assert [one.version for one in row.versions.all()] == ["1.35.7"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--severity", "high"], "this flags nothing"),
        (["--package", "openssl"], "Say how urgent it is"),
        (["--severity", "high", "--package", "openssl; reboot"], "is not the name of a package"),
        (
            ["--severity", "high", "--version", "1.34.12"],
            r"1\.34\.12 is not in the catalogue\. The nearest known: 1\.34\.11, 1\.34\.8, 1\.33\.9\.",
        ),
        (["--severity", "high", "--version", "newest"], r"Write it as the catalogue does, such as 1\.37\.1\."),
    ],
)
def test_what_would_flag_nothing_or_is_not_known_is_refused(catalogue_rows, arguments, message) -> None:
    with pytest.raises(CommandError, match=message):
        run("flag", "LSA-1", *arguments)
    assert not Advisory.objects.exists()


def test_an_unknown_version_in_an_empty_catalogue_says_so() -> None:
    with pytest.raises(CommandError, match=r"The catalogue is empty\."):
        run("flag", "LSA-1", "--severity", "high", "--version", "1.34.11")


def test_a_dry_run_tells_and_changes_nothing(catalogue_rows) -> None:
    flag = ["flag", "LSA-1", "--severity", "low", "--package", "*", "--dry-run"]
    assert run(*flag).startswith("Would be: LSA-1: low, flagged ")
    told = json.loads(run(*flag, "--json"))
    assert (told["packages"], told["dry_run"]) == (["*"], True)
    assert not Advisory.objects.exists()
    Advisory.objects.create(name="LSA-1", severity="low", packages=["*"])
    run("close", "LSA-1", "--dry-run")
    assert Advisory.objects.get().closed_at is None


def test_an_advisory_is_closed_once() -> None:
    Advisory.objects.create(name="LSA-1", severity="low", packages=["openssl"])
    assert ", closed " in run("close", "LSA-1")
    assert not Advisory.objects.in_force().exists()
    with pytest.raises(CommandError, match="was closed before"):
        run("close", "LSA-1")
    with pytest.raises(CommandError, match="There is no advisory LSA-2"):
        run("close", "LSA-2")


def test_the_list_is_words_or_json(catalogue_rows) -> None:
    assert (run("list"), json.loads(run("list", "--json"))) == ("", [])
    Advisory.objects.create(name="LSA-1", severity="low", packages=["openssl"], flagged_at=cast.NOW)
    Advisory.objects.create(name="LSA-2", severity="high", packages=["*"], enforced=True)
    assert run("list").splitlines()[1] == "LSA-1: low, flagged 2026-11-24T14:32:00Z: openssl"
    second, first = json.loads(run("list", "--json"))
    assert (second["name"], first) == (
        "LSA-2",
        {
            "name": "LSA-1", "severity": "low", "packages": ["openssl"], "versions": [], "enforced": False, "text": "",
            "flagged_at": "2026-11-24T14:32:00Z", "closed_at": None,
        },
    )  # fmt: skip
