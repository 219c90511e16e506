"""A real PostgreSQL and a real Valkey for the demo and the tests, as children of this process.

The servers come from wheels (`uv sync`), else from the system. They listen on a Unix socket in their data directory and
nowhere else, stop with their owner whatever happens to it, and a second owner of the same data is refused. Production
does not come here: it is given DATABASE_URL and REDIS_URL.
"""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import IO, Self
from urllib.parse import quote

from loopback import processes, programs, tether

# The longest directory in which a Unix socket of ours can be bound: the kernel allows 107 bytes for the whole path.
LONGEST_SOCKET_DIRECTORY = 85


class EmbeddedError(Exception):
    """A server does not start, or its data is in use; the message is a sentence for the person at the terminal."""


class _Server(ABC):
    """One child process and its data directory; subclasses say which program, and when it is ready."""

    label: str
    stop_signal = signal.SIGTERM
    pid_file: Path

    def __init__(self, data: Path, *, durable: bool = True) -> None:
        """Keep the data in `data`; without `durable` a crash of the machine may lose it, which makes tests faster."""
        self.data = data.absolute()
        self.durable = durable
        self.log = self.data / "server.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None
        self._sockets = self.data

    def start(self, timeout: float = 30) -> Self:
        """Start and wait until the server answers. Raises EmbeddedError, or MissingProgram."""
        self.launch()
        self.wait(timeout)
        return self

    def launch(self) -> None:
        """Start without waiting; `wait` must follow. Raises EmbeddedError, or MissingProgram.

        Without a `stop` before, a server that has crashed comes back at the same address.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("A server dies with the thread that starts it: start it from the main thread.")
        self.data.parent.mkdir(parents=True, exist_ok=True)
        if self._lock is None:
            self._lock = self._take_lock()
        try:
            program = self._prepare()
            self._wait_for_predecessor()
            self._make_socket_directory()
            with self.log.open("wb") as log:
                self.process = subprocess.Popen(
                    tether.command([*program, *self._options()], self.stop_signal, self._identity()),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=_clean_environment(),
                    cwd="/",
                    # Ctrl-C is for the owner, which stops the servers after everything that uses them.
                    process_group=0,
                )
        except BaseException:
            self.stop()
            raise

    def wait(self, timeout: float = 30) -> None:
        """Wait until the server answers. Raises EmbeddedError with the end of its log when it does not."""
        process = self.process
        assert process is not None
        if (
            not processes.poll(lambda: process.poll() is not None or self._ready(process.pid), timeout)
            or process.poll() is not None
        ):
            self.stop()
            raise EmbeddedError(f"{self.label} did not start: {self.log.read_text(errors='replace')[-2000:].strip()}")

    def has_ended(self) -> bool:
        """Whether it was started and does not run any more, though nobody has stopped it."""
        return self.process is not None and self.process.poll() is not None

    def stop(self) -> None:
        """Stop the server in an orderly way and give the data free; harmless when it is not running."""
        if self.process is not None:
            if self.process.poll() is None:
                self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None
        if self._sockets != self.data:
            shutil.rmtree(self._sockets, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _take_lock(self) -> IO[str]:
        lock = self.data.with_name(f"{self.data.name}.lock").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise EmbeddedError(f"{self.data} is in use by another process.") from None
        return lock

    def _wait_for_predecessor(self) -> None:
        """We hold the lock, so a server that still runs has just lost its owner and is on its way out."""
        pid = processes.pid_in(self.pid_file)
        if pid is None or not processes.alive(pid):
            # A server judges by itself what a crash has left behind.
            return
        if not processes.serves(pid, self.data):
            # The number belongs to somebody else by now, which PostgreSQL would take for a running server.
            self.pid_file.unlink(missing_ok=True)
            return
        with suppress(ProcessLookupError):
            os.kill(pid, self.stop_signal)
        if not processes.poll(lambda: not processes.serves(pid, self.data), 20):
            raise EmbeddedError(f"{self.label} of an earlier run does not stop (process {pid}).")

    def _make_socket_directory(self) -> None:
        """The data directory, or one with a shorter name, which stays the same when the server comes back."""
        if self._sockets != self.data:
            self._sockets.mkdir(mode=0o700, exist_ok=self.process is not None)
        elif len(os.fsencode(self.data)) > LONGEST_SOCKET_DIRECTORY:
            self._sockets = Path(tempfile.mkdtemp(prefix="loopback-"))

    def _identity(self) -> tether.Identity:
        return "same"

    @abstractmethod
    def _prepare(self) -> list[Path]:
        """Make the data directory and return the program."""

    @abstractmethod
    def _options(self) -> list[str]:
        """Arguments of the program; one of them is the data directory."""

    @abstractmethod
    def _ready(self, pid: int) -> bool:
        """Whether the server answers, and it is ours (`pid`), not one whose files were left behind."""


class Postgres(_Server):
    """PostgreSQL for one data directory, as superuser `postgres` without a password, for this user only."""

    label = "PostgreSQL"
    stop_signal = signal.SIGINT  # "fast" shutdown: sessions are ended, data is written

    def __init__(self, data: Path, *, durable: bool = True) -> None:
        """See `_Server`."""
        super().__init__(data, durable=durable)
        self.pid_file = self.data / "postmaster.pid"
        self._programs = Path()
        self._as: tether.Identity = "same"

    def url(self, database: str = "postgres") -> str:
        """For DATABASE_URL, once it was started."""
        return f"postgresql://postgres@{quote(str(self._sockets), safe='')}/{database}"

    def _prepare(self) -> list[Path]:
        self._programs, version = programs.find_postgres()
        self._as = _identity_for(self._programs / "postgres")
        if not (self.data / "PG_VERSION").exists():
            self._create_cluster(version)
        return [self._programs / "postgres"]

    def _create_cluster(self, version: int) -> None:
        """Run initdb beside and rename: a cluster that was interrupted half way is never taken for a whole one."""
        new = self.data.with_name(f"{self.data.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        self._give_to_server(new)
        locale = ["--locale=C.UTF-8", *(["--locale-provider=builtin"] if version >= 17 else [])]
        options = ["-D", str(new), "-A", "trust", "-U", "postgres", "--encoding=UTF8", "--no-sync", *locale]
        done = subprocess.run(
            tether.command([self._programs / "initdb", *options], signal.SIGKILL, self._as),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=_clean_environment(),
            cwd="/",
        )
        if done.returncode:
            raise EmbeddedError(f"PostgreSQL's initdb failed in {new}: {done.stderr.strip()}")
        new.rename(self.data)

    def _make_socket_directory(self) -> None:
        super()._make_socket_directory()
        self._give_to_server(self._sockets)

    def _give_to_server(self, directory: Path) -> None:
        if self._as == "nobody":
            os.chown(directory, tether.NOBODY, tether.NOBODY)

    def _identity(self) -> tether.Identity:
        return self._as

    def _options(self) -> list[str]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._sockets),
            "unix_socket_permissions": "0700",
            "max_connections": "100",
            "shared_buffers": "64MB",
        }
        if not self.durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}
            settings |= {"wal_level": "minimal", "max_wal_senders": "0"}
        return ["-D", str(self.data), *(part for name, value in settings.items() for part in ("-c", f"{name}={value}"))]

    def _ready(self, pid: int) -> bool:
        try:
            lines = self.pid_file.read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[0] == str(pid) and lines[7].startswith("ready")


class Valkey(_Server):
    """Valkey (or Redis) for one data directory, without a password, for this user only."""

    label = "Valkey"

    def __init__(self, data: Path, *, durable: bool = True) -> None:
        """See `_Server`; durable means an append-only file, written at least every second."""
        super().__init__(data, durable=durable)
        self.pid_file = self.data / "server.pid"

    def url(self, database: int = 0) -> str:
        """For REDIS_URL, once it was started; there are 64 databases."""
        return f"unix://{quote(str(self._socket))}?db={database}"

    @property
    def _socket(self) -> Path:
        return self._sockets / "valkey.sock"

    def _prepare(self) -> list[Path]:
        program = programs.find_valkey()
        self.data.mkdir(mode=0o700, exist_ok=True)
        return [program]

    def _options(self) -> list[str]:
        # The title would replace the command line, by which `_is_ours` knows the process.
        fixed = ["--port", "0", "--unixsocketperm", "700", "--databases", "64", "--set-proc-title", "no", "--save", ""]
        paths = ["--unixsocket", str(self._socket), "--dir", str(self.data), "--pidfile", str(self.pid_file)]
        return [*fixed, *paths, "--appendonly", "yes" if self.durable else "no"]

    def _ready(self, pid: int) -> bool:
        if processes.pid_in(self.pid_file) != pid:
            return False
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.connect(str(self._socket))
                connection.sendall(b"PING\r\n")
                # While it loads its file it answers -LOADING.
                return connection.recv(16).startswith(b"+PONG")
            except OSError:
                return False


def _identity_for(postgres: Path) -> tether.Identity:
    """PostgreSQL refuses root: a user namespace where the machine allows one (containers often do not), else nobody."""
    if os.geteuid() != 0:
        return "same"
    trial = tether.command([postgres, "--version"], signal.SIGKILL, "namespace")
    allowed = subprocess.run(trial, capture_output=True).returncode == 0
    return "namespace" if allowed else "nobody"


def _clean_environment() -> dict[str, str]:
    """Without PG*, which would redirect initdb and the server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}
