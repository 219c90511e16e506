"""A bare server becomes a worker of a simulated tenant: by kubeadm, with a token made by the real client."""

import base64
import hashlib
import time
import uuid
from datetime import UTC, datetime, timedelta

import kubernetes
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.simulators.cloud import Cloud, address, until
from tests.simulators.running import RunningWorld

pytestmark = pytest.mark.xdist_group("machines")

KEYRING = "etc/apt/keyrings/kubernetes-apt-keyring.gpg"
RELEASE = "https://pkgs.k8s.io/core:/stable:/v1.35/deb"
KERNEL = "echo net.ipv4.ip_forward = 1 > etc/sysctl.d/90-kubernetes.conf; sysctl --system"
PREPARE = f"""
set -e
swapoff -a; modprobe -a overlay br_netfilter; {KERNEL}
apt-get update >/dev/null
apt-get install -y containerd curl gpg >/dev/null
curl -fsSL {RELEASE}/Release.key | gpg --dearmor -o {KEYRING}
echo "deb [signed-by=/{KEYRING}] {RELEASE}/ /" > etc/apt/sources.list.d/kubernetes.list
apt-get update >/dev/null
apt-get install -y 'kubeadm=1.35.7-*' 'kubelet=1.35.7-*' 'kubectl=1.35.7-*' >/dev/null
apt-mark hold kubeadm kubelet kubectl >/dev/null
systemctl enable kubelet 2>/dev/null
"""
UNVERIFIED = "error: error execution phase preflight: couldn't validate the identity of the API Server: "
JOINERS = "system:bootstrappers:kubeadm:default-node-token"


class Tenant:
    """A tenant of the world and the real client to it."""

    def __init__(self, world, name):
        tenants = world.ready["management_clusters"][0]["tenants"]
        found = next(one for one in tenants if one["name"] == name)
        self.endpoint, config = found["endpoint"], yaml.safe_load(found["kubeconfig"])
        self.api = kubernetes.client.CoreV1Api(kubernetes.config.new_client_from_config_dict(config))
        pem = base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"])
        key = x509.load_pem_x509_certificate(pem).public_key()
        digest = hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
        self.hash = f"sha256:{digest.hexdigest()}"

    def token(self, seconds=3600, **changed):
        """A bootstrap token, known to the tenant."""
        id, secret = uuid.uuid4().hex[:6], uuid.uuid4().hex[:16]
        data = {
            "token-id": id,
            "token-secret": secret,
            "expiration": (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "usage-bootstrap-authentication": "true",
            "usage-bootstrap-signing": "true",
            "auth-extra-groups": JOINERS,
        }
        kept = {key: value for key, value in (data | changed).items() if value}
        metadata = {"name": f"bootstrap-token-{id}"}
        secret_object = {"metadata": metadata, "type": "bootstrap.kubernetes.io/token", "stringData": kept}
        self.api.create_namespaced_secret("kube-system", secret_object)
        return f"{id}.{secret}"

    def join(self, token, *, hash=None, endpoint=None):
        """The command line of a join."""
        pin = f"--discovery-token-ca-cert-hash {hash or self.hash}"
        return f"kubeadm join {endpoint or self.endpoint} --token {token} {pin}"

    def ready(self, name):
        """What the condition Ready of a node says; "" without the node."""
        nodes = {node.metadata.name: node for node in self.api.list_node().items}
        conditions = nodes[name].status.conditions if name in nodes else ()
        return next((one.status for one in conditions if one.type == "Ready"), "")


def spec(*tenants):
    described = [{"namespace": "ws", "name": name, "version": "v1.35.7"} for name in tenants]
    cluster = {"name": "mgmt", "version": "v1.36.2", "kamaji_max": "v1.36.0", "tenants": described}
    return {"management_clusters": [cluster]}


@pytest.fixture(scope="module")
def world():
    with RunningWorld(spec("ledger", "other")) as world:
        yield world


@pytest.fixture(autouse=True)
def _no_faults(world):
    yield
    world.clear_faults()


@pytest.fixture
def cloud(world, tmp_path):
    return Cloud(world, tmp_path)


@pytest.fixture(scope="module")
def tenant(world):
    return Tenant(world, "ledger")


@pytest.fixture
def name():
    return f"w-{uuid.uuid4().hex[:6]}"


@pytest.fixture
def server(cloud, name):
    """A server that is ready to join."""
    return prepared(cloud, name)


def prepared(cloud, name, script=PREPARE):
    server = cloud.up(name)
    code, output, errors = cloud.ssh(server, script)
    assert code == 0, output + errors
    return server


def joined(cloud, tenant, server):
    code, output, errors = cloud.ssh(server, tenant.join(tenant.token()))
    assert (code, errors) == (0, ""), output
    assert "This node has joined the cluster:" in output
    until(lambda: tenant.ready(server.name) == "True")


# --- Joining ----------------------------------------------------------------------------------------------------------
def test_a_prepared_server_joins_and_is_ready_a_phase_later(cloud, tenant, name):
    server = prepared(cloud, name)
    assert cloud.ssh(server, "systemctl is-active kubelet containerd")[1] == "activating\nactive\n"
    code, output, errors = cloud.ssh(server, tenant.join(tenant.token()))
    assert (code, errors) == (0, "")
    assert "This node has joined the cluster:" in output
    until(lambda: tenant.ready(name) == "True")
    node = tenant.api.read_node(name)
    info = node.status.node_info
    assert (info.kubelet_version, info.container_runtime_version) == ("v1.35.7", "containerd://1.7.24~ds1")
    assert info.os_image == "Debian GNU/Linux 13 (trixie)"
    assert node.spec.provider_id == f"hcloud://{server.id}"
    assert {one.type: one.address for one in node.status.addresses} == {
        "InternalIP": address(server),
        "Hostname": name,
    }
    assert cloud.ssh(server, "systemctl is-active kubelet; ls etc/kubernetes etc/kubernetes/pki")[1] == (
        "active\netc/kubernetes:\nkubelet.conf\npki\n\netc/kubernetes/pki:\nca.crt\n"
    )


def test_a_new_node_is_not_ready_at_first_and_takes_no_pods_until_it_is(tmp_path):
    with RunningWorld(spec("slow"), phase_seconds=0.6) as world:
        cloud, tenant = Cloud(world, tmp_path), Tenant(world, "slow")
        server = prepared(cloud, "w1")
        assert cloud.ssh(server, tenant.join(tenant.token()))[0] == 0
        assert tenant.ready("w1") == "False"
        taints = {(taint.key, taint.effect) for taint in tenant.api.read_node("w1").spec.taints}
        assert ("node.kubernetes.io/not-ready", "NoSchedule") in taints
        until(lambda: tenant.ready("w1") == "True")
        until(lambda: tenant.api.read_node("w1").spec.taints is None)


def test_the_node_can_be_given_a_name(cloud, tenant, server, name):
    assert cloud.ssh(server, f"{tenant.join(tenant.token())} --node-name called-{name}")[0] == 0
    until(lambda: tenant.ready(f"called-{name}") == "True")
    assert tenant.ready(name) == ""


def test_a_file_may_say_how_to_join(cloud, tenant, server, name):
    token = {"apiServerEndpoint": tenant.endpoint, "token": tenant.token(), "caCertHashes": [tenant.hash]}
    config = {"apiVersion": "kubeadm.k8s.io/v1beta4", "kind": "JoinConfiguration"}
    config |= {"discovery": {"bootstrapToken": token}, "nodeRegistration": {"name": name}}
    text = base64.b64encode(yaml.safe_dump(config).encode()).decode()
    assert cloud.ssh(server, f"echo {text} | base64 -d > join.yaml; kubeadm join --config join.yaml")[0] == 0
    until(lambda: tenant.ready(name) == "True")


def test_a_host_that_joined_cannot_join_again_before_it_is_reset(cloud, tenant, server, name):
    joined(cloud, tenant, server)
    code, _, errors = cloud.ssh(server, tenant.join(tenant.token()))
    assert code == 1
    assert (
        "\t[ERROR FileAvailable--etc-kubernetes-kubelet.conf]: /etc/kubernetes/kubelet.conf already exists\n" in errors
    )
    assert "\t[ERROR Port-10250]: Port 10250 is in use\n" in errors
    assert cloud.ssh(server, "kubeadm reset --force")[0] == 0
    assert cloud.ssh(server, "test -e etc/kubernetes/kubelet.conf")[0] == 1
    until(lambda: tenant.ready(name) == "Unknown")
    tenant.api.delete_node(name)
    joined(cloud, tenant, server)


def test_a_name_that_a_ready_node_has_is_taken(cloud, tenant, server, name):
    joined(cloud, tenant, server)
    second = prepared(cloud, f"{name}-b")
    code, _, errors = cloud.ssh(second, f"{tenant.join(tenant.token())} --node-name {name}")
    assert code == 1
    assert f'a Node with name "{name}" and status "Ready" already exists in the cluster' in errors


# --- Refusals ---------------------------------------------------------------------------------------------------------
def refusal(cloud, server, command):
    code, _, errors = cloud.ssh(server, command)
    assert code == 1
    assert cloud.ssh(server, "test -e etc/kubernetes/pki/ca.crt")[0] == 1
    return errors.splitlines()[0]


def test_a_token_that_the_cluster_does_not_know_is_refused(cloud, tenant, server, name):
    said = refusal(cloud, server, tenant.join("abcdef.0123456789abcdef"))
    missing = 'could not find a JWS signature in the cluster-info ConfigMap for token ID "abcdef"'
    assert said == f"{UNVERIFIED}{missing}"
    assert tenant.ready(name) == ""


def test_a_token_with_another_secret_is_refused(cloud, tenant, server):
    id, _, _ = tenant.token().partition(".")
    said = refusal(cloud, server, tenant.join(f"{id}.0123456789abcdef"))
    failed = "failed to verify JWS signature of received cluster info object, can't trust this API Server"
    assert said == f"{UNVERIFIED}{failed}"


def test_another_ca_than_the_one_pinned_is_refused(cloud, tenant, server):
    said = refusal(cloud, server, tenant.join(tenant.token(), hash=f"sha256:{'0' * 64}"))
    assert said == (
        f"{UNVERIFIED}cluster CA found in cluster-info ConfigMap is invalid: none of the public keys "
        f'"{tenant.hash}" are pinned'
    )


def test_the_token_of_another_cluster_is_refused(cloud, tenant, server, world):
    other = Tenant(world, "other")
    assert other.hash != tenant.hash
    assert "could not find a JWS signature" in refusal(cloud, server, tenant.join(other.token()))


def test_a_cluster_that_nobody_serves_is_refused(cloud, tenant, server):
    said = refusal(cloud, server, tenant.join(tenant.token(), endpoint="127.0.0.1:9"))
    assert said.startswith(
        f'{UNVERIFIED}Get "https://127.0.0.1:9/api/v1/namespaces/kube-public/configmaps/cluster-info'
    )
    assert said.endswith("dial tcp 127.0.0.1:9: connect: connection refused")


def test_a_token_made_for_something_else_does_not_let_a_host_in(cloud, tenant, server):
    said = refusal(cloud, server, tenant.join(tenant.token(**{"auth-extra-groups": ""})))
    assert 'configmaps "kubeadm-config" is forbidden: User "system:bootstrap:' in said
    said = refusal(cloud, server, tenant.join(tenant.token(**{"usage-bootstrap-authentication": "false"})))
    assert said.endswith("failed to get config map: Unauthorized")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("kubeadm join {0} --token {1}", "using token-based discovery without caCertHashes can be unsafe"),
        ("kubeadm join {0} --token ABC --discovery-token-ca-cert-hash {2}", "was not of the form"),
        ("kubeadm join --discovery-token-ca-cert-hash {2}", "bootstrapToken or file must be set"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_refused(cloud, tenant, server, command, words):
    assert words in refusal(cloud, server, command.format(tenant.endpoint, tenant.token(), tenant.hash))


def test_preflight_names_what_is_not_prepared(cloud, tenant, name):
    server = prepared(cloud, name, PREPARE.replace(KERNEL, "true"))
    cloud.ssh(server, "systemctl stop containerd")
    _, _, errors = cloud.ssh(server, tenant.join(tenant.token()))
    assert "\t[ERROR CRI]: could not connect to the container runtime" in errors
    forward = "/proc/sys/net/ipv4/ip_forward contents are not set to 1"
    assert f"\t[ERROR FileContent--proc-sys-net-ipv4-ip_forward]: {forward}\n" in errors
    cloud.ssh(server, f"systemctl start containerd; {KERNEL}")
    joined(cloud, tenant, server)


def test_a_kubelet_newer_than_the_cluster_is_refused(cloud, tenant, name):
    server = prepared(cloud, name, PREPARE.replace("v1.35", "v1.36").replace("1.35.7", "1.36.0"))
    _, _, errors = cloud.ssh(server, tenant.join(tenant.token()))
    assert "[ERROR KubeletVersion]: the kubelet version is higher than the control plane version" in errors


def test_packages_come_only_from_a_repository_whose_key_is_there(cloud, name):
    server = cloud.up(name)
    cloud.ssh(server, f'echo "deb [signed-by=/{KEYRING}] {RELEASE}/ /" > etc/apt/sources.list.d/kubernetes.list')
    code, _, errors = cloud.ssh(server, "apt-get update")
    assert (code, "NO_PUBKEY" in errors) == (100, True)
    assert cloud.ssh(server, "apt-get install -y kubelet")[2] == "E: Unable to locate package kubelet\n"
    cloud.ssh(server, f"curl -fsSL -o {KEYRING} {RELEASE}/Release.key")
    assert cloud.ssh(server, "apt-get update")[0] == 0
    assert cloud.ssh(server, "apt-get install -y kubelet=1.35.7-*")[0] == 0


def test_there_is_no_network_behind_a_server(cloud, name):
    server = cloud.up(name)
    assert cloud.ssh(server, "curl -fsSL https://example.com/")[2] == "curl: (6) Could not resolve host: example.com\n"
    code, _, _ = cloud.ssh(server, f"curl -fsSL -o ../../outside {RELEASE}/Release.key")
    assert code == 23
    assert not (cloud.world.state_dir.parent / "outside").exists()
    assert not (cloud.world.state_dir / "outside").exists()


# --- Tokens -----------------------------------------------------------------------------------------------------------
def signed(tenant):
    data = tenant.api.read_namespaced_config_map("cluster-info", "kube-public").data
    return {key.removeprefix("jws-kubeconfig-") for key in data if key.startswith("jws-kubeconfig-")}


def test_cluster_info_is_signed_by_a_token_as_long_as_there_is_one(tenant):
    id, _, _ = tenant.token().partition(".")
    until(lambda: id in signed(tenant))
    tenant.api.delete_namespaced_secret(f"bootstrap-token-{id}", "kube-system")
    until(lambda: id not in signed(tenant))


def test_a_token_whose_time_is_over_is_forgotten(cloud, tenant, server):
    token = tenant.token(seconds=2)
    id, _, _ = token.partition(".")

    def known():
        secrets = tenant.api.list_namespaced_secret("kube-system").items
        return f"bootstrap-token-{id}" in [one.metadata.name for one in secrets]

    assert known()
    until(lambda: not known())
    assert id not in signed(tenant)
    assert "could not find a JWS signature" in refusal(cloud, server, tenant.join(token))


def test_a_token_not_meant_for_signing_signs_nothing(tenant):
    id, _, _ = tenant.token(**{"usage-bootstrap-signing": ""}).partition(".")
    other, _, _ = tenant.token().partition(".")
    until(lambda: other in signed(tenant))
    assert id not in signed(tenant)


# --- Nodes and power --------------------------------------------------------------------------------------------------
def faults_come_and_go(world):
    """After which everybody looks at what is lost and what is not."""
    world.fault(service="kubernetes", target="nobody", kind="lost_node")
    time.sleep(0.3)
    world.clear_faults()
    time.sleep(0.3)


def test_a_server_without_power_is_a_lost_node_that_comes_back_with_another_boot(cloud, tenant, server, name):
    joined(cloud, tenant, server)
    boot = tenant.api.read_node(name).status.node_info.boot_id
    cloud.sdk.servers.power_off(server)
    until(lambda: tenant.ready(name) == "Unknown")
    faults_come_and_go(cloud.world)  # it is off because it has no power, not because somebody wants it lost
    assert tenant.ready(name) == "Unknown"
    cloud.sdk.servers.power_on(server)
    until(lambda: tenant.ready(name) == "True")
    until(lambda: tenant.api.read_node(name).status.node_info.boot_id != boot)


def test_a_kubelet_that_is_not_enabled_does_not_come_back(cloud, tenant, name):
    server = prepared(cloud, name, PREPARE.replace("systemctl enable kubelet 2>/dev/null", "true"))
    _, _, errors = cloud.ssh(server, tenant.join(tenant.token()))
    assert "[WARNING Service-Kubelet]: kubelet service is not enabled" in errors
    until(lambda: tenant.ready(name) == "True")
    cloud.sdk.servers.reset(server)
    until(lambda: tenant.ready(name) == "Unknown")
    until(lambda: cloud.answers(server))
    assert cloud.ssh(server, "systemctl is-active kubelet")[1] == "inactive\n"
    cloud.ssh(server, "systemctl enable --now kubelet")
    until(lambda: tenant.ready(name) == "True")


def test_a_node_deleted_while_its_machine_is_off_stays_away(cloud, tenant, server, name):
    joined(cloud, tenant, server)
    cloud.sdk.servers.power_off(server)
    until(lambda: tenant.ready(name) == "Unknown")
    tenant.api.delete_node(name)
    faults_come_and_go(cloud.world)
    assert tenant.ready(name) == ""
    cloud.sdk.servers.power_on(server)
    until(lambda: tenant.ready(name) == "True")


def test_a_node_deleted_while_its_kubelet_runs_comes_back_only_with_its_next_start(cloud, tenant, server, name):
    joined(cloud, tenant, server)
    tenant.api.delete_node(name)
    time.sleep(0.5)
    assert tenant.ready(name) == ""
    cloud.ssh(server, "systemctl restart kubelet")
    until(lambda: tenant.ready(name) == "True")


def test_the_node_of_a_deleted_server_is_lost_and_its_name_free_for_another(cloud, tenant, server, name):
    joined(cloud, tenant, server)
    cloud.sdk.servers.delete(server)
    until(lambda: tenant.ready(name) == "Unknown")
    tenant.api.delete_node(name)
    time.sleep(0.5)
    assert tenant.ready(name) == ""
    again = prepared(cloud, name)
    joined(cloud, tenant, again)
    assert tenant.api.read_node(name).spec.provider_id == f"hcloud://{again.id}"


def test_joined_machines_go_on_after_a_restart_of_the_world(tmp_path):
    with RunningWorld(spec("ledger"), state_dir=tmp_path / "world") as world:
        cloud, tenant = Cloud(world, tmp_path), Tenant(world, "ledger")
        stays, dark, gone = (prepared(cloud, one) for one in ("stays", "dark", "gone"))
        for server in (stays, dark, gone):
            joined(cloud, tenant, server)
        cloud.sdk.servers.power_off(dark)
        cloud.sdk.servers.power_off(gone)
        until(lambda: (tenant.ready("dark"), tenant.ready("gone")) == ("Unknown", "Unknown"))
        tenant.api.delete_node("gone")
        world.stop()
        world.start()
        tenant = Tenant(world, "ledger")
        time.sleep(0.5)
        assert [tenant.ready(name) for name in ("stays", "dark", "gone")] == ["True", "Unknown", ""]
        cloud.sdk.servers.power_on(dark)
        until(lambda: tenant.ready("dark") == "True")
        fresh = prepared(cloud, "fresh")
        joined(cloud, tenant, fresh)


def test_a_pod_that_is_put_on_a_node_that_joined_runs(cloud, tenant, server, name):
    joined(cloud, tenant, server)
    pod = {"metadata": {"name": f"p-{name}"}, "spec": {"containers": [{"name": "c", "image": "x"}], "nodeName": name}}
    tenant.api.create_namespaced_pod("default", pod)
    until(lambda: tenant.api.read_namespaced_pod(f"p-{name}", "default").status.phase == "Running")
