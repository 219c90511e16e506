"""The lesser programs that preparing a host needs, as far as playbooks use them. None of them touches the real machine,
and there is no network: curl and wget have the keys of the package repositories and nothing else.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from workspaces.simulators.hosts.context import Context, Reply
from workspaces.simulators.hosts.machine import Machine

KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nc2ltdWxhdGVk\n-----END PGP PUBLIC KEY BLOCK-----\n"
KEY_PATHS = re.compile(r".*/(Release\.key|Release\.gpg|gpg|gpg\.key|\w[\w.-]*\.(asc|gpg))")
CONTAINERD_CONFIG = (
    "version = 3\nroot = '/var/lib/containerd'\n\n[plugins]\n"
    "  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]\n    SystemdCgroup = false\n"
)


async def modprobe(machine: Machine, arguments: list[str], context: Context) -> Reply:
    """Loads modules: those that pod networks need are in every kernel here."""
    for name in (argument for argument in arguments if not argument.startswith("-")):
        if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
            return Reply(1, "", f"modprobe: FATAL: Module {name} not found in directory /lib/modules\n")
        machine.write(f"sys/module/{name.replace('-', '_')}/initstate", "live\n")
    return Reply()


async def lsmod(machine: Machine, arguments: list[str], context: Context) -> Reply:
    """What was loaded since the system was installed."""
    names = sorted(path.parent.name for path in machine.root.glob("sys/module/*/initstate"))
    return Reply(0, "Module                  Size  Used by\n" + "".join(f"{name:<23} 32768  0\n" for name in names))


async def sysctl(machine: Machine, arguments: list[str], context: Context) -> Reply:
    """`--system`, `-p FILE`, `-w NAME=VALUE`, `[-n] NAME`."""
    names = [argument for argument in arguments if not argument.startswith("-")]
    if "--system" in arguments:
        machine.load_settings()
        return Reply()
    if {"-p", "--load"} & {argument.partition("=")[0] for argument in arguments}:
        files = [machine.inside(name, context.directory) for name in names] or [machine.root / "etc/sysctl.conf"]
        missing = [file for file in files if not file.is_file()]
        if missing:
            return Reply(255, "", f"sysctl: cannot open {missing[0]}: No such file or directory\n")
        machine.load_settings(files)
        return Reply()
    lines = []
    for name, equals, value in (one.partition("=") for one in names):
        if equals:
            machine.set_kernel(name.strip(), value.strip())
        kept = machine.read(f"proc/sys/{'/'.join(re.split(r'[./]', name.strip()))}").strip()
        if not kept:
            return Reply(1, "", f"sysctl: cannot stat /proc/sys/{name.replace('.', '/')}: No such file or directory\n")
        lines.append(f"{kept}\n" if {"-n", "--values"} & set(arguments) else f"{name.strip()} = {kept}\n")
    return Reply(0, "" if {"-q", "--quiet"} & set(arguments) else "".join(lines))


async def nothing(machine: Machine, arguments: list[str], context: Context) -> Reply:
    """Says nothing and changes nothing: there is no swap here."""
    return Reply()


async def cloud_init(machine: Machine, arguments: list[str], context: Context) -> Reply:
    """`status`, which is done when a server answers. A host of the world was not installed by it."""
    if not machine.server:
        return Reply(127, "", "/bin/sh: 1: cloud-init: not found\n")
    if "json" in " ".join(arguments):
        return Reply(0, '{"status": "done", "extended_status": "done", "errors": []}\n')
    return Reply(0, "\nstatus: done\n" if "--wait" in arguments else "status: done\n")


async def containerd(machine: Machine, arguments: list[str], context: Context) -> Reply:
    """`config default` and `--version` of the installed one."""
    version = next((machine.packages[name] for name in ("containerd.io", "containerd") if name in machine.packages), "")
    if not version:
        return Reply(127, "", "/bin/sh: 1: containerd: not found\n")
    if arguments[:2] == ["config", "default"]:
        return Reply(0, CONTAINERD_CONFIG)
    return Reply(0, f"containerd github.com/containerd/containerd {version.partition('-')[0]}\n")


async def crictl(machine: Machine, arguments: list[str], context: Context) -> Reply:
    """`info`, `ps` and others answer nothing when the container runtime runs."""
    if "kubeadm" not in machine.packages:
        return Reply(127, "", "/bin/sh: 1: crictl: not found\n")
    if "containerd" in machine.running:
        return Reply(0, "{}\n" if "info" in arguments else "")
    return Reply(
        1, "", "FATA[0000] validate service connection: dial unix /run/containerd/containerd.sock: no such file\n"
    )


async def curl(machine: Machine, arguments: list[str], context: Context) -> Reply:
    """`[-o FILE] URL`; wget is the same with -O."""
    target, urls, rest = "", [], iter(arguments)
    for argument in rest:
        if argument in {"-o", "-O", "--output", "--output-document"} or re.fullmatch(r"-[a-zA-NP-Z]*[oO]", argument):
            target = next(rest, "")
        elif match := re.fullmatch(r"--output(?:-document)?=(.*)", argument):
            target = match[1]
        elif re.match(r"https?://", argument):
            urls.append(argument)
    for url in urls:
        address = urlsplit(url)
        if not KEY_PATHS.fullmatch(address.path):
            return Reply(6, "", f"curl: (6) Could not resolve host: {address.hostname}\n")
    if not urls:
        return Reply(2, "", "curl: (2) no URL specified\n")
    return _deliver(machine, context, target, KEY, "curl: (23) client returned ERROR on write")


async def gpg(machine: Machine, arguments: list[str], context: Context) -> Reply:
    """`--dearmor [--output FILE] [FILE]`, from standard input without one."""
    if "gpg" not in machine.packages and "gnupg" not in machine.packages:
        return Reply(127, "", "/bin/sh: 1: gpg: not found\n")
    options = dict(_gpg_options(arguments))
    if "--dearmor" not in options:
        return Reply(2, "", "gpg: only --dearmor is known here\n")
    source = options.get("")
    text = context.stdin if source is None else _text(machine.inside(source, context.directory))
    if "BEGIN PGP" not in text:
        return Reply(2, "", "gpg: no valid OpenPGP data found.\ngpg: dearmoring failed: Unknown system error\n")
    target = options.get("--output", "")
    if target and machine.inside(target, context.directory).exists() and "--yes" not in options:
        return Reply(2, "", f"gpg: dearmoring failed: File exists: {target}\n")
    return _deliver(machine, context, target, "simulated key\n", "gpg: can't create")


def _gpg_options(arguments: list[str]) -> Iterator[tuple[str, str]]:
    rest = iter(arguments)
    for argument in rest:
        if argument in {"-o", "--output"}:
            yield "--output", next(rest, "")
        elif argument.startswith("--output="):
            yield "--output", argument.partition("=")[2]
        else:
            yield (argument, "") if argument.startswith("-") else ("", argument)


def _text(file: Path) -> str:
    return file.read_text(errors="replace") if file.is_file() else ""


def _deliver(machine: Machine, context: Context, target: str, text: str, failure: str) -> Reply:
    """To standard output, or into a file of the host whose folder must be there."""
    if target in {"", "-"}:
        return Reply(0, text)
    file = machine.inside(target, context.directory)
    if not file.parent.is_dir():
        return Reply(23, "", f"{failure}: {target}: No such file or directory\n")
    file.write_text(text)
    return Reply()
