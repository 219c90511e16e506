"""gunicorn's settings, for the demo and for production: `gunicorn -c python:loopback.serving loopback.wsgi`."""

import signal
from typing import Any

from loopback import tether

worker_class = "gthread"
workers = 1
threads = 4
# Its socket would have a fixed place in the home directory, shared by all servers of this user.
control_socket_disable = True


def post_fork(_arbiter: Any, worker: Any) -> None:
    """A worker never outlives its master, also when that is killed."""
    tether.tie(signal.SIGKILL, worker.ppid)
