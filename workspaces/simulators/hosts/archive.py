"""The systems that hosts may run, and the package repositories that each of them reads.

Which versions a repository has is in `machine.py`: every host has its own.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

KUBERNETES = "https://pkgs.k8s.io/core:/stable:/v{minor}/deb"


@dataclass(frozen=True)
class Repository:
    """One suite of an archive: where it is, and the fields of its Release file."""

    url: str
    origin: str
    label: str
    version: str = ""
    archive: str = ""
    codename: str = ""

    @property
    def shown(self) -> str:
        """As `apt-get --simulate` names it: "Debian-Security:13/stable-security"."""
        suite = f"{self.version}/{self.archive}" if self.version else self.archive
        return f"{self.label}:{suite or self.site}"

    @property
    def site(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def line(self) -> str:
        """As `apt-cache` names its list; a flat repository has no component."""
        return f"{self.url} {f'{self.codename}/main amd64' if self.archive else ''} Packages"

    @property
    def fields(self) -> dict[str, str]:
        """The fields as apt's preferences name them."""
        flat = {"o": self.origin, "n": self.codename, "l": self.label}
        if not self.archive:
            return flat
        return {"v": self.version, "o": self.origin, "a": self.archive, "n": self.codename, "l": self.label}

    def is_release(self, release: str) -> bool:
        """Whether apt's `APT::Default-Release` means it: "trixie", "l=Debian-Security" or "/-security$/"."""
        names = (self.archive, self.codename)
        if len(release) > 1 and release.startswith("/") and release.endswith("/"):
            return any(re.search(release[1:-1], name) for name in names)
        field, equals, value = release.partition("=")
        return self.fields.get(field) == value if equals else bool(release) and release in (*names, self.version)


@dataclass(frozen=True)
class System:
    """An operating system: its /etc/os-release, its kernel, and its repositories by what is published there."""

    os_release: str
    kernel: str
    base: Repository
    updates: Repository
    security: Repository

    @property
    def repositories(self) -> tuple[Repository, ...]:
        return self.base, self.updates, self.security


def kubernetes(minor: str) -> Repository:
    """The vendor's repository of one minor ("1.35")."""
    label = f"isv:kubernetes:core:stable:v{minor}"
    return Repository(KUBERNETES.format(minor=minor), f"obs://build.opensuse.org/{label}/deb", label, codename="deb")


def docker(codename: str) -> Repository:
    """The repository of containerd's packagers."""
    return Repository("https://download.docker.com/linux", "Docker", "Docker CE", "", codename, codename)


def named(shown: str) -> Repository:
    """A repository of somebody else, known by its name in `apt-get --simulate` only ("Docker:trixie")."""
    label, _, place = shown.partition(":")
    version, _, archive = place.rpartition("/")
    return Repository(f"https://packages.example/{label.lower()}", label, label, version, archive, archive)


def system(name: str) -> System:
    """The system of that name ("debian-13", "ubuntu-24.04"); an unknown one reads Debian's repositories."""
    if name in SYSTEMS:
        return SYSTEMS[name]
    debian = SYSTEMS["debian-13"]
    return System(f"ID={name}\n", debian.kernel, *debian.repositories)


_DEBIAN, _DEBIAN_SECURITY = "http://deb.debian.org/debian", "http://security.debian.org/debian-security"
_UBUNTU, _UBUNTU_SECURITY = "http://archive.ubuntu.com/ubuntu", "http://security.ubuntu.com/ubuntu"
SYSTEMS: Mapping[str, System] = {
    "debian-13": System(
        'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\n',
        "6.12.48+deb13-amd64",
        Repository(_DEBIAN, "Debian", "Debian", "13", "stable", "trixie"),
        Repository(_DEBIAN, "Debian", "Debian", "13-updates", "stable-updates", "trixie-updates"),
        Repository(_DEBIAN_SECURITY, "Debian", "Debian-Security", "13", "stable-security", "trixie-security"),
    ),
    "ubuntu-24.04": System(
        'PRETTY_NAME="Ubuntu 24.04 LTS"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\nVERSION_CODENAME=noble\n',
        "6.8.0-79-generic",
        Repository(_UBUNTU, "Ubuntu", "Ubuntu", "24.04", "noble", "noble"),
        Repository(_UBUNTU, "Ubuntu", "Ubuntu", "24.04", "noble-updates", "noble-updates"),
        Repository(_UBUNTU_SECURITY, "Ubuntu", "Ubuntu", "24.04", "noble-security", "noble-security"),
    ),
}

# What any of these systems can install besides, and hosts of a world do not have from the beginning.
OFFERED: Mapping[str, str] = {
    "apt-transport-https": "3.0.3",
    "ca-certificates": "20250419",
    "conntrack": "1:1.4.8-2",
    "containerd": "1.7.24~ds1-6+b4",
    "cri-tools": "1.35.0-1.1",
    "curl": "8.14.1-2",
    "ethtool": "1:6.14.2-1",
    "gnupg": "2.4.7-21",
    "gpg": "2.4.7-21+b3",
    "iptables": "1.8.11-2",
    "jq": "1.7.1-6",
    "kubernetes-cni": "1.8.0-1.1",
    "nfs-common": "1:2.8.3-1",
    "open-iscsi": "2.1.11-1",
    "python3-apt": "3.0.0",
    "runc": "1.1.15+ds1-2+b4",
    "socat": "1.8.0.3-1",
}
# What a new server has of these.
IMAGE: Mapping[str, str] = {name: OFFERED[name] for name in ("ca-certificates", "curl", "gpg", "iptables")}
# What the packagers of containerd have.
DOCKER: Mapping[str, str] = {"containerd.io": "2.2.0-1"}
