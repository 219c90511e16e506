"""kubelet, reboot and uname of a host, with the words of the real ones."""

from workspaces.simulators.hosts import archive
from workspaces.simulators.hosts.context import Context, Reply
from workspaces.simulators.hosts.machine import Machine


def kubernetes_version(machine: Machine, package: str = "kubelet") -> str:
    """The version as Kubernetes writes it ("v1.35.7"), "" when the package is not installed."""
    version = machine.packages.get(package, "")
    return f"v{version.partition('-')[0]}" if version else ""


async def kubelet(machine: Machine, arguments: list[str], context: Context) -> Reply:
    """`--version` of the installed binary, which need not be the one that runs."""
    version = kubernetes_version(machine)
    return Reply(0, f"Kubernetes {version}\n") if version else Reply(127, "", "/bin/sh: 1: kubelet: not found\n")


async def reboot(machine: Machine, arguments: list[str], context: Context) -> Reply:
    """`reboot` and `shutdown -r`; what comes of it is in `server.py`. A host is never switched off."""
    context.reboot(machine)
    return Reply()


async def uname(machine: Machine, arguments: list[str], context: Context) -> Reply:
    """One of -r, -n, -m and -s, which is the one when none is named."""
    told = {"-r": archive.system(machine.os).kernel, "-n": machine.name, "-m": "x86_64", "-s": "Linux"}
    option = next(iter(arguments), "-s")
    return Reply(0, f"{told[option]}\n") if option in told else Reply(1, "", f"uname: invalid option '{option}'\n")
