"""apt-cache and apt-mark as far as playbooks use them, with the words of the real ones."""

from workspaces.simulators.hosts.archive import Repository
from workspaces.simulators.hosts.context import Context, Reply
from workspaces.simulators.hosts.machine import Machine


async def apt_mark(machine: Machine, arguments: list[str], context: Context) -> Reply:
    """`hold`, `unhold`, `auto` and `manual` with packages; `showhold`, `showauto` and `showmanual`."""
    verb, *packages = arguments or [""]
    if verb.startswith("show"):
        return _show(machine, verb, packages)
    if verb not in {"hold", "unhold", "auto", "manual"}:
        return Reply(100, "", f"E: Invalid operation {verb}\n")
    lines = []
    for package in packages:
        if not machine.candidates(package):
            return Reply(100, "", f"E: Unable to locate package {package}\n")
        lines.append(_mark(machine, verb, package))
    return Reply(0, "".join(lines))


def _show(machine: Machine, verb: str, packages: list[str]) -> Reply:
    automatic = set(machine.auto)
    marked = {"hold": set(machine.held), "auto": automatic, "manual": set(machine.packages) - automatic}
    found = marked.get(verb.removeprefix("show"))
    if found is None:
        return Reply(100, "", f"E: Invalid operation {verb}\n")
    return Reply(0, "".join(f"{package}\n" for package in sorted(found & set(packages or found))))


def _mark(machine: Machine, verb: str, package: str) -> str:
    """Marks the package; gives the words."""
    marked, becomes = (machine.held if "hold" in verb else machine.auto), verb in {"hold", "auto"}
    if (package in marked) is becomes:
        already = {"hold": "set on hold", "unhold": "not on hold", "auto": "set to automatically installed"}
        return f"{package} was already {already.get(verb, 'set to manually installed')}.\n"
    marked[:] = sorted({*marked, package} if becomes else {*marked} - {package})
    if verb == "unhold":
        return f"Canceled hold on {package}.\n"
    done = {"hold": "on hold", "auto": "to automatically installed", "manual": "to manually installed"}
    return f"{package} set {done[verb]}.\n"


async def apt_cache(machine: Machine, arguments: list[str], context: Context) -> Reply:
    """`madison` of packages, `policy` of packages or, without one, of the repositories."""
    verb, *packages = [argument for argument in arguments if not argument.startswith("-")] or [""]
    if verb == "madison":
        return Reply(0, "".join(_madison(machine, package) for package in packages))
    if verb == "policy":
        named = "".join(_policy(machine, package) for package in packages)
        return Reply(0, named if packages else _repositories(machine.repositories()))
    return Reply(100, "", f"E: Invalid operation {verb}\n")


def _madison(machine: Machine, package: str) -> str:
    return "".join(
        f"{package} | {version} | {repository.line}\n"
        for version in machine.candidates(package)
        for repository in machine.origins(package, version)
    )


def _policy(machine: Machine, package: str) -> str:
    """A hold does not change the candidate: it keeps apt-get from installing it."""
    versions = machine.candidates(package)
    if not versions:
        return ""
    installed = machine.packages.get(package, "(none)")
    lines = [f"{package}:\n  Installed: {installed}\n  Candidate: {machine.candidate(package)}\n  Version table:\n"]
    for version in versions:
        lines.append(f" {'***' if version == installed else '   '} {version} 500\n")
        lines += [f"        500 {repository.line}\n" for repository in machine.origins(package, version)]
        if version == installed:
            lines.append("        100 /var/lib/dpkg/status\n")
    return "".join(lines)


def _repositories(repositories: list[Repository]) -> str:
    lines = ["Package files:\n 100 /var/lib/dpkg/status\n     release a=now\n"]
    for repository in repositories:
        fields = repository.fields | ({"c": "main", "b": "amd64"} if repository.archive else {})
        release = ",".join(f"{name}={value}" for name, value in fields.items())
        lines.append(f" 500 {repository.line}\n     release {release}\n     origin {repository.site}\n")
    return "".join(lines) + "Pinned packages:\n"
