"""kubeadm on a worker, with the words of the real one: version, upgrade node, join, reset.

How a host gets to know a cluster by a bootstrap token is in `discovery.py`.
"""

import re
import shutil
from collections.abc import Iterator
from typing import Any

import yaml

from workspaces.simulators.hosts import archive
from workspaces.simulators.hosts.bootstrap import BOOTSTRAP_CONF, CA_FILE, kubelet_conf
from workspaces.simulators.hosts.context import Context, Reply
from workspaces.simulators.hosts.discovery import Discovery, Refusal
from workspaces.simulators.hosts.machine import KUBELET_CONF, KUBELET_CONFIG, KUBELET_SETTINGS, Machine
from workspaces.simulators.hosts.node import kubernetes_version

IP_FORWARD = "proc/sys/net/ipv4/ip_forward"
PREFLIGHT = "[preflight] Running pre-flight checks\n"
TRACE = "To see the stack trace of this error execute with --v=5 or higher\n"
JOINED = (
    "\nThis node has joined the cluster:\n"
    "* Certificate signing request was sent to apiserver and a response was received.\n"
    "* The Kubelet was informed of the new secure connection details.\n\n"
    "Run 'kubectl get nodes' on the control-plane to see this node join the cluster.\n\n"
)
# Options of `join` that take a value, by what is made of it; every other option is a flag.
VALUES = {
    "--token": "token",
    "--discovery-token": "token",
    "--tls-bootstrap-token": "bootstrap",
    "--discovery-token-ca-cert-hash": "hashes",
    "--node-name": "name",
    "--config": "config",
    "--cri-socket": "",
    "--ignore-preflight-errors": "ignored",
    "--v": "",
    "-v": "",
}


async def kubeadm(machine: Machine, arguments: list[str], context: Context) -> Reply:
    """`version [-o short]`, `upgrade node`, `join` and `reset`."""
    version = kubernetes_version(machine, "kubeadm")
    if not version:
        return Reply(127, "", "/bin/sh: 1: kubeadm: not found\n")
    if arguments[:1] == ["version"]:
        short = "short" in arguments or "--output=short" in arguments or "-oshort" in arguments
        return Reply(0, f"{version}\n" if short else f'kubeadm version: &version.Info{{GitVersion:"{version}"}}\n')
    if arguments[:2] == ["upgrade", "node"]:
        return _upgrade_node(machine, version, context)
    if arguments[:1] == ["join"]:
        return await _join(machine, arguments[1:], context)
    if arguments[:1] == ["reset"]:
        return _reset(machine, arguments[1:], context)
    return Reply(1, "", f'unknown command "{" ".join(arguments)}" for "kubeadm"\n')


# --- Upgrade ----------------------------------------------------------------------------------------------------------
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
    machine.write(KUBELET_SETTINGS, KUBELET_CONFIG)
    return Reply(
        0,
        f"{reading}[upgrade/preflight] Running pre-flight checks\n"
        '[kubelet-start] Writing kubelet configuration to file "/var/lib/kubelet/config.yaml"\n'
        "[upgrade/kubelet-config] The kubelet configuration for this node was successfully upgraded!\n",
    )


# --- Join -------------------------------------------------------------------------------------------------------------
async def _join(machine: Machine, arguments: list[str], context: Context) -> Reply:
    """Preflight, discovery, then the kubelet's first start, which registers the node."""
    try:
        asked = _asked(machine, arguments, context)
        problems = list(_problems(machine)) if "all" not in asked["ignored"] else []
        problems = [problem for problem in problems if problem[0].lower() not in asked["ignored"]]
        if problems:
            raise _preflight(problems)
        discovery = Discovery(asked["endpoint"], asked["token"], asked["hashes"])
        await discovery.run(asked["name"], asked["bootstrap"], asked["unsafe"])
    except Refusal as refusal:
        return Reply(1, PREFLIGHT if refusal.preflight else "", f"{refusal}{TRACE}")
    if not machine.up:
        return Reply(137)  # its power was cut meanwhile: nobody is there to write anything
    kubelet, cluster = kubernetes_version(machine), discovery.version
    if _numbers(kubelet)[:2] > _numbers(cluster)[:2]:
        message = (
            "the kubelet version is higher than the control plane version. This is not a supported version skew and "
            f"may lead to a malfunctional cluster. Kubelet version: {kubelet!r} Control plane version: {cluster!r}"
        )
        return Reply(1, PREFLIGHT, f"{_preflight([('KubeletVersion', message)])}{TRACE}")
    machine.write(CA_FILE, discovery.ca)
    machine.write(BOOTSTRAP_CONF, "apiVersion: v1\nkind: Config\n")
    machine.write(KUBELET_SETTINGS, KUBELET_CONFIG)
    machine.start_kubelet()
    if context.clusters:
        machine.node = asked["name"]
        machine.cluster = context.clusters.join(asked["endpoint"], _node(machine, asked["name"]))
    machine.write(KUBELET_CONF, kubelet_conf(f"https://{asked['endpoint']}", discovery.ca))
    (machine.root / BOOTSTRAP_CONF).unlink()
    warning = "" if "kubelet" in machine.enabled else (
        "\t[WARNING Service-Kubelet]: kubelet service is not enabled, please run 'systemctl enable kubelet.service'\n"
    )  # fmt: skip
    return Reply(0, f"{PREFLIGHT}{_steps()}{JOINED}", warning)


def _steps() -> str:
    return (
        '[preflight] Reading configuration from the "kubeadm-config" ConfigMap in namespace "kube-system"...\n'
        f'[kubelet-start] Writing kubelet configuration to file "/{KUBELET_SETTINGS}"\n'
        "[kubelet-start] Starting the kubelet\n"
        "[kubelet-check] The kubelet is healthy after 500.8ms\n"
        "[kubelet-start] Waiting for the kubelet to perform the TLS Bootstrap\n"
    )


def _asked(machine: Machine, arguments: list[str], context: Context) -> dict[str, Any]:
    """The command line or the JoinConfiguration it names: endpoint, token, bootstrap, hashes, name, ignored, unsafe."""
    asked: dict[str, Any] = {"endpoint": "", "token": "", "bootstrap": "", "hashes": [], "name": machine.name.lower()}
    asked |= {"ignored": [], "unsafe": "--discovery-token-unsafe-skip-ca-verification" in arguments, "config": ""}
    rest = iter(arguments)
    for argument in rest:
        option, equals, value = argument.partition("=")
        if option in VALUES:
            value = value if equals else next(rest, "")
            many = VALUES[option] in ("hashes", "ignored")
            asked[VALUES[option]] = [*asked[VALUES[option]], *value.split(",")] if many else value
        elif not argument.startswith("-"):
            asked["endpoint"] = argument
    if asked["config"]:
        asked |= _configured(machine, asked["config"], context)
    asked["ignored"] = [one.lower() for one in asked["ignored"]]
    asked["bootstrap"] = asked["bootstrap"] or asked["token"]
    return asked


def _configured(machine: Machine, path: str, context: Context) -> dict[str, Any]:
    """The same from a file with a JoinConfiguration."""
    try:
        text = machine.inside(path, context.directory).read_text()
    except OSError:
        raise Refusal(
            f'error: unable to read config from "{path}" : open {path}: no such file or directory\n'
        ) from None
    documents = [one for one in yaml.safe_load_all(text) if isinstance(one, dict)]
    config = next((one for one in documents if one.get("kind") == "JoinConfiguration"), {})
    told = config.get("discovery", {})
    token = told.get("bootstrapToken", {})
    node = config.get("nodeRegistration", {})
    return {
        "endpoint": token.get("apiServerEndpoint", ""),
        "token": token.get("token", ""),
        "bootstrap": told.get("tlsBootstrapToken", ""),
        "hashes": list(token.get("caCertHashes", ())),
        "unsafe": token.get("unsafeSkipCAVerification", False),
        "name": node.get("name", machine.name.lower()),
        "ignored": list(node.get("ignorePreflightErrors", ())),
    }


def _problems(machine: Machine) -> Iterator[tuple[str, str]]:
    """What kubeadm's checks find, by their names."""
    if not kubernetes_version(machine):
        yield "KubeletVersion", "couldn't get kubelet version: cannot execute 'kubelet --version': executable not found"
    if "containerd" not in machine.running:
        socket = "unix:///var/run/containerd/containerd.sock"
        yield "CRI", f'could not connect to the container runtime: failed to create new CRI runtime service: "{socket}"'
    elif 'disabled_plugins = ["cri"]' in machine.read("etc/containerd/config.toml"):
        yield "CRI", "container runtime is not running: unknown service runtime.v1.RuntimeService"
    if machine.server and machine.read(IP_FORWARD).strip() != "1":
        yield "FileContent--proc-sys-net-ipv4-ip_forward", "/proc/sys/net/ipv4/ip_forward contents are not set to 1"
    for path in (KUBELET_CONF, BOOTSTRAP_CONF, CA_FILE):
        if (machine.root / path).exists():
            yield f"FileAvailable-{('/' + path).replace('/', '-')}", f"/{path} already exists"
    if machine.kubelet_pid:
        yield "Port-10250", "Port 10250 is in use"


def _preflight(problems: list[tuple[str, str]]) -> Refusal:
    listed = "".join(f"\t[ERROR {name}]: {message}\n" for name, message in problems)
    return Refusal(
        f"error: error execution phase preflight: [preflight] Some fatal errors occurred:\n{listed}"
        "[preflight] If you know what you are doing, you can make a check non-fatal with "
        "`--ignore-preflight-errors=...`\n"
    )


def _node(machine: Machine, name: str) -> dict[str, Any]:
    """What the kubelet tells of its host when it registers."""
    system = re.search(r'PRETTY_NAME="(.*)"', machine.read("etc/os-release"))
    package = next((one for one in ("containerd.io", "containerd") if one in machine.packages), "")
    runtime = machine.packages.get(package, "2.1.4").rpartition(":")[2].partition("-")[0]
    return {
        "name": name,
        "kubelet": kubernetes_version(machine),
        "internal_ip": machine.address or "127.0.0.1",
        "provider_id": f"hcloud://{machine.server}" if machine.server else "",
        "system": system[1] if system else machine.os,
        "kernel": archive.system(machine.os).kernel,
        "runtime": f"containerd://{runtime}",
    }


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))


# --- Reset ------------------------------------------------------------------------------------------------------------
def _reset(machine: Machine, arguments: list[str], context: Context) -> Reply:
    """What joining wrote is removed, and the kubelet stopped. The Node stays in its cluster, as with kubeadm."""
    if not {"-f", "--force"} & set(arguments):
        return Reply(1, "", f"error: error execution phase preflight: aborted reset operation\n{TRACE}")
    machine.stop_kubelet()
    if context.clusters and machine.node:
        context.clusters.kubelet_stopped(machine.cluster, machine.node)
    machine.cluster = machine.node = ""
    for path in ("etc/kubernetes", "var/lib/kubelet"):
        shutil.rmtree(machine.root / path, ignore_errors=True)
    return Reply(
        0,
        f"{PREFLIGHT}[reset] Stopping the kubelet service\n"
        "[reset] Deleting contents of directories: [/etc/kubernetes/manifests /var/lib/kubelet /etc/kubernetes/pki]\n"
        "[reset] Deleting files: [/etc/kubernetes/admin.conf /etc/kubernetes/kubelet.conf "
        "/etc/kubernetes/bootstrap-kubelet.conf]\n",
    )
