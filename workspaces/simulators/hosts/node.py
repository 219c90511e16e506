"""kubeadm, kubelet, systemctl, reboot and uname of a worker node, with the words of the real ones."""

import re

from workspaces.simulators.hosts import archive
from workspaces.simulators.hosts.machine import KUBELET_CONFIG, Context, Machine, Reply


def kubernetes_version(machine: Machine, package: str = "kubelet") -> str:
    """The version as Kubernetes writes it ("v1.35.7"), "" when the package is not installed."""
    version = machine.packages.get(package, "")
    return f"v{version.partition('-')[0]}" if version else ""


async def kubeadm(machine: Machine, arguments: list[str], context: Context) -> Reply:
    """`version [-o short]` and `upgrade node`."""
    version = kubernetes_version(machine, "kubeadm")
    if not version:
        return Reply(127, "", "/bin/sh: 1: kubeadm: not found\n")
    if arguments[:1] == ["version"]:
        short = "short" in arguments or "--output=short" in arguments or "-oshort" in arguments
        return Reply(0, f"{version}\n" if short else f'kubeadm version: &version.Info{{GitVersion:"{version}"}}\n')
    if arguments[:2] == ["upgrade", "node"]:
        return _upgrade_node(machine, version, context)
    return Reply(1, "", f'unknown command "{" ".join(arguments)}" for "kubeadm"\n')


def _upgrade_node(machine: Machine, version: str, context: Context) -> Reply:
    """The target is the cluster's kubeadm-config; kubeadm serves its own minor and the one before, never a newer."""
    reading = '[upgrade] Reading configuration from the "kubeadm-config" ConfigMap in namespace "kube-system"...\n'
    cluster = context.clusters.kubeadm_version(machine.cluster) if context.clusters else ""
    if not cluster:
        url = "https://127.0.0.1:6443/api/v1/namespaces/kube-system/configmaps/kubeadm-config?timeout=10s"
        message = f'Get "{url}": dial tcp 127.0.0.1:6443: connect: connection refused'
        return Reply(1, reading, f"error: error execution phase preflight: failed to get config map: {message}\n")
    ours, theirs = (tuple(map(int, re.findall(r"\d+", text))) for text in (version, cluster))
    if ours < theirs:
        return Reply(
            1,
            reading,
            "error: error execution phase preflight: Kubernetes version is greater than kubeadm version. "
            f"Please consider to upgrade kubeadm. Kubernetes version: {cluster.removeprefix('v')}. "
            f"Kubeadm version: {ours[0]}.{ours[1]}.x\n",
        )
    if ours[:2] != theirs[:2] and ours[1] - theirs[1] != 1:
        return Reply(
            1,
            reading,
            "error: this version of kubeadm only supports deploying clusters with the control plane version >= "
            f"{ours[0]}.{ours[1] - 1}.0. Current version: {cluster}\n",
        )
    machine.write("var/lib/kubelet/config.yaml", KUBELET_CONFIG)
    return Reply(
        0,
        f"{reading}[upgrade/preflight] Running pre-flight checks\n"
        '[kubelet-start] Writing kubelet configuration to file "/var/lib/kubelet/config.yaml"\n'
        "[upgrade/kubelet-config] The kubelet configuration for this node was successfully upgraded!\n",
    )


async def kubelet(machine: Machine, arguments: list[str], context: Context) -> Reply:
    """`--version` of the installed binary, which need not be the one that runs."""
    version = kubernetes_version(machine)
    return Reply(0, f"Kubernetes {version}\n") if version else Reply(127, "", "/bin/sh: 1: kubelet: not found\n")


async def systemctl(machine: Machine, arguments: list[str], context: Context) -> Reply:
    """`daemon-reload`, `start|restart kubelet`, `show`, `is-active`, `is-system-running`, `reboot`."""
    verb, *units = [argument for argument in arguments if not argument.startswith("-")] or [""]
    unit = next(iter(units), "").removesuffix(".service")
    running = unit == "kubelet" and machine.kubelet_pid > 0
    if verb == "daemon-reload":
        return Reply()
    if verb == "reboot":
        return await reboot(machine, arguments, context)
    if verb == "is-system-running":
        return Reply(0, "running\n")
    if verb == "is-active":
        return Reply(0, "active\n") if running else Reply(3, "inactive\n")
    if verb == "show":
        return Reply(0, _show(machine, arguments, unit, running))
    if verb in {"start", "restart"} and unit == "kubelet" and "kubelet" in machine.packages:
        if verb == "restart" or not running:
            machine.start_kubelet()
            if context.clusters:
                context.clusters.kubelet_restarted(machine.cluster, machine.node, kubernetes_version(machine))
        return Reply()
    return Reply(5, "", f"Failed to {verb} {unit}.service: Unit {unit}.service not found.\n")


async def reboot(machine: Machine, arguments: list[str], context: Context) -> Reply:
    """`reboot` and `shutdown -r`; what comes of it is in `server.py`. A host is never switched off."""
    context.reboot(machine)
    return Reply()


async def uname(machine: Machine, arguments: list[str], context: Context) -> Reply:
    """One of -r, -n, -m and -s, which is the one when none is named."""
    told = {"-r": archive.system(machine.os).kernel, "-n": machine.name, "-m": "x86_64", "-s": "Linux"}
    option = next(iter(arguments), "-s")
    return Reply(0, f"{told[option]}\n") if option in told else Reply(1, "", f"uname: invalid option '{option}'\n")


def _show(machine: Machine, arguments: list[str], unit: str, running: bool) -> str:
    properties = {
        "Id": f"{unit}.service",
        "LoadState": "loaded" if running else "not-found",
        "ActiveState": "active" if running else "inactive",
        "SubState": "running" if running else "dead",
        "MainPID": str(machine.kubelet_pid if running else 0),
    }
    wanted = [argument.partition("=")[2] for argument in arguments if argument.startswith("--property=")]
    names = [name for name in properties if not wanted or name in wanted]
    return "".join(
        f"{properties[name] if '--value' in arguments else f'{name}={properties[name]}'}\n" for name in names
    )
