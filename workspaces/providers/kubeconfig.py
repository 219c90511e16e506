"""Opens a connection to a Kubernetes API from the text of a kubeconfig, without the client's own loader.

That loader runs the programs a kubeconfig names (`exec`) and leaves private keys in /tmp when a worker ends without
clean-up. Here a kubeconfig is data: an https address, the authority that signed its certificate, and a token or a
client certificate. Anything else that would change whom we speak to, or as whom, is refused by name.

Private keys: OpenSSL reads a client certificate from files only. It gets a piece of anonymous memory (`memfd`, Linux)
that has no name in any directory and ends with the process, so nothing stays behind, whatever kills the worker.
"""

import base64
import binascii
import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

import yaml
from cryptography import x509
from kubernetes import client

from .errors import Permanent

_CONNECT_TIMEOUT: Final = 3.0
_LONGEST: Final = 1_000_000  # a Secret's limit
_CLUSTER_KEYS: Final = {
    "server", "certificate-authority-data", "tls-server-name", "disable-compression", "extensions",
}  # fmt: skip
_USER_KEYS: Final = {"token", "client-certificate-data", "client-key-data", "extensions"}
_REFUSED: Final = {
    "exec": "it names a program to run for signing in (exec); store a token or a client certificate instead",
    "auth-provider": "it signs in through a plug-in (auth-provider); store a token or a client certificate instead",
    "insecure-skip-tls-verify": "it turns the check of the server's certificate off (insecure-skip-tls-verify)",
    "proxy-url": "it sends the connection through a proxy of its own (proxy-url)",
    "certificate-authority": "it names a file (certificate-authority); store it as certificate-authority-data",
    "client-certificate": "it names a file (client-certificate); store it as client-certificate-data",
    "client-key": "it names a file (client-key); store it as client-key-data",
    "tokenFile": "it names a file (tokenFile); store the token itself",
}


@dataclass(frozen=True)
class Access:
    """What a kubeconfig's current context says: where the API is, how to know it, and how it knows us. PEM as bytes."""

    server: str
    authority: bytes = field(repr=False)
    server_name: str = ""
    token: str = field(default="", repr=False)
    certificate: bytes = field(default=b"", repr=False)
    key: bytes = field(default=b"", repr=False)


def connect(kubeconfig: str, *, timeout: float = 10) -> "BoundedClient":
    """A client to use in a `with` block. Opens no connection yet.

    Every call through it ends within `timeout` seconds of silence and is sent once: the client's own retries would
    multiply the time-out by four. Raises Permanent("configuration") when the kubeconfig is not acceptable.
    """
    access = read(kubeconfig)
    configuration = client.Configuration(host=access.server, retries=False)
    configuration.tls_server_name = access.server_name or None
    if access.token:
        configuration.api_key = {"BearerToken": access.token}
        configuration.api_key_prefix = {"BearerToken": "Bearer"}
    api_client = BoundedClient(configuration, timeout, access.certificate)
    # The client takes certificates as file names only; urllib3 below it takes a ready context for its connections.
    api_client.rest_client.pool_manager.connection_pool_kw["ssl_context"] = _trust(access)
    return api_client


def read(kubeconfig: str) -> Access:
    """Parse and check a kubeconfig's current context; raises Permanent("configuration") with the reason."""
    if len(kubeconfig) > _LONGEST:
        raise _refused("it is longer than one megabyte")
    try:
        document = yaml.safe_load(kubeconfig)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # The parser's own message quotes the line, which may hold a key.
        mark = getattr(error, "problem_mark", None)
        raise _refused(f"it is not YAML (line {mark.line + 1})" if mark else "it is not YAML") from None
    if not isinstance(document, dict):
        raise _refused("it is not a kubeconfig")
    context = _named(document, "contexts", "context", document.get("current-context"))
    cluster = _named(document, "clusters", "cluster", context.get("cluster"))
    user = _named(document, "users", "user", context.get("user"))
    _refuse_others(cluster, _CLUSTER_KEYS)
    _refuse_others(user, _USER_KEYS)
    access = Access(
        server=_address(cluster.get("server")),
        authority=_decoded(cluster, "certificate-authority-data"),
        server_name=str(cluster.get("tls-server-name") or ""),
        token=_token(user.get("token")),
        certificate=_decoded(user, "client-certificate-data"),
        key=_decoded(user, "client-key-data"),
    )
    if not access.authority:
        raise _refused("it has no certificate-authority-data, so the server could not be recognised")
    if bool(access.certificate) != bool(access.key):
        raise _refused("client-certificate-data and client-key-data belong together and one is missing")
    if not access.token and not access.certificate:
        raise _refused("it has neither a token nor a client certificate")
    return access


def certificate_end(access: Access) -> datetime | None:
    """When the client certificate ends, in UTC; None for a token. Raises Permanent("configuration") when it is none."""
    return _end_of(access.certificate)


def _end_of(certificate: bytes) -> datetime | None:
    if not certificate:
        return None
    try:
        return x509.load_pem_x509_certificate(certificate).not_valid_after_utc
    except ValueError:
        raise _refused("its client certificate cannot be read") from None


class BoundedClient(client.ApiClient):  # type: ignore[misc]  # the client is untyped
    """An ApiClient on which no call can be made without a time-out. It keeps the client certificate, not its key."""

    def __init__(self, configuration: client.Configuration, timeout: float, certificate: bytes = b"") -> None:
        super().__init__(configuration)
        self._bounds = (min(_CONNECT_TIMEOUT, timeout), timeout)
        self._certificate = certificate

    @property
    def certificate_ends_at(self) -> datetime | None:
        """The same as `certificate_end` of the kubeconfig it was made of."""
        return _end_of(self._certificate)

    def call_api(self, *request: Any, _request_timeout: Any = None) -> Any:
        return super().call_api(*request, _request_timeout=_request_timeout or self._bounds)


def _named(document: Mapping[str, Any], collection: str, kind: str, name: object) -> Mapping[str, Any]:
    """The body of the entry called `name` in one of a kubeconfig's three lists of `{name, <kind>: {...}}`."""
    entries = document.get(collection)
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and name and entry.get("name") == name and isinstance(entry.get(kind), dict):
            body: Mapping[str, Any] = entry[kind]
            return body
    raise _refused(f"its current context leads to no {kind}")


def _refuse_others(body: Mapping[str, Any], accepted: set[str]) -> None:
    for key, value in body.items():
        if value and key not in accepted:
            raise _refused(_REFUSED.get(key, f"its setting {str(key)[:40]} is not supported"))


def _address(server: object) -> str:
    address = server.rstrip("/") if isinstance(server, str) else ""
    try:
        url = urlsplit(address)
        acceptable = url.scheme == "https" and url.hostname and (url.port is None or url.port > 0)
    except ValueError:
        acceptable = False
    if not acceptable or url.username or url.password or url.query or url.fragment or not address.isprintable():
        raise _refused("its server is not a plain https:// address")
    return address


def _token(token: object) -> str:
    if token is None:
        return ""
    # A token with a line break would be quoted in the error of the HTTP library.
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or " " in token:
        raise _refused("its token holds characters a token cannot have")
    return token


def _decoded(body: Mapping[str, Any], key: str) -> bytes:
    try:
        return base64.b64decode("".join(str(body.get(key) or "").split()), validate=True)
    except (binascii.Error, ValueError):
        raise _refused(f"its {key} is not base64") from None


def _trust(access: Access) -> ssl.SSLContext:
    """A TLS context that accepts servers of the kubeconfig's authority only and presents its client certificate."""
    try:
        context = ssl.create_default_context(cadata=access.authority.decode("ascii"))
    except (ssl.SSLError, ValueError):
        raise _refused("its certificate-authority-data holds no certificate") from None
    if access.certificate:
        try:
            with _unnamed_file(access.certificate) as certificate, _unnamed_file(access.key) as key:
                # Without a password OpenSSL would ask for an encrypted key's on the terminal, and wait.
                context.load_cert_chain(certificate, key, password="")
        except ssl.SSLError:
            raise _refused("its client certificate and key cannot be read or do not belong together") from None
    return context


@contextmanager
def _unnamed_file(content: bytes) -> Iterator[str]:
    """A path OpenSSL can open while the block runs; the content lives in memory and in no directory."""
    with os.fdopen(os.memfd_create("kubeconfig"), "wb") as file:
        file.write(content)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"


def _refused(why: str) -> Permanent:
    return Permanent("configuration", f"The kubeconfig cannot be used: {why}.")
