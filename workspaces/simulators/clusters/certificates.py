"""Certificate authorities of the simulated clusters: one per cluster, its key in the state directory and nowhere
else.

Python 3.13 checks extensions strictly: basicConstraints and keyUsage of the CA are critical, leaves carry an
AuthorityKeyIdentifier.
"""

import base64
import ipaddress
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from workspaces.simulators.clusters import yaml_text

CA_DAYS = 3650
LEAF_DAYS = 365


def _name(common_name: str, organizations: tuple[str, ...] = ()) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, o) for o in organizations]
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def write_private(path: Path, content: bytes) -> None:
    """Writes a file only its owner can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


class Authority:
    """A cluster's CA, read from `directory` or made there (files ca.pem and server.pem, 0600)."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        path = directory / "ca.pem"
        if path.exists():
            content = path.read_bytes()
            key = serialization.load_pem_private_key(content, None)
            assert isinstance(key, ec.EllipticCurvePrivateKey)
            self._key = key
            self.certificate = x509.load_pem_x509_certificate(content)
        else:
            self._make(name)

    def _make(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._self_signed(name)
        write_private(self._directory / "ca.pem", self.key_pem + self.pem)

    def renew(self, name: str) -> None:
        """Another key and another certificate: whatever the one before has signed is worth nothing from now on."""
        self.destroy()
        self._make(name)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return _key_pem(self._key)

    def issue(
        self, common_name: str, organizations: tuple[str, ...] = (), days: float = LEAF_DAYS
    ) -> tuple[bytes, bytes]:
        """A client certificate and its key, both PEM. It is expired already when `days` is negative."""
        key = ec.generate_private_key(ec.SECP256R1())
        return self._leaf(_name(common_name, organizations), key, server=False, days=days), _key_pem(key)

    def server_chain(self) -> Path:
        """A file with the server's certificate for 127.0.0.1 and localhost, and its key."""
        path = self._directory / "server.pem"
        if not path.exists():
            key = ec.generate_private_key(ec.SECP256R1())
            write_private(path, self._leaf(_name("kube-apiserver"), key, server=True) + _key_pem(key))
        return path

    def kubeconfig(self, server: str, user: str, credential: dict[str, str]) -> str:
        """YAML for `server`; `credential` is the `user` entry: token, or client-certificate-data and
        client-key-data."""
        cluster = {"server": server, "certificate-authority-data": base64.b64encode(self.pem).decode()}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": f"{user}@kubernetes",
            "clusters": [{"name": "kubernetes", "cluster": cluster}],
            "users": [{"name": user, "user": credential}],
            "contexts": [{"name": f"{user}@kubernetes", "context": {"cluster": "kubernetes", "user": user}}],
            "preferences": {},
        }
        return yaml_text.dump(document, sort_keys=False)

    def client_kubeconfig(self, server: str, user: str, organizations: tuple[str, ...], days: float = LEAF_DAYS) -> str:
        """A kubeconfig with a newly issued client certificate, good for so many days."""
        return self.certificate_kubeconfig(server, user, *self.issue(user, organizations, days))

    def certificate_kubeconfig(self, server: str, user: str, certificate: bytes, key: bytes) -> str:
        encoded = [base64.b64encode(part).decode() for part in (certificate, key)]
        return self.kubeconfig(server, user, {"client-certificate-data": encoded[0], "client-key-data": encoded[1]})

    def cluster_info(self, server: str) -> str:
        """What the ConfigMap cluster-info tells everybody: address and CA, and no credential."""
        cluster = {"certificate-authority-data": base64.b64encode(self.pem).decode(), "server": server}
        named = [{"cluster": cluster, "name": ""}]
        document = {"apiVersion": "v1", "clusters": named, "contexts": None, "current-context": "", "kind": "Config"}
        return yaml_text.dump(document | {"preferences": {}, "users": None})

    def destroy(self) -> None:
        """The key and the certificates are gone: nothing this CA signed is of use any more."""
        for name in ("ca.pem", "server.pem"):
            (self._directory / name).unlink(missing_ok=True)

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, days: float) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        end = now + timedelta(days=days)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(now, end) - timedelta(minutes=5))
            .not_valid_after(end)
        )

    def _self_signed(self, name: str) -> x509.Certificate:
        usage = x509.KeyUsage(True, False, True, False, False, True, False, False, False)
        subject = _name(name)
        return (
            self._builder(subject, self._key, CA_DAYS)
            .issuer_name(subject)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def _leaf(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, server: bool, days: float = LEAF_DAYS
    ) -> bytes:
        purpose = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        usage = x509.KeyUsage(True, False, True, False, False, False, False, False, False)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = (
            self._builder(subject, key, days)
            .issuer_name(self.certificate.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(identifier, critical=False)
        )
        if server:
            names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
