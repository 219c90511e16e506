"""apt-get, apt-mark, apt-cache and dpkg-query as far as playbooks use them, with the words of the real ones.

Under the fault `apt_lock` somebody else holds dpkg's lock: until the fault is removed, or, when it has `times`, for its
`seconds`. Like the real one, apt-get waits for `-o DPkg::Lock::Timeout` seconds before it gives up.
"""

import asyncio
import math
import re
from dataclasses import dataclass, field
from time import monotonic

from workspaces.simulators.hosts.machine import Context, Machine, Reply, version_key

READING = "Reading package lists...\nBuilding dependency tree...\nReading state information...\n"
LOCKED = (
    "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 4242 (unattended-upgr)\n"
    "E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?\n"
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
        machine.indexed = machine.repository_minors()
        hits = [
            f"Hit:{number} https://pkgs.k8s.io/core:/stable:/v{minor}/deb  InRelease\n"
            for number, minor in enumerate(machine.indexed, 1)
        ]
        return Reply(0, "".join(hits) + "Reading package lists...\n")
    if not call.simulated and await _lock_stays_held(machine, arguments, context, call):
        return Reply(100, "", LOCKED)
    if call.verb == "install":
        return _install(machine, call)
    if call.verb in {"upgrade", "dist-upgrade", "full-upgrade"}:
        waiting = {
            update["package"]: update["version"] for update in machine.updates if update["package"] not in machine.held
        }
        return _carry_out(machine, call, waiting)
    return Reply(100, "", f"E: Invalid operation {call.verb}\n")


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
    for operand in call.operands:
        package, _, pattern = operand.partition("=")
        if not machine.candidates(package):
            return Reply(100, READING, f"E: Unable to locate package {package}\n")
        version = machine.matching(package, pattern or "*")
        if not version:
            return Reply(100, READING, f"E: Version '{pattern}' for '{package}' was not found\n")
        wanted[package] = version
    changes = {package: version for package, version in wanted.items() if machine.packages.get(package) != version}
    if machine.held and set(changes) & set(machine.held) and "--allow-change-held-packages" not in call.flags:
        message = "E: Held packages were changed and -y was used without --allow-change-held-packages.\n"
        return Reply(100, READING, message)
    older = [name for name in changes if version_key(changes[name]) < version_key(machine.packages.get(name, "0"))]
    if older and "--allow-downgrades" not in call.flags:
        return Reply(100, READING, "E: Packages were downgraded and -y was used without --allow-downgrades.\n")
    return _carry_out(machine, call, changes)


def _carry_out(machine: Machine, call: _Call, changes: dict[str, str]) -> Reply:
    new = [package for package in changes if package not in machine.packages]
    lines = [READING]
    if changes:
        lines.append("The following packages will be upgraded:\n  " + " ".join(sorted(changes)) + "\n")
    lines.append(f"{len(changes) - len(new)} upgraded, {len(new)} newly installed, 0 to remove and 0 not upgraded.\n")
    security = {update["package"] for update in machine.updates if update.get("security")}
    for package, version in changes.items():
        installed = machine.packages.get(package, "")
        if call.simulated:
            origin = "Debian-Security:13/stable-security" if package in security else "Debian:13/stable"
            lines.append(f"Inst {package} [{installed}] ({version} {origin} [amd64])\n")
        else:
            machine.install(package, version)
            lines.append(
                f"Unpacking {package} ({version}) over ({installed}) ...\nSetting up {package} ({version}) ...\n"
            )
    return Reply(0, "".join(lines))


async def apt_mark(machine: Machine, arguments: list[str], context: Context) -> Reply:
    """`hold` and `unhold` with packages, `showhold`."""
    verb, *packages = arguments or [""]
    if verb == "showhold":
        return Reply(0, "".join(f"{package}\n" for package in sorted(machine.held)))
    if verb not in {"hold", "unhold"}:
        return Reply(100, "", f"E: Invalid operation {verb}\n")
    lines = []
    for package in packages:
        if not machine.candidates(package):
            return Reply(100, "", f"E: Unable to locate package {package}\n")
        was, becomes = package in machine.held, verb == "hold"
        state = "set on hold" if becomes else "not on hold"
        lines.append(
            f"{package} was already {state}.\n"
            if was is becomes
            else f"{package} set on hold.\n"
            if becomes
            else f"Canceled hold on {package}.\n"
        )
    held = set(machine.held) | set(packages) if verb == "hold" else set(machine.held) - set(packages)
    machine.held = sorted(held)
    return Reply(0, "".join(lines))


async def apt_cache(machine: Machine, arguments: list[str], context: Context) -> Reply:
    """`madison` and `policy` of one package."""
    verb, package = [*arguments, "", ""][:2]
    versions = machine.candidates(package)
    if verb == "madison":
        source = "https://pkgs.k8s.io/core:/stable:/v{minor}/deb  Packages"
        lines = [f"{package} | {v} | {source.format(minor='.'.join(v.split('.')[:2]))}\n" for v in versions]
        return Reply(0, "".join(lines))
    if verb == "policy":
        installed = machine.packages.get(package, "(none)")
        candidate = installed if package in machine.held else next(iter(versions), "(none)")
        return Reply(0, f"{package}:\n  Installed: {installed}\n  Candidate: {candidate}\n" if versions else "")
    return Reply(100, "", f"E: Invalid operation {verb}\n")


async def dpkg_query(machine: Machine, arguments: list[str], context: Context) -> Reply:
    """`-W [-f FORMAT] package...` with ${Package}, ${Version} and ${Status}."""
    template, packages, rest = "${Package}\t${Version}\n", [], iter(arguments)
    for argument in rest:
        if argument in {"-f", "--showformat"}:
            template = next(rest, "")
        elif match := re.match(r"(?:-f|--showformat)=?(.*)", argument, re.DOTALL):
            template = match[1]
        elif not argument.startswith("-"):
            packages.append(argument)
    output, errors = "", ""
    for package in packages or sorted(machine.packages):
        if version := machine.packages.get(package):
            status = f"{'hold' if package in machine.held else 'install'} ok installed"
            line = template.replace("${Package}", package).replace("${Version}", version).replace("${Status}", status)
            output += line.replace("\\n", "\n").replace("\\t", "\t")
        else:
            errors += f"dpkg-query: no packages found matching {package}\n"
    return Reply(1 if errors else 0, output, errors)
