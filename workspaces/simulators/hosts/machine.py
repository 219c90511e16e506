"""One host: its directory, its packages and its kubelet. Knows no SSH and no command line."""

import os
import re
import time
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Self

from workspaces.simulators.hosts import archive, sources
from workspaces.simulators.hosts.archive import Repository
from workspaces.simulators.hosts.sources import Source
from workspaces.simulators.hosts.versions import version_before, version_key

KUBERNETES_PACKAGES = ("kubeadm", "kubelet", "kubectl")
REPOSITORY_LINE = (
    "deb [signed-by=/etc/apt/keyrings/kubernetes-apt-keyring.gpg] https://pkgs.k8s.io/core:/stable:/v{minor}/deb/ /\n"
)
KUBELET_CONF, KUBELET_SETTINGS = "etc/kubernetes/kubelet.conf", "var/lib/kubelet/config.yaml"
# The services that packages bring. Those of a Debian package start at once and at every boot; kubelet waits to be told.
SERVICES = {"containerd": ("containerd", "containerd.io"), "kubelet": ("kubelet",)}
# The vendor's repository holds every patch of a minor ever published. Which exist is not modelled: 0 to 30 all do.
PATCHES = range(31)
KUBELET_CONFIG = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\ncgroupDriver: systemd\n"
REBOOT_FLAG, REBOOT_PACKAGES = "run/reboot-required", "run/reboot-required.pkgs"


@dataclass
class Machine:
    """A host's state; everything but `root` is kept in snapshots, and what a playbook edits is a file under `root`.

    `updates` are versions that repositories have, known to the host since its last `apt-get update`; `published` are
    the newer ones. Each is {"package", "version", "security"?, "reboot"? (it asks for one), "origins"? (the names of
    all repositories that have it, as in "Debian-Security:13/stable-security")}.
    """

    name: str
    root: Path
    cluster: str = ""
    node: str = ""
    os: str = "debian-13"
    packages: dict[str, str] = field(default_factory=dict)
    held: list[str] = field(default_factory=list)
    auto: list[str] = field(default_factory=list)  # packages that came because others need them
    updates: list[dict[str, Any]] = field(default_factory=list)
    published: list[dict[str, Any]] = field(default_factory=list)
    reboot_seconds: float = 1.0  # how long nothing listens
    down: bool = False  # between two boots
    booted: float = 0.0  # UNIX time
    port: int = 0
    indexed: list[str] = field(default_factory=list)  # names of `sources` whose lists `apt-get update` fetched
    kubelet_pid: int = 0
    enabled: list[str] = field(default_factory=lambda: list(SERVICES))  # what starts with the system
    running: list[str] = field(default_factory=lambda: ["containerd"])  # besides kubelet
    off: bool = False  # without power
    boots: int = 0  # how often the cloud has seen its server come up
    # Of a machine that is a server of the cloud: its id and address there, and who may log in. A new one is bare.
    server: int = 0
    address: str = ""
    authorized: list[str] = field(default_factory=list)

    @property
    def key(self) -> str:
        """What tells it from every other: its address where it has one of its own, for names may come twice."""
        return self.address or self.name

    @property
    def up(self) -> bool:
        """Whether its system runs."""
        return not self.down and not self.off

    @classmethod
    def from_spec(cls, spec: dict[str, Any], root: Path) -> Self:
        """A host as the world describes it, or as `snapshot` saved it; makes its directory when there is none."""
        known = {name: spec[name] for name in cls.__dataclass_fields__ if name in spec and name != "root"}
        machine = cls(root=root, **known)
        if not (root / "etc/hostname").exists():
            machine._install_system()
        return machine

    def publish(self, updates: list[dict[str, Any]]) -> None:
        """Versions new in the repositories: the next `apt-get update` brings those that are not known yet."""
        known = {(update["package"], update["version"]) for update in (*self.updates, *self.published)}
        self.published += [update for update in updates if (update["package"], update["version"]) not in known]
        self._have_what_is_updated()

    def _have_what_is_updated(self) -> None:
        """An update is one of something: a package that nobody described is there in the version before."""
        for update in sorted((*self.updates, *self.published), key=lambda update: version_key(update["version"])):
            self.packages.setdefault(update["package"], version_before(update["version"]))

    def snapshot(self) -> dict[str, Any]:
        """Plain JSON that `from_spec` takes back."""
        return {name: value for name, value in asdict(self).items() if name != "root"}

    def _install_system(self) -> None:
        self.write("etc/os-release", archive.system(self.os).os_release)
        if self.server:
            for folder in ("etc/apt/keyrings", "etc/apt/sources.list.d", "etc/modules-load.d", "etc/sysctl.d"):
                (self.root / folder).mkdir(parents=True, exist_ok=True)
        else:
            self._install_node()
        self._have_what_is_updated()
        self.boot()
        self.write("etc/hostname", f"{self.name}\n")

    def _install_node(self) -> None:
        """What a host of the world has from the beginning, as if somebody had joined it long ago."""
        minor = ".".join(self.packages.get("kubeadm", "1.35").split(".")[:2])
        self.write(sources.KUBERNETES_FILE, REPOSITORY_LINE.format(minor=minor))
        self.write(KUBELET_CONF, "apiVersion: v1\nkind: Config\n")
        self.write(KUBELET_SETTINGS, KUBELET_CONFIG)
        self.indexed = [minor]
        for package in KUBERNETES_PACKAGES:
            if package in self.packages:
                self.write(f"usr/bin/{package}", self.packages[package])

    def write(self, path: str, text: str) -> None:
        """Write a file under the host's root, making its folders."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def read(self, path: str) -> str:
        """A file under the host's root, "" when there is none."""
        file = self.root / path
        return file.read_text() if file.is_file() else ""

    def inside(self, path: str, directory: Path) -> Path:
        """Where a path that a program was given leads: never out of the host, however it is written."""
        root = self.root.absolute()
        plain = Path(os.path.normpath(directory / path))
        return plain if plain.is_relative_to(root) else root / str(plain).lstrip("/")

    def unsigned(self) -> list[Source]:
        """The added repositories that apt does not read, for want of their key. Hosts of the world have every key."""
        return [source for source in sources.added(self.root) if self.server and not source.is_signed(self.root)]

    def repositories(self) -> list[Repository]:
        """What the fetched package lists come from."""
        system = archive.system(self.os)
        foreign = {archive.named(name) for update in self.updates for name in update.get("origins", ())}
        own = [*system.repositories, *(sources.repository(name, system.base.codename) for name in self.indexed)]
        shown = {repository.shown for repository in own}
        return own + sorted((one for one in foreign if one.shown not in shown), key=lambda one: one.shown)

    def fetch(self) -> set[Repository]:
        """Fetch the package lists; gives the repositories that have something new."""
        fresh, self.updates = self.published, [*self.updates, *self.published]
        unsigned = self.unsigned()
        self.published = []
        self.indexed = [source.name for source in sources.added(self.root) if source not in unsigned]
        return {repository for update in fresh for repository in self.origins(update["package"], update["version"])}

    def origins(self, package: str, version: str) -> list[Repository]:
        """Every repository that has this version."""
        system = archive.system(self.os)
        for update in self.updates:
            if (update["package"], update["version"]) == (package, version):
                if names := update.get("origins"):
                    by_name = {repository.shown: repository for repository in self.repositories()}
                    return [by_name[name] for name in names]
                return [system.security if update.get("security") else system.base]
        if package in archive.DOCKER:
            return [archive.docker(system.base.codename)]
        minor = ".".join(version.split(".")[:2])
        return [archive.kubernetes(minor) if package in KUBERNETES_PACKAGES else system.base]

    def candidates(self, package: str) -> list[str]:
        """Versions the fetched package lists offer, newest first; empty for a package apt has never heard of."""
        known = {self.packages[package]} if package in self.packages else set()
        if package in KUBERNETES_PACKAGES:
            minors = [name for name in self.indexed if name != sources.DOCKER]
            known |= {f"{minor}.{patch}-1.1" for minor in minors for patch in PATCHES}
        elif package in archive.DOCKER and sources.DOCKER in self.indexed:
            known |= {archive.DOCKER[package]}
        elif package in archive.OFFERED and not known:
            known = {archive.OFFERED[package]}
        known |= {update["version"] for update in self.updates if update["package"] == package}
        return sorted(known, key=version_key, reverse=True)

    def matching(self, package: str, pattern: str) -> str:
        """The newest version that matches apt's pattern ("1.35.7-*"), "" when there is none."""
        return next((version for version in self.candidates(package) if fnmatchcase(version, pattern)), "")

    def candidate(self, package: str, release: str = "") -> str:
        """The version apt would install: never an older one; of the preferred `release` if it has one; the newest."""
        installed = version_key(self.packages.get(package, "0"))
        newer = [version for version in self.candidates(package) if version_key(version) >= installed]
        preferred = [v for v in newer if any(one.is_release(release) for one in self.origins(package, v))]
        return next(iter(preferred or newer), "")

    def upgradable(self, release: str = "") -> dict[str, str]:
        """The candidate of every package that is installed in an older version."""
        candidates = {package: self.candidate(package, release) for package in sorted(self.packages)}
        return {package: version for package, version in candidates.items() if version != self.packages[package]}

    def install(self, package: str, version: str) -> None:
        """Put a version in place. A running kubelet goes on running the binary that was replaced."""
        self.packages[package] = version
        if package in KUBERNETES_PACKAGES:
            self.write(f"usr/bin/{package}", version)
        if package in SERVICES["containerd"]:
            self.enabled, self.running = [*{*self.enabled, "containerd"}], [*{*self.running, "containerd"}]
        if package == "kubelet" and self.kubelet_pid:
            self._link_process("/usr/bin/kubelet (deleted)")
        update = {"package": package, "version": version}
        if any(one.get("reboot") and update.items() <= one.items() for one in self.updates):
            self._require_reboot(package)

    def _require_reboot(self, package: str) -> None:
        self.write(REBOOT_FLAG, "*** System restart required ***\n")
        file = self.root / REBOOT_PACKAGES
        self.write(REBOOT_PACKAGES, f"{file.read_text() if file.exists() else ''}{package}\n")

    def boot(self) -> None:
        """Come up: another boot id, no reboot required any more, running what is enabled."""
        self.write("proc/sys/kernel/random/boot_id", f"{uuid.uuid4()}\n")
        for flag in (REBOOT_FLAG, REBOOT_PACKAGES):
            (self.root / flag).unlink(missing_ok=True)
        self.down, self.booted = False, time.time()
        self.tell_uptime()
        self.load_settings()
        self.running = [name for name in self.enabled if name != "kubelet" and self.has_service(name)]
        self.stop_kubelet()
        if "kubelet" in self.enabled:
            self.start_kubelet()

    def has_service(self, name: str) -> bool:
        """Whether a package brought it. A host of the world that is a node has a container runtime untold."""
        return any(one in self.packages for one in SERVICES.get(name, ())) or (
            name == "containerd" and not self.server and "kubelet" in self.packages
        )

    def load_settings(self, files: Iterable[Path] = ()) -> None:
        """The kernel's settings as these files have them, or all of the system's; the last one counts."""
        for file in files or sorted((self.root / "etc/sysctl.d").glob("*.conf")):
            for name, value in re.findall(r"^\s*([\w./-]+)\s*=\s*(\S+)", file.read_text(), re.MULTILINE):
                self.set_kernel(name, value)

    def set_kernel(self, name: str, value: str) -> None:
        """One setting of the kernel ("net.ipv4.ip_forward"), readable below proc/sys."""
        parts = [part for part in re.split(r"[./]", name) if part]
        if parts:
            self.write(f"proc/sys/{'/'.join(parts)}", f"{value}\n")

    def tell_uptime(self) -> None:
        """Bring proc/uptime up to date."""
        self.write("proc/uptime", f"{time.time() - self.booted:.2f} 0.00\n")

    def start_kubelet(self) -> None:
        """A new process of the installed kubelet. Without a configuration, which a join brings, it ends at once."""
        (self.root / f"proc/{self.kubelet_pid}/exe").unlink(missing_ok=True)
        if "kubelet" not in self.packages or not (self.root / KUBELET_SETTINGS).exists():
            self.kubelet_pid = 0
            return
        self.kubelet_pid = self.kubelet_pid + 7 if self.kubelet_pid else 812
        self._link_process("/usr/bin/kubelet")

    def stop_kubelet(self) -> None:
        """Its process ends."""
        (self.root / f"proc/{self.kubelet_pid}/exe").unlink(missing_ok=True)
        self.kubelet_pid = 0

    def _link_process(self, binary: str) -> None:
        """What the kernel shows at /proc/PID/exe: the way to see that a process is older than its package."""
        link = self.root / f"proc/{self.kubelet_pid}/exe"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(binary)
