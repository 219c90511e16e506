"""The vendors' package repositories that somebody added to a host: which, and whether apt has the key they are signed
with. The repositories of the system itself are in `archive.py`.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from workspaces.simulators.hosts import archive
from workspaces.simulators.hosts.archive import Repository

KUBERNETES_FILE, DOCKER_FILE = "etc/apt/sources.list.d/kubernetes.list", "etc/apt/sources.list.d/docker.list"
DOCKER = "docker"
LINE = re.compile(r"^deb\s(.*?)(https?://\S+)\s", re.MULTILINE)


@dataclass(frozen=True)
class Source:
    """One line: `name` is a minor of Kubernetes ("1.35") or DOCKER, `key` the file of its key, "" without one."""

    name: str
    key: str

    def repository(self, codename: str) -> Repository:
        """Its repository, for a system of that codename."""
        return repository(self.name, codename)

    def is_signed(self, root: Path) -> bool:
        """Whether apt can tell that the repository is the vendor's."""
        return bool(self.key) and (root / self.key.lstrip("/")).is_file()


def repository(name: str, codename: str) -> Repository:
    """What the name of a source stands for."""
    return archive.docker(codename) if name == DOCKER else archive.kubernetes(name)


def added(root: Path) -> list[Source]:
    """The lines of the files as they are now."""
    found = []
    for path in (KUBERNETES_FILE, DOCKER_FILE):
        file = root / path
        for options, url in LINE.findall(file.read_text() if file.exists() else ""):
            minor = re.search(r"/v(\d+\.\d+)/deb/?$", url)
            key = re.search(r"signed-by=([^\s\]]+)", options)
            if minor or path == DOCKER_FILE:
                found.append(Source(minor[1] if minor else DOCKER, key[1] if key else ""))
    return found
