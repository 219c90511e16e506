"""The embedded servers: real ones are started, left behind and killed."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from loopback import tether
from loopback.embedded import EmbeddedError, Postgres, Valkey

ROOT = Path(__file__).parents[2]
AS_ROOT = os.geteuid() == 0
OWNER = """
    import sys, time
    from pathlib import Path
    from loopback.embedded import Postgres, Valkey
    data = Path(sys.argv[1])
    postgres, valkey = Postgres(data / "postgres"), Valkey(data / "valkey")
    postgres.start(), valkey.start()
    print(postgres.process.pid, valkey.process.pid, flush=True)
    sys.stdin.read()
    valkey.stop(), postgres.stop()
"""


@pytest.fixture
def empty() -> Iterator[Path]:
    """A directory that every user may enter, and short enough for a socket."""
    directory = Path(tempfile.mkdtemp(prefix="embedded-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def started_once() -> Iterator[Path]:
    """The data of a PostgreSQL that was created, started and stopped."""
    with tempfile.TemporaryDirectory(prefix="embedded-") as directory:
        postgres = Postgres(Path(directory) / "postgres", durable=False).start()
        postgres.stop()
        yield postgres.data


@pytest.fixture
def data(empty: Path, started_once: Path) -> Path:
    """Such a directory with data to go on from, which is quicker than to create it."""
    shutil.copytree(started_once, empty / "postgres")
    return empty


def alive(pid: int | str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except FileNotFoundError:
        return False


def eventually(condition: Callable[[], bool], seconds: float = 8) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def processes_of(data: Path) -> list[str]:
    """Command lines of everything that was started for this directory."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:
            continue
        if f"{data}/" in line:
            found.append(line)
    return found


def start_owner(
    data: Path, python: str = sys.executable, before: str = "", **options: object
) -> tuple[subprocess.Popen[str], list[str]]:
    """A process of its own that owns both servers until its input ends, and the words of its first line."""
    owner = subprocess.Popen(
        [python, "-c", textwrap.dedent(before) + textwrap.dedent(OWNER), str(data)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )
    assert owner.stdout
    return owner, owner.stdout.readline().split()


def a_python_for_everyone() -> str:
    """This interpreter, or the system's where this one lies in a directory that only root can enter."""
    trial = tether.command([sys.executable, "-c", ""], signal.SIGKILL, "nobody")
    return "/usr/bin/python3" if subprocess.run(trial, capture_output=True).returncode else sys.executable


def write_a_row(postgres: Postgres) -> None:
    with psycopg.connect(postgres.url()) as connection:
        connection.execute("create table note (words text)")
        connection.execute("insert into note values ('kept')")


def read_the_row(postgres: Postgres) -> str:
    with psycopg.connect(postgres.url()) as connection:
        row = connection.execute("select words from note").fetchone()
    assert row
    return row[0]


def test_a_second_start_finds_the_rows_of_the_first(empty: Path) -> None:
    first = Postgres(empty / "postgres").start()
    write_a_row(first)
    first.stop()
    second = Postgres(empty / "postgres").start()
    try:
        assert read_the_row(second) == "kept"
    finally:
        second.stop()


def test_a_second_start_finds_the_keys_of_the_first(empty: Path) -> None:
    first = Valkey(empty / "valkey").start()
    with redis.Redis.from_url(first.url(3)) as client:
        client.set("word", "kept")
    first.stop()
    second = Valkey(empty / "valkey").start()
    with redis.Redis.from_url(second.url(3)) as client:
        assert client.get("word") == b"kept"
    second.stop()


def test_stop_leaves_no_process(data: Path) -> None:
    servers = [Postgres(data / "postgres", durable=False).start(), Valkey(data / "valkey", durable=False).start()]
    assert len(processes_of(data)) >= 2
    for server in servers:
        server.stop()
    assert processes_of(data) == []


def test_servers_die_with_an_owner_that_is_killed_and_the_next_one_finds_everything(data: Path) -> None:
    owner, pids = start_owner(data)
    postgres, valkey = Postgres(data / "postgres"), Valkey(data / "valkey")
    write_a_row(postgres)
    with redis.Redis.from_url(valkey.url()) as client:
        client.set("word", "kept")
    owner.kill()
    owner.wait()
    # At once, so this one meets servers that are still on their way out.
    postgres.start()
    valkey.start()
    try:
        assert not any(alive(pid) for pid in pids)
        assert read_the_row(postgres) == "kept"
        with redis.Redis.from_url(valkey.url()) as client:
            assert client.get("word") == b"kept"
    finally:
        valkey.stop()
        postgres.stop()
    owner.communicate()


def test_servers_whose_owner_is_killed_are_gone_within_seconds(data: Path) -> None:
    owner, pids = start_owner(data)
    assert len(pids) == 2
    owner.kill()
    owner.communicate()
    assert eventually(lambda: not any(alive(pid) for pid in pids))


def test_a_pid_file_whose_number_now_belongs_to_somebody_else_is_not_believed(data: Path) -> None:
    first = Postgres(data / "postgres").start()
    pid_file = data / "postgres/postmaster.pid"
    left_behind = pid_file.read_text().splitlines()
    first.stop()
    with subprocess.Popen(["sleep", "60"]) as stranger:
        pid_file.write_text("\n".join([str(stranger.pid), *left_behind[1:]]))
        second = Postgres(data / "postgres").start()
        assert second.process
        assert pid_file.read_text().splitlines()[0] == str(second.process.pid)
        second.stop()
        assert stranger.poll() is None
        stranger.kill()


def test_a_second_owner_of_the_same_data_is_refused(empty: Path) -> None:
    first = Valkey(empty / "valkey", durable=False).start()
    with pytest.raises(EmbeddedError, match="is in use by another process"):
        Valkey(empty / "valkey", durable=False).start()
    with redis.Redis.from_url(first.url()) as client:
        assert client.ping()
    first.stop()


def test_an_interrupted_creation_is_begun_again(empty: Path) -> None:
    half = empty / "postgres.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    postgres = Postgres(empty / "postgres", durable=False).start()
    write_a_row(postgres)
    postgres.stop()


def test_a_data_directory_too_long_for_a_socket_works(empty: Path) -> None:
    deep = empty / ("a" * 60) / ("b" * 60)
    postgres, valkey = Postgres(deep / "postgres", durable=False), Valkey(deep / "valkey", durable=False)
    postgres.start()
    valkey.start()
    sockets = postgres._sockets
    write_a_row(postgres)
    with redis.Redis.from_url(valkey.url()) as client:
        assert client.ping()
    valkey.stop()
    postgres.stop()
    assert not sockets.exists()


def test_servers_that_have_crashed_come_back_at_the_same_address(data: Path) -> None:
    deep = data / ("a" * 60) / ("b" * 60)
    shutil.move(data / "postgres", deep / "postgres")
    for server in (Postgres(deep / "postgres"), Valkey(deep / "valkey")):
        server.start()
        address = server.url()
        assert server.process
        server.process.kill()
        assert eventually(server.has_ended)
        server.start()
        assert server.url() == address
        assert not server.has_ended()
        server.stop()
    assert processes_of(deep) == []


def test_a_server_that_cannot_start_says_why(data: Path) -> None:
    postgres = Postgres(data / "postgres", durable=False).start()
    postgres.stop()
    (data / "postgres/postgresql.conf").write_text("nonsense = 1\n")
    with pytest.raises(EmbeddedError, match="unrecognized configuration parameter"):
        Postgres(data / "postgres", durable=False).start()
    assert processes_of(data) == []


def test_only_this_user_may_connect(data: Path) -> None:
    postgres, valkey = Postgres(data / "postgres", durable=False), Valkey(data / "valkey", durable=False)
    postgres.start()
    valkey.start()
    try:
        assert (data / "postgres").stat().st_mode & 0o777 == 0o700
        assert (data / "valkey").stat().st_mode & 0o777 == 0o700
        with psycopg.connect(postgres.url()) as connection:
            listening = connection.execute("show listen_addresses").fetchone()
        assert listening == ("",)
    finally:
        valkey.stop()
        postgres.stop()


@pytest.mark.skipif(not AS_ROOT, reason="only root can start a process of another user")
def test_an_ordinary_user_can_start_both(empty: Path) -> None:
    os.chown(empty, tether.NOBODY, tether.NOBODY)
    identity = {"user": tether.NOBODY, "group": tether.NOBODY, "extra_groups": []}
    owner, pids = start_owner(empty, python=a_python_for_everyone(), **identity)
    assert len(pids) == 2
    assert {Path(f"/proc/{pid}").stat().st_uid for pid in pids} == {tether.NOBODY}
    owner.communicate("")
    assert owner.returncode == 0
    assert processes_of(empty) == []


@pytest.mark.skipif(not AS_ROOT, reason="only root has to give up something")
def test_root_without_user_namespaces_starts_postgres_as_nobody(empty: Path) -> None:
    """As in a container: a namespace with all users, in which no further one may be made."""
    enclosed = """
        import os, sys
        from pathlib import Path
        os.unshare(os.CLONE_NEWUSER)
        print("unshared", flush=True)
        sys.stdin.readline()
        Path("/proc/sys/user/max_user_namespaces").write_text("0")
    """
    owner, words = start_owner(empty, before=enclosed)
    assert words == ["unshared"]
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/{owner.pid}/{name}").write_text("0 0 65536")
    assert owner.stdin
    assert owner.stdout
    owner.stdin.write("go on\n")
    owner.stdin.flush()
    postgres, valkey = (int(pid) for pid in owner.stdout.readline().split())
    assert Path(f"/proc/{postgres}").stat().st_uid == tether.NOBODY
    assert Path(f"/proc/{valkey}").stat().st_uid == 0
    owner.communicate("")
    assert owner.returncode == 0
    assert processes_of(empty) == []
