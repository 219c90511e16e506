"""One host: its directory, its packages and its kubelet. Knows no SSH and no command line."""

import re
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Protocol, Self

from workspaces.simulators.faults import Faults

KUBERNETES_PACKAGES = ("kubeadm", "kubelet", "kubectl")
REPOSITORY_FILE = "etc/apt/sources.list.d/kubernetes.list"
REPOSITORY_LINE = (
    "deb [signed-by=/etc/apt/keyrings/kubernetes-apt-keyring.gpg] https://pkgs.k8s.io/core:/stable:/v{minor}/deb/ /\n"
)
# The vendor's repository holds every patch of a minor ever published. Which exist is not modelled: 0 to 30 all do.
PATCHES = range(31)
OS_RELEASE = {
    "debian-13": 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\n',
    "ubuntu-24.04": 'PRETTY_NAME="Ubuntu 24.04 LTS"\nID=ubuntu\nVERSION_ID="24.04"\nVERSION_CODENAME=noble\n',
}
KUBELET_CONFIG = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\ncgroupDriver: systemd\n"


class TenantClusters(Protocol):
    """What a host needs of the simulated clusters; `cluster` is "namespace/name", versions carry their v."""

    def kubeadm_version(self, cluster: str) -> str: ...

    def kubelet_restarted(self, cluster: str, node: str, version: str) -> None: ...

    def host_rebooted(self, cluster: str, node: str) -> None: ...


@dataclass(frozen=True)
class Context:
    """What the programs of a host may ask: the faults in force, the cluster the host is a node of, and a reboot."""

    faults: Faults
    clusters: TenantClusters | None
    reboot: Callable[["Machine"], None]


@dataclass(frozen=True)
class Reply:
    """A finished command."""

    code: int = 0
    output: str = ""
    errors: str = ""


def version_key(version: str) -> tuple[int, ...]:
    """Order of package versions such as 1.35.10-1.1, good enough for digits and dots."""
    return tuple(int(number) for number in re.findall(r"\d+", version))


@dataclass
class Machine:
    """A host's state; everything but `root` is kept in snapshots, and what a playbook edits is a file under `root`."""

    name: str
    root: Path
    cluster: str = ""
    node: str = ""
    os: str = "debian-13"
    packages: dict[str, str] = field(default_factory=dict)
    held: list[str] = field(default_factory=list)
    updates: list[dict[str, Any]] = field(default_factory=list)
    port: int = 0
    indexed: list[str] = field(default_factory=list)  # minors whose package lists were fetched by `apt-get update`
    kubelet_pid: int = 0

    @classmethod
    def from_spec(cls, spec: dict[str, Any], root: Path) -> Self:
        """A host as the world describes it, or as `snapshot` saved it; makes its directory when there is none."""
        known = {name: spec[name] for name in cls.__dataclass_fields__ if name in spec and name != "root"}
        machine = cls(root=root, **known)
        if not (root / "etc/hostname").exists():
            machine._install_system()
        return machine

    def snapshot(self) -> dict[str, Any]:
        """Plain JSON that `from_spec` takes back."""
        return {name: value for name, value in asdict(self).items() if name != "root"}

    def _install_system(self) -> None:
        minor = ".".join(self.packages.get("kubeadm", "1.35").split(".")[:2])
        self.write("etc/os-release", OS_RELEASE.get(self.os, f"ID={self.os}\n"))
        self.write(REPOSITORY_FILE, REPOSITORY_LINE.format(minor=minor))
        self.write("etc/kubernetes/kubelet.conf", "apiVersion: v1\nkind: Config\n")
        self.write("var/lib/kubelet/config.yaml", KUBELET_CONFIG)
        self.indexed = [minor]
        for package in KUBERNETES_PACKAGES:
            if package in self.packages:
                self.write(f"usr/bin/{package}", self.packages[package])
        self.boot()
        self.write("etc/hostname", f"{self.name}\n")

    def write(self, path: str, text: str) -> None:
        """Write a file under the host's root, making its folders."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def repository_minors(self) -> list[str]:
        """The minors ("1.35") named in the Kubernetes repository file as it is on disk now."""
        file = self.root / REPOSITORY_FILE
        text = file.read_text() if file.exists() else ""
        return re.findall(r"^deb\s.*https?://\S+/v(\d+\.\d+)/deb/ ", text, re.MULTILINE)

    def candidates(self, package: str) -> list[str]:
        """Versions the fetched package lists offer, newest first; empty for a package apt has never heard of."""
        known = {self.packages[package]} if package in self.packages else set()
        if package in KUBERNETES_PACKAGES:
            known |= {f"{minor}.{patch}-1.1" for minor in self.indexed for patch in PATCHES}
        known |= {update["version"] for update in self.updates if update["package"] == package}
        return sorted(known, key=version_key, reverse=True)

    def matching(self, package: str, pattern: str) -> str:
        """The newest version that matches apt's pattern ("1.35.7-*"), "" when there is none."""
        return next((version for version in self.candidates(package) if fnmatchcase(version, pattern)), "")

    def install(self, package: str, version: str) -> None:
        """Put a version in place. A running kubelet goes on running the binary that was replaced."""
        self.packages[package] = version
        self.updates = [update for update in self.updates if update["package"] != package]
        if package in KUBERNETES_PACKAGES:
            self.write(f"usr/bin/{package}", version)
        if package == "kubelet" and self.kubelet_pid:
            self._link_process("/usr/bin/kubelet (deleted)")

    def boot(self) -> None:
        """Come up: another boot id, no reboot required any more, the installed kubelet running."""
        self.write("proc/sys/kernel/random/boot_id", f"{uuid.uuid4()}\n")
        (self.root / "run/reboot-required").unlink(missing_ok=True)
        if "kubelet" in self.packages:
            self.start_kubelet()

    def start_kubelet(self) -> None:
        """A new process of the installed kubelet."""
        (self.root / f"proc/{self.kubelet_pid}/exe").unlink(missing_ok=True)
        self.kubelet_pid = self.kubelet_pid + 7 if self.kubelet_pid else 812
        self._link_process("/usr/bin/kubelet")

    def _link_process(self, binary: str) -> None:
        """What the kernel shows at /proc/PID/exe: the way to see that a process is older than its package."""
        link = self.root / f"proc/{self.kubelet_pid}/exe"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(binary)
