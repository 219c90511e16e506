"""systemctl: the services of a host, kubelet and its container runtime among them, with the words of the real one."""

from workspaces.simulators.hosts.bootstrap import bootstrap
from workspaces.simulators.hosts.context import Context, Reply
from workspaces.simulators.hosts.machine import Machine
from workspaces.simulators.hosts.node import kubernetes_version, reboot

# What every system runs. It can be asked for and restarted, and nothing comes of it.
BASE = ("ssh", "sshd", "cron", "systemd-timesyncd", "systemd-modules-load", "systemd-sysctl")
STARTING = ("start", "restart", "try-restart", "reload-or-restart")
ACTING = (*STARTING, "stop", "reload", "enable", "disable", "mask", "unmask")


async def systemctl(machine: Machine, arguments: list[str], context: Context) -> Reply:
    """`daemon-reload`, `reboot`, `is-system-running`; of services: ask, show, start, stop, enable, disable."""
    verb, *units = [argument for argument in arguments if not argument.startswith("-")] or [""]
    names = [unit.removesuffix(".service") for unit in units]
    if verb in {"daemon-reload", "daemon-reexec"}:
        return Reply()
    if verb == "reboot":
        return await reboot(machine, arguments, context)
    if verb == "is-system-running":
        return Reply(0, "running\n")
    if verb == "show":
        return Reply(0, _show(machine, arguments, names[0] if names else ""))
    if verb in {"is-active", "is-enabled", "status"}:
        return _tell(machine, verb, names, quiet=bool({"-q", "--quiet"} & set(arguments)))
    if verb not in ACTING:
        return Reply(1, "", f"Unknown command verb '{verb}'.\n")
    for name in names:
        if not _exists(machine, name):
            if verb in {"enable", "disable", "mask", "unmask"}:
                return Reply(1, "", f"Failed to {verb} unit: Unit {name}.service does not exist\n")
            return Reply(5, "", f"Failed to {verb} {name}.service: Unit {name}.service not found.\n")
    if "kubelet" in names and verb in (*STARTING, "enable"):
        await bootstrap(machine, context)
    return Reply(0, "", "".join(_act(machine, verb, name, "--now" in arguments, context) for name in names))


def is_active(machine: Machine, name: str) -> bool:
    """Whether the service runs."""
    return bool(machine.kubelet_pid) if name == "kubelet" else name in machine.running or name in BASE


def _exists(machine: Machine, name: str) -> bool:
    return name in BASE or machine.has_service(name)


def _is_enabled(machine: Machine, name: str) -> bool:
    return name in BASE or (name in machine.enabled and machine.has_service(name))


def _act(machine: Machine, verb: str, name: str, now: bool, context: Context) -> str:
    """Do it to a service that there is; gives the words."""
    words = ""
    if verb in {"enable", "disable"} and name not in BASE:
        if verb == "enable" and name not in machine.enabled:
            place = f"/etc/systemd/system/multi-user.target.wants/{name}.service"
            words = f"Created symlink '{place}' → '/usr/lib/systemd/system/{name}.service'.\n"
        machine.enabled = [one for one in machine.enabled if one != name] + ([name] if verb == "enable" else [])
    stops, starts = verb == "stop", verb in STARTING
    stops, starts = stops or (now and verb == "disable"), starts or (now and verb == "enable")
    again = verb not in {"start", "enable"}
    if name == "kubelet" and (stops or starts):
        _turn_kubelet(machine, starts, again, context)
    elif name not in BASE and (stops or starts):
        machine.running = [one for one in machine.running if one != name] + ([name] if starts else [])
    return words


def _turn_kubelet(machine: Machine, starts: bool, again: bool, context: Context) -> None:
    if starts and machine.kubelet_pid and not again:
        return
    if starts:
        machine.start_kubelet()
    else:
        machine.stop_kubelet()
    if context.clusters and machine.kubelet_pid:
        context.clusters.kubelet_restarted(machine.cluster, machine.node, kubernetes_version(machine))
    elif context.clusters:
        context.clusters.kubelet_stopped(machine.cluster, machine.node)


def _state(machine: Machine, name: str) -> str:
    """A kubelet without a configuration, before its host joins, ends and is started again and again."""
    if is_active(machine, name):
        return "active"
    return "activating" if name == "kubelet" and _is_enabled(machine, name) else "inactive"


def _tell(machine: Machine, verb: str, names: list[str], *, quiet: bool) -> Reply:
    if verb == "is-enabled":
        told = [
            ("enabled" if _is_enabled(machine, name) else "disabled") if _exists(machine, name) else "not-found"
            for name in names
        ]
        code = 0 if "enabled" in told else 4 if set(told) == {"not-found"} else 1
    elif verb == "is-active":
        told = [_state(machine, name) for name in names]
        code = 0 if "active" in told else 3
    else:
        missing = [name for name in names if not _exists(machine, name)]
        if missing:
            return Reply(4, "", f"Unit {missing[0]}.service could not be found.\n")
        told = [f"● {name}.service\n     Active: {_state(machine, name)}" for name in names]
        code = 0 if all(is_active(machine, name) for name in names) else 3
    return Reply(code, "" if quiet else "".join(f"{line}\n" for line in told))


def _show(machine: Machine, arguments: list[str], unit: str) -> str:
    running = is_active(machine, unit)
    pid = machine.kubelet_pid if unit == "kubelet" else 640
    properties = {
        "Id": f"{unit}.service",
        "LoadState": "loaded" if _exists(machine, unit) else "not-found",
        "ActiveState": _state(machine, unit),
        "SubState": "running" if running else "dead",
        "UnitFileState": "enabled" if _is_enabled(machine, unit) else "disabled" if _exists(machine, unit) else "",
        "MainPID": str(pid if running else 0),
    }
    wanted = [
        name
        for argument in arguments
        if argument.startswith(("--property=", "-p="))
        for name in argument.partition("=")[2].split(",")
    ]
    names = [name for name in properties if not wanted or name in wanted]
    return "".join(
        f"{properties[name] if '--value' in arguments else f'{name}={properties[name]}'}\n" for name in names
    )
