"""A kubeconfig is data: read by us, never run, and its key never lies in a file."""

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from kubernetes import client

from workspaces.providers.errors import Permanent
from workspaces.providers.kubeconfig import connect, read

from .recorded_api import Answer, Authority, RecordedApi, encoded, recorded

REPOSITORY = Path(__file__).parents[2]
VERSION = recorded("01-version-health-discovery", "version-slash-tenant")
NODES = Answer(body={"kind": "NodeList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": []})


def refusal(kubeconfig: str) -> str:
    with pytest.raises(Permanent) as caught:
        connect(kubeconfig)
    assert caught.value.code == "configuration"
    return caught.value.message


def test_a_client_certificate_is_presented():
    with RecordedApi(NODES) as api, connect(api.kubeconfig()) as api_client:
        client.CoreV1Api(api_client).list_node()
    assert api.requests[0].client == "kubernetes-admin"
    assert "authorization" not in api.requests[0].headers


def test_a_token_is_sent():
    with RecordedApi(NODES) as api, connect(api.kubeconfig(user={"token": "abc.def"})) as api_client:
        client.CoreV1Api(api_client).list_node()
    assert api.requests[0].headers["authorization"] == "Bearer abc.def"
    assert api.requests[0].client == ""


def test_a_path_in_the_address_is_kept():
    with RecordedApi(NODES) as api:
        kubeconfig = api.kubeconfig(cluster={"server": f"{api.url}/k8s/clusters/c-1/"})
        with connect(kubeconfig) as api_client:
            client.CoreV1Api(api_client).list_node()
    assert api.requests[0].path == "/k8s/clusters/c-1/api/v1/nodes"


def test_a_server_name_of_the_kubeconfig_is_what_the_certificate_is_checked_against():
    with RecordedApi(VERSION) as api, connect(api.kubeconfig(cluster={"tls-server-name": "127.0.0.1"})) as api_client:
        assert client.VersionApi(api_client).get_code().git_version.startswith("v1.")


def test_an_exec_kubeconfig_is_refused_and_nothing_is_executed(tmp_path):
    trace = tmp_path / "ran"
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "touch", "args": [str(trace)]}
    with RecordedApi() as api:
        message = refusal(api.kubeconfig(user={"exec": plugin}))
    assert message == (
        "The kubeconfig cannot be used: it names a program to run for signing in (exec); "
        "store a token or a client certificate instead."
    )
    assert not trace.exists()
    assert api.requests == []


@pytest.mark.parametrize(
    ("user", "named"),
    [
        ({"auth-provider": {"name": "gcp"}}, "(auth-provider)"),
        ({"token": "t", "tokenFile": "/var/run/token"}, "(tokenFile)"),
        ({"client-certificate": "/etc/a.pem", "client-key-data": "aGk="}, "(client-certificate)"),
        ({"client-key": "/etc/a.key", "client-certificate-data": "aGk="}, "(client-key)"),
        ({"username": "admin", "password": "hunter2"}, "its setting password is not supported"),
        ({"token": "t", "as": "system:admin"}, "its setting as is not supported"),
        ({}, "neither a token nor a client certificate"),
        ({"client-certificate-data": "aGk="}, "belong together"),
        ({"token": "two\nlines"}, "characters a token cannot have"),
        ({"token": 12345}, "characters a token cannot have"),
    ],
)
def test_a_way_to_sign_in_that_is_not_plain_data_is_refused(user, named):
    with RecordedApi() as api:
        message = refusal(api.kubeconfig(user=user))
    assert named in message
    assert "hunter2" not in message
    assert "lines" not in message


@pytest.mark.parametrize(
    ("cluster", "named"),
    [
        ({"insecure-skip-tls-verify": True}, "(insecure-skip-tls-verify)"),
        ({"proxy-url": "http://evil.example"}, "(proxy-url)"),
        ({"certificate-authority": "/etc/ca.pem"}, "(certificate-authority)"),
        ({"certificate-authority-data": None}, "no certificate-authority-data"),
        ({"certificate-authority-data": "%%%"}, "is not base64"),
        ({"certificate-authority-data": encoded("no certificate")}, "holds no certificate"),
        ({"server": "http://127.0.0.1:8080"}, "not a plain https:// address"),
        ({"server": "https://user:secret@127.0.0.1"}, "not a plain https:// address"),
        ({"server": "https://127.0.0.1:notaport"}, "not a plain https:// address"),
        ({"server": None}, "not a plain https:// address"),
    ],
)
def test_a_server_that_could_not_be_recognised_is_refused(cluster, named):
    with RecordedApi() as api:
        message = refusal(api.kubeconfig(cluster=cluster))
    assert named in message
    assert "secret" not in message


def test_a_setting_that_is_off_does_not_matter():
    with RecordedApi() as api:
        access = read(api.kubeconfig(cluster={"insecure-skip-tls-verify": False}, user={"token": "t", "exec": None}))
    assert access.token == "t"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is not a kubeconfig"),
        ("- a list", "it is not a kubeconfig"),
        ("users: [\n token: topsecret\n  - broken: }", "it is not YAML (line 3)"),
        ("[" * 5000, "it is not YAML"),
        ("when: 2026-99-99", "it is not YAML"),
        ("!!python/object/apply:os.system ['true']", "it is not YAML (line 1)"),
        ("current-context: a", "its current context leads to no context"),
        ("current-context: a\ncontexts: [{name: a, context: {cluster: x}}]", "its current context leads to no cluster"),
        ("x" * 1_000_001, "it is longer than one megabyte"),
    ],
)
def test_a_text_that_is_no_kubeconfig_is_refused_without_quoting_it(text, said):
    message = refusal(text)
    assert message == f"The kubeconfig cannot be used: {said}."


def test_a_key_that_does_not_belong_to_its_certificate_is_refused():
    authority = Authority()
    certificate, _ = authority.issue("one")
    _, key = authority.issue("other")
    with RecordedApi() as api:
        user = {"client-certificate-data": encoded(certificate), "client-key-data": encoded(key)}
        assert "do not belong together" in refusal(api.kubeconfig(user=user))


def test_an_encrypted_key_is_refused_instead_of_asking_on_the_terminal():
    certificate, plain = Authority().issue("one")
    key = serialization.load_pem_private_key(plain, None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"pass"),
    )
    with RecordedApi() as api:
        user = {"client-certificate-data": encoded(certificate), "client-key-data": encoded(key)}
        assert "cannot be read" in refusal(api.kubeconfig(user=user))


def test_what_was_read_does_not_show_its_secrets():
    with RecordedApi() as api:
        access = read(api.kubeconfig(user={"token": "topsecret"}))
        with_key = read(api.kubeconfig())
    assert repr(access) == f"Access(server='{access.server}', server_name='')"
    assert "PRIVATE" not in repr(with_key)


WORKER = """
import json, os, sys
written = []
def note(event, arguments):
    if event == "open" and isinstance(arguments[0], str) and (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR):
        written.append(arguments[0])
    if event in ("tempfile.mkstemp", "tempfile.mkdtemp"):
        written.append(event)
from kubernetes import client
from workspaces.providers.kubeconfig import connect
sys.addaudithook(note)
api_client = connect(sys.stdin.read())
version = client.VersionApi(api_client).get_code().git_version
os.write(1, json.dumps([version, written]).encode())
os._exit(1)
"""


def test_a_worker_that_ends_without_clean_up_leaves_no_key_behind(tmp_path):
    with RecordedApi(VERSION) as api:
        ended = subprocess.run(
            [sys.executable, "-c", WORKER],
            input=api.kubeconfig().encode(),
            capture_output=True,
            cwd=REPOSITORY,
            env=os.environ | {"TMPDIR": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
            timeout=60,
        )
    assert ended.returncode == 1, ended.stderr.decode()
    version, written = yaml.safe_load(ended.stdout)
    assert version.startswith("v1.")
    assert written == []
    assert list(tmp_path.iterdir()) == []
    assert api.requests[0].client == "kubernetes-admin"


def test_the_token_is_not_sent_to_where_a_redirect_points():
    with RecordedApi(NODES) as thief:
        elsewhere = Answer(302, "moved", {"Location": f"{thief.url}/api/v1/nodes"})
        with RecordedApi(elsewhere) as api, connect(api.kubeconfig(user={"token": "topsecret"})) as api_client:
            nodes = client.CoreV1Api(api_client)
            with pytest.raises(client.ApiException):
                nodes.list_node()
    assert thief.requests == []


def test_secrets_survive_line_breaks_in_their_base64():
    with RecordedApi() as api:
        certificate, key = api.authority.issue("kubernetes-admin")
        user = {
            "client-certificate-data": base64.encodebytes(certificate).decode(),
            "client-key-data": base64.encodebytes(key).decode(),
        }
        assert read(api.kubeconfig(user=user)).key == key
