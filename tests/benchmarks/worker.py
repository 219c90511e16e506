"""A queue worker that also knows the made-up step, or RQ's own worker for bare jobs.

`python -m tests.benchmarks.worker QUEUE [--bare]`, with the environment of a benchmark run.
"""

from __future__ import annotations

import sys

import django
from django.core.management import call_command


def main(queue: str, *options: str) -> None:
    """Work until told to stop."""
    django.setup()
    from tests.benchmarks.steps import KIND
    from workspaces.operations import plans
    from workspaces.operations.engine import Done

    plans.KINDS[KIND] = {"step": lambda context: Done("done")}
    bare = {"worker_class": "rq.Worker"} if "--bare" in options else {}
    call_command("rqworker", queue, verbosity=0, **bare)


if __name__ == "__main__":
    main(*sys.argv[1:])
