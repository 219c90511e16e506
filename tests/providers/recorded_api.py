"""An HTTPS API server that gives scripted answers in order, most of them recorded from a real one (tests/contracts).

For what a whole simulated cluster would only get in the way of: one refusal, one malformed answer, one silence. It has
an authority of its own, so the client's certificate checks are real.
"""

import base64
import json
import ssl
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

CONTRACTS = Path(__file__).parents[1] / "contracts"


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]  # names in lower case
    body: Any
    client: str  # the common name of the client's certificate, "" without one
    connection: int  # the client's port: the same number is the same connection


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: Any = None  # a dict is sent as JSON, a text as it is
    headers: dict[str, str] = field(default_factory=dict)
    silent_for: float = 0  # seconds before the answer
    cut: bool = False  # the connection ends before the answer does


def example(name: str) -> dict[str, Any]:
    """An example document of tests/contracts."""
    return json.loads((CONTRACTS / "examples" / f"{name}.json").read_text())


def recorded(file: str, exchange: str) -> Answer:
    """The recorded answer of a real API server to one exchange; its placeholders for times are filled in."""
    text = (CONTRACTS / "kubernetes" / f"{file}.json").read_text()
    text = text.replace("<time>", "2026-11-22T10:00:00Z").replace("<microtime>", "2026-11-22T10:00:07.250000Z")
    document = json.loads(text)
    response = next(entry for entry in document["exchanges"] if entry.get("name") == exchange)["response"]
    return Answer(response["status"], response.get("body", response.get("text")), response.get("headers", {}))


class Authority:
    """A certificate authority with the extensions Python 3.13's strict checks ask for."""

    def __init__(self, name: str = "kubernetes") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        self._certificate = self._sign(
            self._name, self._key, (x509.BasicConstraints(ca=True, path_length=None), True), (usage, True)
        )
        self.pem = self._certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, name: str) -> tuple[bytes, bytes]:
        """A certificate for `name`, good for the address 127.0.0.1, and its key; both PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        addresses = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        certificate = self._sign(subject, key, (issuer, False), (addresses, False))
        return certificate.public_bytes(serialization.Encoding.PEM), key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def _sign(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *extensions: Any) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder(issuer_name=self._name, subject_name=subject, public_key=key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self._key, hashes.SHA256())


class RecordedApi:
    """Serves `answers` one after the other, or `always(request)` for each; `requests` is what was asked."""

    def __init__(self, *answers: Answer, always: Callable[[Request], Answer] | None = None) -> None:
        self.requests: list[Request] = []
        self.authority = Authority()
        self._answers = list(answers)
        self._always = always
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.api = self
        self._server.tls = self._tls()
        self.url = f"https://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()

    def kubeconfig(
        self, *, cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None, **changes: Any
    ) -> str:
        """A kubeconfig with a client certificate; `cluster` and `user` replace its two parts, None values go."""
        certificate, key = self.authority.issue("kubernetes-admin")
        trust = {"server": self.url, "certificate-authority-data": encoded(self.authority.pem)} | (cluster or {})
        who = {"client-certificate-data": encoded(certificate), "client-key-data": encoded(key)}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "admin@tenant",
            "contexts": [{"name": "admin@tenant", "context": {"cluster": "tenant", "user": "admin"}}],
            "clusters": [{"name": "tenant", "cluster": {k: v for k, v in trust.items() if v is not None}}],
            "users": [{"name": "admin", "user": who if user is None else user}],
        }
        return yaml.safe_dump(document | changes)

    def answer(self, request: Request) -> Answer:
        self.requests.append(request)
        if self._always:
            return self._always(request)
        return self._answers.pop(0) if self._answers else Answer(500, "no answer was prepared for this request")

    def silence(self, seconds: float) -> None:
        self._ended.wait(seconds)

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=self.authority.pem.decode())
        context.verify_mode = ssl.CERT_OPTIONAL  # like an API server: who has no certificate may have a token
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"".join(self.authority.issue("kube-apiserver")))
            file.flush()
            context.load_cert_chain(file.name)
        return context


def encoded(content: bytes | str) -> str:
    return base64.b64encode(content.encode() if isinstance(content, str) else content).decode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    api: RecordedApi
    tls: ssl.SSLContext

    def finish_request(self, request: Any, client_address: Any) -> None:
        # In the connection's own thread, so that a handshake nobody finishes holds nobody else up.
        try:
            connection = self.tls.wrap_socket(request, server_side=True)
        except OSError:
            return
        with connection:
            super().finish_request(connection, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: Any) -> None:
        """Silent: the tests read `requests`."""

    def _serve(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        subject = (self.connection.getpeercert() or {}).get("subject", ())
        name = next((value for part in subject for key, value in part if key == "commonName"), "")
        body = json.loads(content) if content else None
        headers = {key.lower(): value for key, value in self.headers.items()}
        answer = self.server.api.answer(Request(self.command, self.path, headers, body, name, self.client_address[1]))
        if answer.silent_for:
            self.server.api.silence(answer.silent_for)
        structured = not isinstance(answer.body, str)
        sent = (json.dumps(answer.body) if structured else answer.body).encode()
        headers = {"Content-Type": "application/json" if structured else "text/plain"} | answer.headers
        self.send_response(answer.status)
        self.close_connection = answer.cut
        for key, value in (headers | {"Content-Length": str(len(sent) + answer.cut)}).items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(sent)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _serve
