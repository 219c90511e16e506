"""Servers of the simulated cloud are machines: met with the real SDK, ssh and ssh-keyscan."""

import socket
import subprocess
import time
import uuid
from pathlib import Path

import pytest
from hcloud.server_types import ServerType

from tests.simulators.cloud import Cloud, address, key_pair, public, refused, until
from tests.simulators.running import RunningWorld
from workspaces.simulators.hetzner_machines import address_of

pytestmark = pytest.mark.xdist_group("machines")
FIRST_IDS = (52_000_001, 52_000_256, 52_065_536)


@pytest.fixture(scope="module")
def world():
    with RunningWorld() as world:
        yield world


@pytest.fixture(autouse=True)
def _undisturbed(world):
    yield
    world.clear_faults()


@pytest.fixture
def cloud(world, tmp_path):
    return Cloud(world, tmp_path)


# --- Booting ----------------------------------------------------------------------------------------------------------
def test_a_server_answers_ssh_at_its_own_address_after_it_runs(cloud):
    server = cloud.create()
    assert not cloud.answers(server)
    until(lambda: cloud.status(server) == "running")
    until(lambda: cloud.answers(server))
    assert cloud.ssh(server, "uname -n; . etc/os-release; echo $ID $VERSION_ID") == (0, "w1\ndebian 13\n", "")
    assert address(server).startswith("127.")


def test_every_server_has_an_address_of_its_own():
    assert [address_of(id) for id in FIRST_IDS] == ["127.52.0.1", "127.52.1.0", "127.53.0.0"]
    assert len({address_of(id) for id in range(52_000_001, 52_200_001)}) == 200_000


def test_the_image_is_the_system(cloud):
    server = cloud.up(image="ubuntu-24.04")
    assert cloud.ssh(server, ". etc/os-release; echo $ID $VERSION_CODENAME")[1] == "ubuntu noble\n"


def test_only_the_keys_that_a_server_was_ordered_with_open_it(cloud, world, tmp_path):
    other = key_pair(tmp_path / "other")
    fleet = tmp_path / "of-the-world"
    fleet.touch(mode=0o600)
    fleet.write_text(world.ready["ssh_private_key"])
    server = cloud.up()
    assert cloud.ssh(server, "true")[0] == 0
    for stranger in (other, fleet):
        code, _, errors = cloud.ssh(server, "true", key=stranger)
        assert (code, "Permission denied" in errors) == (255, True)


def test_keys_in_the_cloud_config_open_a_server_too(cloud):
    config = f"#cloud-config\nhostname: w1\nssh_authorized_keys:\n  - {public(cloud.key)}\n"
    server = cloud.up(keys=[], user_data=config)
    assert cloud.ssh(server, "cloud-init status --wait") == (0, "\nstatus: done\n", "")
    server = cloud.up("w2", keys=[], user_data=config.replace("#cloud-config", "# not a cloud-config"))
    assert cloud.ssh(server, "true")[0] == 255


def test_every_server_has_a_host_key_of_its_own_that_stays(cloud):
    one, other = cloud.up("w1"), cloud.up("w2")

    def scanned(server):
        port = str(cloud.world.ready["hetzner_ssh_port"])
        run = subprocess.run(["ssh-keyscan", "-p", port, address(server)], capture_output=True, text=True, check=True)
        return run.stdout

    first = scanned(one)
    assert first.startswith(f"[{address(one)}]:{cloud.world.ready['hetzner_ssh_port']} ssh-ed25519 AAAA")
    assert first.split()[2] != scanned(other).split()[2]
    cloud.sdk.servers.reset(one)
    boot = cloud.boot_id(one)
    until(lambda: cloud.answers(one) and cloud.boot_id(one) not in ("", boot))
    assert scanned(one) == first


def test_a_new_machine_has_no_kubernetes_and_no_container_runtime(cloud):
    server = cloud.up()
    for program in ("kubeadm version", "kubelet --version", "containerd --version", "crictl info"):
        assert cloud.ssh(server, program)[0] == 127
    assert cloud.ssh(server, "systemctl is-active containerd kubelet")[1] == "inactive\ninactive\n"
    errors = cloud.ssh(server, "apt-get install -y kubeadm")[2]
    assert errors == "E: Unable to locate package kubeadm\n"


def test_ansible_finds_the_files_of_a_server_by_the_connection_the_world_tells(cloud):
    server, ready = cloud.up(), cloud.world.ready
    connection = ready["hetzner_connection"]
    assert connection["ansible_port"] == ready["hetzner_ssh_port"]
    root = Path(connection["host_root"].replace("{{ ansible_host }}", address(server)))
    assert (root / "etc/hostname").read_text() == "w1\n"
    assert "w1" not in [host["name"] for host in cloud.world.add({})["hosts"]]


def test_a_server_that_is_not_started_is_no_machine_until_it_is(cloud):
    server = cloud.create(start_after_create=False)
    until(lambda: cloud.status(server) == "off")
    assert not cloud.answers(server)
    cloud.sdk.servers.power_on(server)
    until(lambda: cloud.answers(server))


def test_a_creation_that_fails_afterwards_leaves_a_server_that_is_off(cloud):
    cloud.world.fault(service="hetzner", target=cloud.name, kind="action_failed", path="/v1/servers", times=1)
    server = cloud.create()
    until(lambda: cloud.status(server) == "off")
    time.sleep(0.3)
    assert not cloud.answers(server)


def test_a_machine_that_does_not_boot_is_a_running_server_without_an_answer(cloud):
    fault = cloud.world.fault(service="ssh", target="slow-1", kind="no_boot")
    server = cloud.create("slow-1")
    until(lambda: cloud.status(server) == "running")
    time.sleep(0.5)
    assert not cloud.answers(server)
    assert [one["id"] for one in cloud.world.faults()] == [fault]
    cloud.world.clear_faults()
    until(lambda: cloud.answers(server))


# --- Power ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("command", ["power_off", "shutdown"])
def test_a_server_that_is_off_has_nothing_that_listens_and_boots_anew(cloud, command):
    server = cloud.up()
    before = cloud.boot_id(server)
    cloud.ssh(server, "echo kept > etc/marker")
    getattr(cloud.sdk.servers, command)(server)
    until(lambda: cloud.status(server) == "off")
    assert not cloud.answers(server)
    cloud.sdk.servers.power_on(server)
    until(lambda: cloud.answers(server))
    assert cloud.boot_id(server) not in ("", before)
    assert cloud.ssh(server, "cat etc/marker")[1] == "kept\n"


@pytest.mark.parametrize("command", ["reboot", "reset"])
def test_a_server_that_is_rebooted_by_the_cloud_has_another_boot_id(cloud, command):
    server = cloud.up()
    before = cloud.boot_id(server)
    getattr(cloud.sdk.servers, command)(server)
    until(lambda: cloud.answers(server) and cloud.boot_id(server) not in ("", before))


def test_off_and_on_at_once_is_another_boot_all_the_same(cloud):
    server = cloud.up()
    before = cloud.boot_id(server)
    cloud.sdk.servers.power_off(server).wait_until_finished()
    cloud.sdk.servers.power_on(server).wait_until_finished()
    until(lambda: cloud.answers(server))
    assert cloud.boot_id(server) not in ("", before)


def test_commands_end_with_the_power(cloud):
    server = cloud.up()
    started = subprocess.Popen(
        [
            *("ssh", "-F", "/dev/null", "-i", cloud.key, "-p", str(cloud.world.ready["hetzner_ssh_port"])),
            *("-o", "UserKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes"),
            *(f"root@{address(server)}", "echo $$ > pid; exec sleep 60"),
        ],
        stderr=subprocess.DEVNULL,
    )
    until(lambda: cloud.ssh(server, "cat pid")[1].strip())
    pid = cloud.ssh(server, "cat pid")[1].strip()
    cloud.sdk.servers.power_off(server)
    assert started.wait(10) == 255
    until(lambda: not Path(f"/proc/{pid}/cmdline").exists() or not Path(f"/proc/{pid}/cmdline").read_bytes())


def test_a_system_that_does_not_listen_to_the_button_has_to_be_cut(cloud):
    cloud.world.fault(service="hetzner", target=cloud.name, kind="no_shutdown")
    server = cloud.up()
    cloud.sdk.servers.shutdown(server).wait_until_finished()
    time.sleep(0.4)
    assert (cloud.status(server), cloud.answers(server)) == ("running", True)
    cloud.sdk.servers.power_off(server).wait_until_finished()
    until(lambda: cloud.status(server) == "off")
    assert not cloud.answers(server)


def test_another_type_is_had_only_when_off_and_comes_up_at_the_end(cloud):
    server = cloud.up()
    before = cloud.boot_id(server)
    with refused("server_not_stopped"):
        cloud.sdk.servers.change_type(server, ServerType(name="ccx33"), upgrade_disk=False)
    assert cloud.answers(server)
    cloud.sdk.servers.power_off(server)
    until(lambda: cloud.status(server) == "off")
    cloud.sdk.servers.change_type(server, ServerType(name="ccx33"), upgrade_disk=False)
    assert not cloud.answers(server)
    until(lambda: cloud.answers(server))
    changed = cloud.sdk.servers.get_by_id(server.id)
    assert (changed.status, changed.server_type.name, changed.primary_disk_size) == ("running", "ccx33", 160)
    assert cloud.boot_id(server) not in ("", before)


def test_a_deleted_server_listens_no_more_and_its_disk_is_gone(cloud):
    server = cloud.up()
    root = cloud.world.state_dir / "hosts" / address(server)
    assert root.is_dir()
    cloud.sdk.servers.delete(server)
    assert not cloud.answers(server)
    until(lambda: not root.exists())


def test_a_server_is_dark_before_its_deletion_is_answered(tmp_path):
    with RunningWorld(phase_seconds=0.4) as world:  # slow enough not to be there by itself
        cloud = Cloud(world, tmp_path)
        server = cloud.up()
        cloud.sdk.servers.delete(server)
        assert not cloud.answers(server)


def test_a_name_deleted_and_ordered_again_is_another_machine(cloud):
    first = cloud.up()
    cloud.ssh(first, "echo first > etc/marker")
    cloud.sdk.servers.delete(first)
    until(lambda: cloud.sdk.servers.get_by_name("w1") is None)
    second = cloud.up()
    assert address(second) != address(first)
    assert cloud.ssh(second, "cat etc/marker 2>/dev/null || echo fresh")[1] == "fresh\n"


# --- The world goes on ------------------------------------------------------------------------------------------------
def test_machines_survive_a_restart_of_the_world_as_they_were(tmp_path):
    with RunningWorld(state_dir=tmp_path / "world") as world:
        cloud = Cloud(world, tmp_path)
        runs, dark, gone = (cloud.up(name) for name in ("runs", "dark", "gone"))
        cloud.sdk.servers.power_off(dark)
        cloud.sdk.servers.delete(gone)
        until(lambda: cloud.status(dark) == "off" and cloud.sdk.servers.get_by_name("gone") is None)
        port, boot = world.ready["hetzner_ssh_port"], cloud.boot_id(runs)
        world.stop()
        world.start()
        assert world.ready["hetzner_ssh_port"] == port
        assert (cloud.answers(runs), cloud.boot_id(runs)) == (True, boot)
        assert (cloud.status(dark), cloud.answers(dark)) == ("off", False)
        assert sorted(path.name for path in (tmp_path / "world/hosts").iterdir()) == [address(runs), address(dark)]
        cloud.sdk.servers.power_on(dark)
        until(lambda: cloud.answers(dark))


def test_a_server_on_its_way_up_when_the_world_ended_comes_up_with_it(tmp_path):
    with RunningWorld(state_dir=tmp_path / "world", phase_seconds=0.4) as world:
        cloud = Cloud(world, tmp_path)
        server = cloud.create()
        world.stop()
        world.start()
        until(lambda: cloud.answers(server))


# --- Servers that are hosts of the world ------------------------------------------------------------------------------
def seeded(world, directory, name):
    """A server of a world file and a host of that name; gives the cloud, the server and the host's port."""
    spec = {"name": name, "server_type": "cpx32", "location": "fsn1"}
    cloud = Cloud(world, directory, servers=[spec])
    host = next(one for one in world.add({"hosts": [{"name": name}]})["hosts"] if one["name"] == name)
    return cloud, cloud.sdk.servers.get_by_name(name), host["port"]


def listens(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 2) as connection:
            return connection.recv(8) == b"SSH-2.0-"
    except OSError:
        return False


def test_power_of_a_seeded_server_is_that_of_the_host_of_its_name(world, tmp_path):
    name = f"seeded-{uuid.uuid4().hex[:6]}"
    cloud, server, port = seeded(world, tmp_path, name)
    assert listens(port)
    boot_file = world.state_dir / "hosts" / name / "proc/sys/kernel/random/boot_id"
    before = boot_file.read_text()
    cloud.sdk.servers.power_off(server)
    until(lambda: cloud.status(server) == "off")
    assert not listens(port)
    cloud.sdk.servers.change_type(server, ServerType(name="cpx42"), upgrade_disk=False)
    until(lambda: listens(port))
    assert boot_file.read_text() != before
    cloud.sdk.servers.delete(server)
    assert not listens(port)
    world.add({"hosts": [{"name": name}]})
    time.sleep(0.5)
    assert not listens(port)


def test_a_server_ordered_under_the_name_of_a_host_leaves_that_host_alone(world, tmp_path):
    name = f"twin-{uuid.uuid4().hex[:6]}"
    host = next(one for one in world.add({"hosts": [{"name": name}]})["hosts"] if one["name"] == name)
    cloud, other = Cloud(world, tmp_path), Cloud(world, tmp_path)
    mine, theirs = cloud.up(name), other.up(name)
    assert address(mine) != address(theirs)
    cloud.ssh(mine, "echo mine > etc/marker")
    assert other.ssh(theirs, "test -e etc/marker")[0] == 1
    cloud.sdk.servers.delete(mine)
    assert not cloud.answers(mine)
    assert other.answers(theirs)
    assert listens(host["port"])


def test_a_server_seeded_as_off_does_not_put_out_a_host_of_its_name(world, tmp_path):
    name = f"dark-{uuid.uuid4().hex[:6]}"
    server = {"name": name, "server_type": "cpx32", "status": "off"}
    host = next(one for one in world.add({"hosts": [{"name": name}]})["hosts"] if one["name"] == name)
    Cloud(world, tmp_path, servers=[server])
    time.sleep(0.3)
    assert listens(host["port"])
