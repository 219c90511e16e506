"""The queue worker: RQ's, made quick to notice a death and tied to its own.

Run it with django-rq's command, `manage.py rqworker operations` (settings.RQ names this class); every job is one step
in a forked child. What a step means, and what happens when it fails, is in `workspaces.operations.engine`.
"""

import importlib
import signal
import uuid
from contextlib import suppress
from typing import Any

from django.db import DatabaseError, connections
from rq import Queue, Worker
from rq.job import Job
from rq.worker import DequeueStrategy

from loopback import tether

# What a step needs and takes long to import: loaded once here, so that each forked child has it already.
# The client loads its models with the first API class that is asked for, which takes 0.8 s of CPU.
PRELOADED = (
    "workspaces.jobs",
    "kubernetes.client.api.admissionregistration_v1_api",
    "kubernetes.client.api.apps_v1_api",
    "kubernetes.client.api.coordination_v1_api",
    "kubernetes.client.api.core_v1_api",
    "kubernetes.client.api.custom_objects_api",
    "kubernetes.client.api.discovery_v1_api",
    "kubernetes.client.api.policy_v1_api",
    "kubernetes.client.api.version_api",
    "hcloud",
    "ansible_runner",
)


class StepWorker(Worker):  # type: ignore[misc]
    """Forks one child a step; notices within seconds that a sibling has died."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Takes RQ's arguments; the times are ours whatever the command says."""
        # An idle worker waits for `worker_ttl` - 15 s and only then tidies up, so with RQ's 420 s it hardly ever does.
        kwargs |= {"worker_ttl": 20, "maintenance_interval": 5, "job_monitoring_interval": 5}
        super().__init__(*args, **kwargs)

    def work(self, *args: Any, **kwargs: Any) -> bool:
        """Load what steps need, then work until told to stop. Queues named together take turns, job after job."""
        for module in PRELOADED:
            importlib.import_module(module)
        self._warm_up()
        # RQ would empty the first one before it looks at the next: while upgrades run, nobody would look at the fleet.
        return bool(super().work(*args, **{"dequeue_strategy": DequeueStrategy.ROUND_ROBIN, **kwargs}))

    def _warm_up(self) -> None:
        """Take a step of an operation that is not there: what Django compiles for it, each forked child inherits."""
        with suppress(DatabaseError):  # the database or its tables may come later; then the first steps are slower
            importlib.import_module("workspaces.jobs").run_operation(str(uuid.uuid4()))
        connections.close_all()

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0.0) -> int:
        """Seconds without a sign of life after which a job counts as abandoned: three times the monitoring interval."""
        return 15

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Fork without an open database connection, which parent and child would both use."""
        connections.close_all()
        super().fork_work_horse(job, queue)

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """In the child: end with the worker, or the step would go on unwatched while another worker repeats it."""
        tether.tie(signal.SIGKILL, self.pid)
        super().main_work_horse(job, queue)
