"""Advisories: package names that may go into a command on a host, and which count."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from tests import cast
from workspaces.models import Advisory
from workspaces.models.advisory import package_names


@pytest.mark.parametrize(
    "name", ["openssl", "libssl3t64", "g++-14", "linux-image-6.12.0-1", "python3.13", "R-core", "*"]
)
def test_names_of_packages_are_taken(name) -> None:
    package_names([name])


@pytest.mark.parametrize(
    "value",
    [
        "openssl",
        None,
        {"openssl": "3"},
        [1],
        [None],
        [""],
        ["-rf"],
        ["open ssl"],
        ["openssl; reboot"],
        ["$(reboot)"],
        ["openssl=3.5"],
        ["openssl\n"],
        ["öpenssl"],
        ["**"],
        ["lib*"],
        ["x" * 129],
    ],
)
def test_what_is_no_list_of_package_names_is_refused(value) -> None:
    with pytest.raises(ValidationError):
        package_names(value)


@pytest.mark.django_db
def test_closed_ones_count_no_more() -> None:
    Advisory.objects.create(name="LSA-1", severity="high")
    Advisory.objects.create(name="LSA-2", severity="high", closed_at=cast.NOW)
    assert [str(one) for one in Advisory.objects.in_force()] == ["LSA-1"]
