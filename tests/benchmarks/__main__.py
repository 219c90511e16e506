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

    from tests.benchmarks import fleet, measuring, pages, planning, steps, whole_fleet

    call_command("migrate", verbosity=0)
    alice = fleet.fill()
    for name in chosen:
        if name == "steps":
            steps.compare()
        elif name == "planning":
            planning.report()
        else:
            with override_settings(ROOT_URLCONF="tests.benchmarks.limits"):
                cases = pages.cases(alice) if name == "pages" else whole_fleet.judging()
                measuring.measure(cases)
                measuring.report(cases)


if __name__ == "__main__":
    main(*sys.argv[1:])
