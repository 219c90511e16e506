"""`python -m tests.benchmarks [case …]`: cases are pages, profiles, planning, judging and steps; without any, all.

`python -m tests.benchmarks faults`, `… overhead`, `… blind` and `… reconciling` take minutes to hours, with options of
their own (--help).
"""

from __future__ import annotations

import importlib
import os
import sys

import django

from tests.benchmarks import servers

CASES = ("pages", "profiles", "planning", "judging", "steps")
# What has a fleet of its own, and what differs from production there: a hang is cut in seconds, and looks come often
# enough to be counted. What is set outside wins.
APART = {
    "faults": {
        "LOOPBACK_VENDOR_TIMEOUT": "3",
        "LOOPBACK_PLAYBOOK_TIMEOUT": "60",
        "LOOPBACK_RECONCILE_SECONDS": "3600",
    },
    "overhead": {"LOOPBACK_RECONCILE_SECONDS": "30"},
    # A fifth of the usual times, so that a fault is cut as late in a period as in production.
    "blind": {
        "LOOPBACK_RECONCILE_SECONDS": "12",
        "LOOPBACK_SEEDING_SECONDS": "120",
        "LOOPBACK_DNS_SECONDS": "60",
        "LOOPBACK_BACKOFF_SECONDS": "60",
        "LOOPBACK_VENDOR_TIMEOUT": "2",
        "LOG_LEVEL": "WARNING",
    },
    "reconciling": {},
}


def main(*chosen: str) -> None:
    """Start the servers, make the fleet, measure, print."""
    if chosen and chosen[0] in APART:
        sys.exit(_run_apart(*chosen))
    unknown = set(chosen) - set(CASES)
    if unknown:
        raise SystemExit(f"Unknown: {', '.join(sorted(unknown))}. Cases are {', '.join((*CASES, *APART))}.")
    with servers.running():
        django.setup()
        _run(chosen or CASES)


def _run_apart(name: str, *arguments: str) -> int:
    """The exit code of a measurement that makes its own fleet."""
    os.environ |= {variable: os.environ.get(variable, value) for variable, value in APART[name].items()}
    with servers.running():
        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        return int(importlib.import_module(f"tests.benchmarks.{name}").main(*arguments))


def _run(chosen: tuple[str, ...]) -> None:
    from django.core.management import call_command
    from django.test import override_settings

    from tests.benchmarks import fleet, measuring, pages, planning, profiles, steps, whole_fleet

    call_command("migrate", verbosity=0)
    alice = fleet.fill()
    made = {
        "pages": lambda: pages.cases(alice),
        "profiles": lambda: profiles.cases(alice),
        "judging": whole_fleet.judging,
    }
    for name in chosen:
        if name == "steps":
            steps.compare()
        elif name == "planning":
            planning.report()
        else:
            with override_settings(ROOT_URLCONF="tests.benchmarks.limits"):
                cases = made[name]()
                measuring.measure(cases)
                measuring.report(cases)


if __name__ == "__main__":
    main(*sys.argv[1:])
