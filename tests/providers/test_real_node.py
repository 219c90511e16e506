"""node.yml, join.yml and rejoin.yml on a real Debian: its own dpkg, apt and gpg, signed repositories, a real sshd.

The kernel is this machine's, and no systemd runs: what would touch them are stand-ins that write down what they were
asked. kubeadm is one as well.
"""

import json

import pytest

from tests.providers.real_hosts import APT_BASE, KeyPair, base
from tests.providers.test_real_packages import Debian
from workspaces.providers.errors import Permanent

pytestmark = [
    pytest.mark.xdist_group("real_hosts"),
    pytest.mark.timeout(600),  # the first run builds the base
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of forkpty:DeprecationWarning"),
]

VARIABLES = {
    "kubernetes_version": "1.35.7",
    "kubernetes_repository": "file:/srv/kubernetes",
    "containerd_repository": "file:/srv/docker",
}
TOKEN = "abcdef.0123456789abcdef"
JOIN = {"join_endpoint": "203.0.113.10:6443", "join_token": TOKEN, "join_ca": ["sha256:77"], "node_name": "w4"}
REJOIN = {
    "join_endpoint": "203.0.113.10:6443",
    "join_token": TOKEN,
    "join_authority": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
}
# The kubelet, which asks its cluster when it has no credentials, and keeps the authority it was told of.
KUBELET = """
[ "$1" = start ] && [ ! -e /etc/kubernetes/kubelet.conf ] && [ ! -e /run/silent ] || exit 0
cp /etc/kubernetes/bootstrap-kubelet.conf /run/told
grep certificate-authority-data /run/told > /etc/kubernetes/kubelet.conf
"""
NOTES = '#!/bin/sh\necho "${0##*/} $*" >> /run/asked\n'
SYSTEMCTL = f"""{NOTES}
unit=$(for last; do :; done; echo "$last")
case "$1" in
  is-active|is-enabled) [ -e "/run/$1-$unit" ] ;;
  enable) touch "/run/is-enabled-$unit"; [ "$2" != --now ] || touch "/run/is-active-$unit" ;;
  restart) touch "/run/is-active-$unit" ;;
esac
"""
# Of "curl … --output FILE URL", for files alone.
CURL = """#!/bin/sh
while [ $# -gt 1 ]; do [ "$1" != --output ] || file=$2; shift; done
exec cp "${1#file:}" "$file"
"""
CONTAINERD = """#!/bin/sh
printf "version = 3\\n[plugins]\\n  SystemdCgroup = false\\n"
"""
KUBEADM = f"""{NOTES}
set -e
case "$1" in
  join)
    mkdir -p /etc/kubernetes/pki
    touch /etc/kubernetes/pki/ca.crt
    if [ -e /run/fails ]; then echo "error: token $7 is not known" >&2; exit 1; fi
    touch /etc/kubernetes/kubelet.conf ;;
  reset) rm -r /etc/kubernetes/pki ;;
esac
"""
GPG = "export HOME=/root; gpg --batch --quiet --passphrase '' --pinentry-mode loopback"


@pytest.fixture(scope="module")
def keys():
    return KeyPair.new()


@pytest.fixture
def host(keys):
    with Debian(base(APT_BASE), keys) as host:
        for name in ("swapoff", "modprobe", "sysctl"):
            host.run("rm", "-f", f"/usr/sbin/{name}")
            host.write(f"usr/local/sbin/{name}", NOTES, 0o755)
        host.write("usr/local/bin/systemctl", SYSTEMCTL, 0o755)
        host.write("etc/fstab", "/dev/sda1 / ext4 defaults 0 1\n/swapfile none swap sw 0 0\n# no swap here\n")
        host.run("mkdir", "-p", "/etc/modules-load.d", "/etc/sysctl.d")
        yield host


@pytest.fixture
def fresh(host):
    """The host with the repositories that it is prepared from."""
    curl = host.package("curl", "1", files={"usr/bin/curl": CURL})
    host.publish("stable", host.package("ca-certificates", "1"), curl)
    host.run("sh", "-c", f"{GPG} --quick-generate-key loopback")
    publish_kubernetes(host)
    publish_containerd(host)
    return host


def publish_kubernetes(host):
    """A signed repository as pkgs.k8s.io has one for each minor, with an older version and a newer one."""
    packages = [
        host.package(name, version, files={"usr/bin/kubeadm": KUBEADM} if name == "kubeadm" else {})
        for name in ("kubeadm", "kubelet", "kubectl")
        for version in ("1.35.4-1.1", "1.35.7-1.1", "1.35.9-1.1")
    ]
    host.publish("stable", *packages, label="kubernetes", folder="kubernetes/v1.35/deb")
    host.run("rm", "/etc/apt/sources.list.d/kubernetes-v1.35-deb.list")
    sign = f"{GPG} --clearsign -o InRelease Release && {GPG} --armor --export > Release.key"
    host.run("sh", "-c", f"cd /srv/kubernetes/v1.35/deb; {sign}")


def publish_containerd(host):
    """A signed repository as Docker has one for each system."""
    config = {"usr/bin/containerd": CONTAINERD, "etc/containerd/config.toml": 'disabled_plugins = ["cri"]\n'}
    built = host.package("containerd.io", "2.2.0-1", files=config, conffiles="/etc/containerd/config.toml\n")
    suite = host.release()["VERSION_CODENAME"]
    script = f"""
    set -e
    mkdir -p /srv/docker/debian/pool /srv/docker/debian/dists/{suite}/stable/binary-$(dpkg --print-architecture)
    cd /srv/docker/debian
    cp {built} pool
    apt-ftparchive packages pool > dists/{suite}/stable/binary-$(dpkg --print-architecture)/Packages
    cd dists/{suite}
    apt-ftparchive -o APT::FTPArchive::Release::Codename={suite} -o APT::FTPArchive::Release::Components=stable \
        -o APT::FTPArchive::Release::Architectures=$(dpkg --print-architecture) release . > /tmp/R
    mv /tmp/R Release
    {GPG} --clearsign -o InRelease Release
    {GPG} --armor --export > /srv/docker/debian/gpg
    """
    host.run("sh", "-c", script)


def asked(host, program):
    """What a stand-in was asked, in order."""
    lines = host.path("run/asked").read_text().splitlines()
    return [line.partition(" ")[2] for line in lines if line.startswith(f"{program} ")]


def test_a_fresh_host_is_prepared_and_a_second_run_changes_nothing(fresh):
    assert fresh.play("node", **VARIABLES).changed >= 8
    told = fresh.run("dpkg-query", "-W", "-f", "${Package} ${Version} ${Status}\\n", "kubeadm", "kubectl", "kubelet")
    assert told == (
        "kubeadm 1.35.7-1.1 hold ok installed\n"
        "kubectl 1.35.7-1.1 hold ok installed\n"
        "kubelet 1.35.7-1.1 hold ok installed\n"
    )
    assert fresh.versions("containerd.io") == {"containerd.io": "2.2.0-1"}
    config = fresh.path("etc/containerd/config.toml").read_text()
    assert config == "version = 3\n[plugins]\n  SystemdCgroup = true\n"
    assert fresh.path("etc/fstab").read_text() == "/dev/sda1 / ext4 defaults 0 1\n# no swap here\n"
    assert "net.ipv4.ip_forward = 1\n" in fresh.path("etc/sysctl.d/90-kubernetes.conf").read_text()
    assert fresh.path("etc/modules-load.d/kubernetes.conf").read_text() == "overlay\nbr_netfilter\n"
    assert (asked(fresh, "swapoff"), asked(fresh, "modprobe")) == (["-a"], ["-a overlay br_netfilter"])
    assert asked(fresh, "sysctl") == ["--quiet --system"]
    assert {"restart containerd", "enable --now containerd", "enable kubelet"} <= set(asked(fresh, "systemctl"))

    assert fresh.play("node", **VARIABLES).changed == 0
    assert asked(fresh, "systemctl").count("restart containerd") == 1

    with pytest.raises(Permanent, match=r"1\.35\.99") as raised:
        fresh.play("node", **VARIABLES | {"kubernetes_version": "1.35.99"})
    assert raised.value.code == "not_found"
    assert fresh.run("apt-mark", "showhold").split() == ["kubeadm", "kubectl", "kubelet"]


def test_it_goes_on_where_a_run_was_cut_off(fresh):
    fresh.write("run/breaks", "")
    broken = fresh.package("kubelet", "1.35.7-1.2", preinst="#!/bin/sh\n[ ! -e /run/breaks ]\n")
    fresh.run("sh", "-c", "rm /srv/kubernetes/v1.35/deb/kubelet_1.35.7-1.1.deb /srv/kubernetes/v1.35/deb/InRelease")
    fresh.publish("stable", broken, label="kubernetes", folder="kubernetes/v1.35/deb")
    fresh.run("rm", "/etc/apt/sources.list.d/kubernetes-v1.35-deb.list")
    fresh.run("sh", "-c", f"cd /srv/kubernetes/v1.35/deb; {GPG} --clearsign -o InRelease Release")
    with pytest.raises(Permanent) as raised:
        fresh.play("node", **VARIABLES)
    assert raised.value.code == "configuration"
    assert raised.value.message.startswith("Install kubeadm, kubelet and kubectl 1.35.7 failed on real-host")
    fresh.path("run/breaks").unlink()
    fresh.play("node", **VARIABLES)
    held = fresh.run("apt-mark", "showhold").split()
    assert held == ["kubeadm", "kubectl", "kubelet"]
    assert fresh.play("node", **VARIABLES).changed == 0


def test_the_systems_own_containerd_is_an_option(fresh):
    fresh.publish("stable-updates", fresh.package("containerd", "1.7", files={"usr/bin/containerd": CONTAINERD}))
    fresh.play("node", **VARIABLES | {"containerd_repository": "", "containerd_package": "containerd"})
    assert fresh.versions("containerd") == {"containerd": "1.7"}
    assert not fresh.path("etc/apt/sources.list.d/docker.list").exists()


def test_a_host_joins_once_and_its_token_is_nowhere(host):
    host.install(host.package("kubeadm", "1", files={"usr/bin/kubeadm": KUBEADM}))
    assert host.play("join", **JOIN).changed == 1
    assert asked(host, "kubeadm") == [
        f"join 203.0.113.10:6443 --node-name w4 --token {TOKEN} --discovery-token-ca-cert-hash sha256:77"
    ]
    assert TOKEN not in "\n".join(host.lines)
    assert host.play("join", **JOIN).changed == 0
    assert len(asked(host, "kubeadm")) == 1


def test_what_kubeadm_says_of_a_failure_is_told_without_the_token_and_the_next_run_begins_anew(host):
    host.install(host.package("kubeadm", "1", files={"usr/bin/kubeadm": KUBEADM.replace("$7", TOKEN)}))
    host.write("run/fails", "")
    with pytest.raises(Permanent) as raised:
        host.play("join", **JOIN)
    assert raised.value.code == "configuration"
    assert raised.value.message == "Join the cluster failed on real-host:\nerror: token *** is not known"
    host.path("run/fails").unlink()
    result = host.play("join", **JOIN)
    assert TOKEN not in result.output
    assert [line.split()[0] for line in asked(host, "kubeadm")] == ["join", "reset", "join"]


def test_a_kubelet_gets_credentials_of_another_authority_once_and_its_token_is_nowhere(host):
    host.write("usr/local/bin/systemctl", SYSTEMCTL + KUBELET, 0o755)
    for name in ("etc/kubernetes/kubelet.conf", "var/lib/kubelet/pki/kubelet-client-current.pem"):
        host.write(name, "of the old authority\n")
    host.write("run/silent", "")
    with pytest.raises(Permanent) as raised:
        host.play("rejoin", **REJOIN | {"join_patience": 1})
    assert raised.value.message == (
        "Wait until the cluster has given it credentials failed on real-host:\n"
        "The kubelet asked and was given none: journalctl -u kubelet says why."
    )
    host.path("run/silent").unlink()
    assert host.play("rejoin", **REJOIN).changed >= 3
    told = json.loads(host.path("run/told").read_text())
    assert told["clusters"][0]["cluster"]["server"] == "https://203.0.113.10:6443"
    assert told["users"][0]["user"] == {"token": TOKEN}
    assert host.path("etc/kubernetes/pki/ca.crt").read_text() == REJOIN["join_authority"]
    left = host.run("find", "/etc/kubernetes", "/var/lib/kubelet", "-type", "f").split()
    assert sorted(left) == ["/etc/kubernetes/kubelet.conf", "/etc/kubernetes/pki/ca.crt"]
    assert asked(host, "systemctl") == ["stop kubelet", "start kubelet"] * 2
    assert TOKEN not in "\n".join(host.lines)
    assert host.play("rejoin", **REJOIN).changed == 0
    assert len(asked(host, "systemctl")) == 4


def test_the_first_start_is_told_as_cloud_init_tells_it(host):
    """On a host without it there is nothing to wait for."""
    assert host.play("first_boot").facts == {"cloud_init": "absent"}
    for said, code, told in (
        ("status: running", 0, "running"),
        ("status: not run", 0, "running"),
        ("status: done", 0, "done"),
        ("status: done", 2, "done"),
        ("status: error", 1, "error"),
        ("status: disabled", 0, "absent"),
    ):
        host.write("usr/bin/cloud-init", f"#!/bin/sh\necho '{said}'\nexit {code}\n", 0o755)
        assert host.play("first_boot").facts == {"cloud_init": told}
