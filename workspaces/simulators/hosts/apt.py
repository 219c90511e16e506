"""apt-get as far as playbooks use it, with the words of the real one.

Under the fault `apt_lock` somebody else holds dpkg's lock: until the fault is removed, or, when it has `times`, for its
`seconds`. Like the real one, apt-get waits for `-o DPkg::Lock::Timeout` seconds before it gives up.
"""

import asyncio
import math
from dataclasses import dataclass, field
from time import monotonic

from workspaces.simulators.hosts import archive
from workspaces.simulators.hosts.context import Context, Reply
from workspaces.simulators.hosts.machine import Machine
from workspaces.simulators.hosts.versions import version_key

READING = "Reading package lists...\nBuilding dependency tree...\nReading state information...\n"
LOCKED = (
    "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 4242 (unattended-upgr)\n"
    "E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?\n"
)
UNSIGNED = (
    "The following signatures couldn't be verified because the public key is not available: NO_PUBKEY 234654DA9A296436"
)


@dataclass
class _Call:
    """A parsed command line of apt-get."""

    verb: str = ""
    operands: list[str] = field(default_factory=list)
    flags: set[str] = field(default_factory=set)
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def simulated(self) -> bool:
        return bool(self.flags & {"-s", "--simulate", "--dry-run", "--just-print"})

    @property
    def release(self) -> str:
        return self.settings.get("APT::Default-Release", "")


def _parse(arguments: list[str]) -> _Call:
    call, rest = _Call(), iter(arguments)
    for argument in rest:
        if argument.startswith("-o"):
            name, _, value = (argument[2:] or next(rest, "")).partition("=")
            call.settings[name] = value
        elif argument.startswith("-"):
            call.flags.add(argument)
        elif call.verb:
            call.operands.append(argument)
        else:
            call.verb = argument
    return call


async def apt_get(machine: Machine, arguments: list[str], context: Context) -> Reply:
    """`update`, `install package[=pattern]...`, `upgrade` and `dist-upgrade`, each also with -s."""
    call = _parse(arguments)
    if call.verb == "update":
        return _update(machine)
    if not call.simulated and await _lock_stays_held(machine, arguments, context, call):
        return Reply(100, "", LOCKED)
    if call.verb == "install":
        return _install(machine, call)
    if call.verb in {"upgrade", "dist-upgrade", "full-upgrade"}:
        waiting = machine.upgradable(call.release)
        return _carry_out(machine, call, {name: waiting[name] for name in waiting if name not in machine.held})
    return Reply(100, "", f"E: Invalid operation {call.verb}\n")


def _update(machine: Machine) -> Reply:
    fresh = machine.fetch()
    lines = []
    for number, repository in enumerate(machine.repositories(), 1):
        size = " [52.0 kB]" if repository in fresh else ""
        release = f"{repository.codename if repository.archive else ''} InRelease"
        lines.append(f"{'Get' if size else 'Hit'}:{number} {repository.url} {release}{size}\n")
    words = "".join(lines)
    errors = ""
    for number, source in enumerate(machine.unsigned(), len(lines) + 1):
        repository = source.repository(archive.system(machine.os).base.codename)
        words += f"Err:{number} {repository.url} InRelease\n  {UNSIGNED}\n"
        errors += f"W: GPG error: {repository.url} InRelease: {UNSIGNED}\n"
        errors += f"E: The repository '{repository.url} InRelease' is not signed.\n"
    return Reply(100 if errors else 0, words + "Reading package lists...\n", errors)


async def _lock_stays_held(machine: Machine, arguments: list[str], context: Context, call: _Call) -> bool:
    command = " ".join(["apt-get", *arguments])
    fault = context.faults.hit("ssh", machine.name, "EXEC", command, kinds={"apt_lock"})
    if fault is None:
        return False
    patience = monotonic() + float(call.settings.get("DPkg::Lock::Timeout", 0))
    released = math.inf if fault.times is None else monotonic() + fault.seconds
    while monotonic() < released and (fault.times is not None or fault in context.faults.all()):
        if monotonic() >= patience:
            return True
        await asyncio.sleep(0.05)
    return False


def _install(machine: Machine, call: _Call) -> Reply:
    wanted: dict[str, str] = {}
    skipped = ""
    for operand in call.operands:
        package, _, pattern = operand.partition("=")
        if not machine.candidates(package):
            return Reply(100, READING, f"E: Unable to locate package {package}\n")
        if "--only-upgrade" in call.flags and package not in machine.packages:
            skipped += f"Skipping {package}, it is not installed and only upgrades are requested.\n"
            continue
        version = machine.matching(package, pattern) if pattern else machine.candidate(package, call.release)
        if not version:
            return Reply(100, READING, f"E: Version '{pattern}' for '{package}' was not found\n")
        wanted[package] = version
    changes = {package: version for package, version in wanted.items() if machine.packages.get(package) != version}
    if set(changes) & set(machine.held) and "--allow-change-held-packages" not in call.flags:
        message = "E: Held packages were changed and -y was used without --allow-change-held-packages.\n"
        return Reply(100, READING, message)
    older = [name for name in changes if version_key(changes[name]) < version_key(machine.packages.get(name, "0"))]
    if older and "--allow-downgrades" not in call.flags:
        return Reply(100, READING, "E: Packages were downgraded and -y was used without --allow-downgrades.\n")
    named = [package for package in machine.auto if package in wanted]
    if not call.simulated:  # what is asked for by name is wanted for its own sake
        machine.auto = [package for package in machine.auto if package not in named]
    words = "".join(f"{package} set to manually installed.\n" for package in named)
    return _carry_out(machine, call, changes, skipped + words)


def _carry_out(machine: Machine, call: _Call, changes: dict[str, str], first: str = "") -> Reply:
    new = sorted(package for package in changes if package not in machine.packages)
    left = sorted(set(machine.upgradable(call.release)) - set(changes))
    lists = {
        "have been kept back": left if call.verb != "install" else [],
        "will be upgraded": sorted(set(changes) - set(new)),
    }
    lines = [READING, first]
    if new:
        lines.append(f"The following NEW packages will be installed:\n  {' '.join(new)}\n")
    lines += [f"The following packages {what}:\n  {' '.join(names)}\n" for what, names in lists.items() if names]
    upgraded = f"{len(changes) - len(new)} upgraded, {len(new)} newly installed"
    lines.append(f"{upgraded}, 0 to remove and {len(left)} not upgraded.\n")
    lines += _simulate(machine, changes) if call.simulated else _unpack(machine, changes)
    return Reply(0, "".join(lines))


def _simulate(machine: Machine, changes: dict[str, str]) -> list[str]:
    """A line per package with every repository that has the version; then again, to tell the order of configuring."""
    described = {
        package: f"({version} {', '.join(one.shown for one in machine.origins(package, version))} [amd64])"
        for package, version in changes.items()
    }
    installed = {name: f" [{version}]" for name, version in machine.packages.items()}
    lines = [f"Inst {package}{installed.get(package, '')} {text}\n" for package, text in described.items()]
    return lines + [f"Conf {package} {text}\n" for package, text in described.items()]


def _unpack(machine: Machine, changes: dict[str, str]) -> list[str]:
    lines = []
    for package, version in changes.items():
        over = f" over ({machine.packages[package]})" if package in machine.packages else ""
        machine.install(package, version)
        lines.append(f"Unpacking {package} ({version}){over} ...\nSetting up {package} ({version}) ...\n")
    return lines
