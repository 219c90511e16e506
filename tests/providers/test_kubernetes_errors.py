"""Whatever an API server or the way to it does, a provider raises Temporary or Permanent with the right code."""

import socket
import threading
import time

import pytest

from workspaces.providers.cluster import Cluster
from workspaces.providers.errors import Permanent, ProviderError, Temporary
from workspaces.providers.kamaji import Kamaji

from .recorded_api import Answer, Authority, RecordedApi, encoded, example, recorded


def failure(answer: Answer, **kubeconfig) -> ProviderError:
    """What a tenant's API answering so makes of a simple call."""
    with (
        RecordedApi(answer) as api,
        Cluster(api.kubeconfig(**kubeconfig), name="web-1", timeout=2) as cluster,
        pytest.raises(ProviderError) as caught,
    ):
        cluster.node("w1")
    assert len(api.requests) == 1
    return caught.value


def answer(name: str, **headers: str) -> Answer:
    status = example(name)
    return Answer(status["code"], status, headers)


@pytest.mark.parametrize(
    ("said", "kind", "code", "message"),
    [
        (
            recorded("10-authentication-rbac", "invalid-token"),
            Permanent,
            "credential",
            "tenant web-1: the stored credential is not accepted (Unauthorized).",
        ),
        (
            recorded("10-authentication-rbac", "sa-nodes"),
            Permanent,
            "credential",
            'tenant web-1: the stored credential lacks a right: nodes is forbidden: User "system:serviceaccount:c-auth:'
            'console" cannot list resource "nodes" in API group "" at the cluster scope',
        ),
        (
            recorded("10-authentication-rbac", "no-credentials-anonymous"),
            Permanent,
            "credential",
            'tenant web-1: the stored credential lacks a right: namespaces is forbidden: User "system:anonymous" '
            'cannot list resource "namespaces" in API group "" at the cluster scope',
        ),
        (
            answer("k8s-status-403-webhook"),
            Permanent,
            "configuration",
            "tenant web-1: Kamaji refused the change: unable to downgrade a TenantControlPlane from 1.35.0 to 1.34.0",
        ),
        (
            answer("k8s-status-404"),
            Permanent,
            "not_found",
            'tenant web-1: tenantcontrolplanes.kamaji.clastix.io "ws-7f3a" not found',
        ),
        (
            recorded("01-version-health-discovery", "unknown-kamaji-resource"),
            Permanent,
            "not_found",
            "tenant web-1: it does not serve this kind of object",
        ),
        (
            answer("k8s-status-409"),
            Temporary,
            "conflict",
            'tenant web-1: Operation cannot be fulfilled on tenantcontrolplanes.kamaji.clastix.io "ws-7f3a": the '
            "object has been modified; please apply your changes to the latest version and try again",
        ),
        (
            answer("k8s-status-409-already-exists"),
            Permanent,
            "conflict",
            'tenant web-1: tenantcontrolplanes.kamaji.clastix.io "ws-7f3a" already exists',
        ),
        (
            answer("k8s-status-410"),
            Temporary,
            "conflict",
            "tenant web-1: the list changed too much while it was read (The provided continue parameter is too old to "
            "display a consistent list result.)",
        ),
        (
            recorded("04-tcp-patch-put", "merge-cel"),
            Permanent,
            "configuration",
            'tenant web-1: the change is not valid: TenantControlPlane.kamaji.clastix.io "t1" is invalid: '
            'spec.networkProfile.clusterDomain: Invalid value: "other.local": changing the cluster domain is not '
            "supported",
        ),
        (
            recorded("04-tcp-patch-put", "merge-bad-rv"),
            Temporary,
            "cloud_api",
            'tenant web-1: strconv.ParseUint: parsing "abc": invalid syntax',
        ),
        (Answer(503, "overloaded"), Temporary, "cloud_api", "tenant web-1: Service Unavailable"),
        (
            recorded("12-nodes", "no-content-type"),
            Permanent,
            "cloud_api",
            "tenant web-1: the request was not understood (HTTP 415: 415: Unsupported Media Type).",
        ),
        (
            Answer(302, "moved", {"Location": "https://login.example/"}),
            Permanent,
            "cloud_api",
            "tenant web-1: the request was not understood (HTTP 302: Found).",
        ),
    ],
)
def test_a_refusal_says_what_happened_and_whether_repeating_helps(said, kind, code, message):
    error = failure(said)
    assert (type(error), error.code, error.message) == (kind, code, message)


def test_a_limit_on_requests_is_waited_for_as_long_as_the_server_asks():
    error = failure(Answer(429, {"kind": "Status", "message": "try later", "code": 429}, {"Retry-After": "7"}))
    assert (type(error), error.code, error.delay) == (Temporary, "rate_limit", 7.0)


def test_the_pause_may_stand_in_the_details_instead():
    details = {"retryAfterSeconds": 3}
    error = failure(Answer(429, {"kind": "Status", "message": "try later", "details": details, "code": 429}))
    assert error.delay == 3.0


@pytest.mark.parametrize("exchange", ["webhook-down-patch", "webhook-frozen"])
def test_a_webhook_of_kamaji_that_is_down_is_temporary_and_names_kamaji(exchange):
    error = failure(recorded("07-tcp-admission-webhook", exchange))
    assert (type(error), error.code) == (Temporary, "cloud_api")
    assert error.message.startswith(
        "tenant web-1: Kamaji does not answer, so no control plane can be changed (Internal"
    )


def denial(webhook: str, reason: str) -> Answer:
    message = f'admission webhook "{webhook}" denied the request: {reason}'
    return Answer(403, {"kind": "Status", "message": message, "reason": "Forbidden", "code": 403})


def test_a_frozen_tenant_is_waited_for_while_kamaji_moves_its_datastore():
    error = failure(denial("catchall.migrate.kamaji.clastix.io", "the current Control Plane is in freezing mode"))
    assert (type(error), error.code) == (Temporary, "conflict")
    assert error.message == (
        "tenant web-1: Kamaji is moving the datastore: the current Control Plane is in freezing mode"
    )


def test_a_tenant_with_limited_write_permissions_needs_a_person():
    error = failure(denial("catchall.write-permissions.kamaji.clastix.io", "limited write permissions"))
    assert (type(error), error.code) == (Permanent, "configuration")
    assert error.message == "tenant web-1: Kamaji refused the change: limited write permissions"


def test_a_policy_of_the_tenant_that_refuses_is_named():
    error = failure(denial("validate.kyverno.svc", "nodes are mine"))
    assert error.message == "tenant web-1: validate.kyverno.svc refused the change: nodes are mine"


@pytest.mark.parametrize(
    ("said", "what"),
    [
        (
            Answer(200, "<html>Please sign in</html>", {"Content-Type": "text/html"}),
            "something other than a Kubernetes",
        ),
        (Answer(200, "<html>", {"Content-Type": "application/json"}), "something other than a Kubernetes object"),
        (Answer(200, "", {"Content-Type": "application/json"}), "something other than a Kubernetes object"),
        (Answer(200, "x", {"Content-Type": "application/octet-stream"}), "something other than a Kubernetes object"),
        (Answer(200, [1, 2]), "something other than a Kubernetes object"),
        (Answer(200, None), "something other than a Kubernetes object"),
        (
            Answer(200, {"kind": "Node", "metadata": {"name": "w1"}, "status": {"nodeInfo": {"kubeletVersion": "v1"}}}),
            "an object without a valid architecture, bootID, containerRuntimeVersion, kernelVersion, kubeProxyVersion",
        ),
    ],
)
def test_an_answer_that_is_not_kubernetes_form_is_permanent(said, what):
    error = failure(said)
    assert (type(error), error.code) == (Permanent, "cloud_api")
    assert error.message.startswith(f"tenant web-1: answered {what}")


def test_an_answer_that_cannot_be_read_is_not_quoted():
    leak = {"kind": "Node", "metadata": {"name": ["topsecret"]}, "status": {}}
    error = failure(Answer(200, leak))
    assert "topsecret" not in str(error)
    assert error.__cause__ is None
    assert error.__suppress_context__


def test_a_hanging_server_is_an_error_within_the_time_out():
    with RecordedApi(Answer(silent_for=30)) as api, Cluster(api.kubeconfig(), name="web-1", timeout=0.4) as cluster:
        begun = time.monotonic()
        with pytest.raises(Temporary) as caught:
            cluster.nodes()
        took = time.monotonic() - begun
    assert caught.value.code == "unreachable"
    assert caught.value.message == "tenant web-1: it did not answer in time."
    assert 0.3 < took < 1.5
    assert len(api.requests) == 1


def test_a_server_that_accepts_and_never_speaks_tls_is_an_error_within_the_time_out():
    with RecordedApi() as api, socket.create_server(("127.0.0.1", 0)) as silent:
        kubeconfig = api.kubeconfig(cluster={"server": f"https://127.0.0.1:{silent.getsockname()[1]}"})
        with Cluster(kubeconfig, name="web-1", timeout=0.4) as cluster:
            begun = time.monotonic()
            with pytest.raises(Temporary) as caught:
                cluster.version()
    assert caught.value.code == "unreachable"
    assert time.monotonic() - begun < 1.5


def test_nobody_at_the_address_is_temporary():
    with RecordedApi() as api:
        kubeconfig = api.kubeconfig()
    with Kamaji(kubeconfig, name="mgmt-fsn1", timeout=1) as kamaji, pytest.raises(Temporary) as caught:
        kamaji.version()
    assert caught.value.code == "unreachable"
    assert caught.value.message == "management cluster mgmt-fsn1: the connection was refused."


def test_a_proxy_of_the_environment_is_used_and_told_apart(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    monkeypatch.setenv("HTTPS_PROXY", address)
    monkeypatch.setenv("NO_PROXY", "")
    with (
        RecordedApi() as api,
        Cluster(api.kubeconfig(), name="web-1", timeout=1) as cluster,
        pytest.raises(Temporary) as caught,
    ):
        cluster.version()
    assert caught.value.message == "tenant web-1: the proxy did not connect to it."
    assert api.requests == []


def test_a_name_that_does_not_resolve_is_temporary():
    with RecordedApi() as api:
        kubeconfig = api.kubeconfig(cluster={"server": "https://tenant.invalid:6443"})
    with Cluster(kubeconfig, name="web-1", timeout=1) as cluster, pytest.raises(Temporary) as caught:
        cluster.version()
    assert caught.value.message == "tenant web-1: its name cannot be resolved."


def test_a_connection_that_breaks_off_is_temporary():
    error = failure(Answer(200, {"kind": "Node"}, cut=True))
    assert type(error) is Temporary
    assert error.message == "tenant web-1: the connection was closed before an answer came."


def test_a_server_with_another_authority_is_not_spoken_to():
    stranger = encoded(Authority().pem)
    with RecordedApi() as api:
        kubeconfig = api.kubeconfig(cluster={"certificate-authority-data": stranger}, user={"token": "topsecret"})
        with Cluster(kubeconfig, name="web-1", timeout=2) as cluster, pytest.raises(Permanent) as caught:
            cluster.version()
    assert caught.value.code == "credential"
    assert caught.value.message.startswith("tenant web-1: the certificates do not match the stored kubeconfig: ")
    assert api.requests == []


def test_a_server_whose_certificate_names_another_host_is_not_spoken_to():
    with RecordedApi() as api:
        kubeconfig = api.kubeconfig(cluster={"server": api.url.replace("127.0.0.1", "localhost")})
        with Cluster(kubeconfig, name="web-1", timeout=2) as cluster, pytest.raises(Permanent) as caught:
            cluster.version()
    assert caught.value.code == "credential"
    assert "localhost" in caught.value.message


def speak_plain_http(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(1)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        connection.recv(10_000)


def test_a_plain_http_server_is_temporary():
    with socket.create_server(("127.0.0.1", 0)) as plain, RecordedApi() as api:
        threading.Thread(target=speak_plain_http, args=[plain], daemon=True).start()
        kubeconfig = api.kubeconfig(cluster={"server": f"https://127.0.0.1:{plain.getsockname()[1]}"})
        with Cluster(kubeconfig, name="web-1", timeout=1) as cluster, pytest.raises(Temporary) as caught:
            cluster.version()
    assert caught.value.message == "tenant web-1: no encrypted connection could be made."


def test_no_error_shows_the_token():
    for said in (Answer(500, "boom"), recorded("10-authentication-rbac", "invalid-token"), Answer(200, "x")):
        error = failure(said, user={"token": "topsecret"})
        assert "topsecret" not in f"{error} {error!r} {error.__cause__} {error.__cause__!r}"
