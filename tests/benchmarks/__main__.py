"""`python -m tests.benchmarks [case …]`: cases are pages, planning, judging and steps; without any, all of them."""

from __future__ import annotations

import sys

import django

from tests.benchmarks import servers

CASES = ("pages", "planning", "judging", "steps")


def main(*chosen: str) -> None:
    """Start the servers, make the fleet, measure, print."""
    unknown = set(chosen) - set(CASES)
    if unknown:
        raise SystemExit(f"Unknown: {', '.join(sorted(unknown))}. Cases are {', '.join(CASES)}.")
    with servers.running():
        django.setup()
        _run(chosen or CASES)


def _run(chosen: tuple[str, ...]) -> None:
    from django.core.management import call_command
    from django.test import override_settings

    from tests.benchmarks import fleet, measuring, pages, steps, whole_fleet

    call_command("migrate", verbosity=0)
    alice = fleet.fill()
    for name in chosen:
        if name == "steps":
            steps.compare()
            continue
        with override_settings(ROOT_URLCONF="tests.benchmarks.limits"):
            made = {"pages": lambda: pages.cases(alice), "planning": whole_fleet.planning}
            cases = made.get(name, whole_fleet.judging)()
            measuring.measure(cases)
            measuring.report(cases)


if __name__ == "__main__":
    main(*sys.argv[1:])
