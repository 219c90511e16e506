"""What a failed playbook run means: which error, from the words of ssh, apt, dnf and kubeadm."""

import re

from workspaces.providers.errors import Permanent, ProviderError, Temporary

LAST_LINES = 8
LOCKED = re.compile(
    r"Could not get lock|Unable to acquire the dpkg frontend lock|is held by process|locked by another process|"
    r"already locked by \d+|create transaction lock"  # dnf, rpm
)
# apt and dnf name the one that holds it: "It is held by process 815 (unattended-upgr)".
HOLDER = re.compile(r"held by (process \d+(?: \([^)]*\))?)")
NO_VERSION = re.compile(r"E: (Version '[^']*' for '[^']*' was not found|Unable to locate package \S+)")
NO_NETWORK = re.compile(
    "Failed to fetch|Failed to download|Temporary failure resolving|connection refused|i/o timeout|no route to host|"
    "deadline exceeded",
    re.IGNORECASE,
)


def unreachable(host: str, words: str) -> ProviderError:
    """The error for a host that Ansible could not log in to or lost; `words` are those of ssh."""
    if "Host key verification failed" in words or "REMOTE HOST IDENTIFICATION HAS CHANGED" in words:
        return Permanent("credential", f"{host} shows another host key than the one stored for it.")
    if "Permission denied" in words:
        return Permanent("credential", f"{host} refuses the stored SSH key for this user.")
    return Temporary("unreachable", f"{host} cannot be reached over SSH: {_last(words, 1) or 'no answer'}")


def failed_task(host: str, task: str, words: str, errors: str) -> ProviderError:
    """The error for a task that failed; `words` is all the command said, `errors` what it said to standard error."""
    if LOCKED.search(words):
        by = f" It is {match[1]}." if (match := HOLDER.search(words)) else ""
        said = f"Another program on {host} is installing packages at the moment ({task}).{by}"
        return Temporary("package_lock", said)
    if match := NO_VERSION.search(words):
        return Permanent("not_found", f"The package repository of {host} does not have it: {match[1]} ({task}).")
    if NO_NETWORK.search(words):
        return Temporary("unreachable", f"{host} cannot reach what it needs ({task}): {_last(errors, 1)}")
    # What a playbook itself finds wrong (ansible.builtin.fail) says nothing to standard error.
    return Permanent(
        "configuration", f"{task} failed on {host}:\n{_last(errors, LAST_LINES) or _last(words, LAST_LINES)}"
    )


def not_started(playbook: str, words: str) -> ProviderError:
    """The error for a run that ended without a task having failed: the playbook cannot be read."""
    return Permanent("configuration", f"Playbook {playbook} cannot be run:\n{_last(words, LAST_LINES)}")


def _last(words: str, lines: int) -> str:
    return "\n".join([line.strip() for line in words.splitlines() if line.strip()][-lines:])
