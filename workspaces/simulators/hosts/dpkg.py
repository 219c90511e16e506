"""dpkg and dpkg-query as far as playbooks use them, with the words of the real ones."""

import re

from workspaces.simulators.hosts.context import Context, Reply
from workspaces.simulators.hosts.machine import Machine


async def dpkg(machine: Machine, arguments: list[str], context: Context) -> Reply:
    """`--configure -a`: completes what was interrupted, which is known by a journal in var/lib/dpkg/updates."""
    if "--configure" not in arguments:
        return Reply(2, "", "dpkg: error: need an action option\n")
    for left in (machine.root / "var/lib/dpkg/updates").glob("*"):
        left.unlink()
    return Reply()


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
