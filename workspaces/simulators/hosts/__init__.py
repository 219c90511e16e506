"""Hosts that answer SSH: what a real `ansible-playbook` or `ssh` meets, without a virtual machine.

`server.py` is the SSH side and the `Hosts` object, `power.py` what boots and goes dark, `machine.py` one host: its
directory and packages. `archive.py` and `sources.py` are the repositories they come from. `commands.py` answers for the
programs in `bin/` with `apt.py`, `apt_cache.py`, `dpkg.py`, `kubeadm.py`, `services.py`, `node.py` and `tools.py`.
Nothing here is isolated from the machine it runs on: commands are ordinary local processes with the host's directory as
home, so the key pairs must stay on this machine, and a program without a stand-in, or called by its full path (as
`ansible.builtin.reboot` does), is the real one. Whatever installs packages, changes services, switches a system off or
becomes another user therefore has a stand-in, and most of them say that there is no such program.
"""

from workspaces.simulators.hosts.server import Hosts

__all__ = ["Hosts"]
