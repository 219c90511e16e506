"""How `kubeadm join` gets to know a cluster: over the wire, from its ConfigMap cluster-info, which the token signs and
whose CA the hashes pin. With kubeadm's own words when it refuses.

Source: kubernetes, cmd/kubeadm/app/discovery/token. The real one asks for five minutes; here two seconds have to do.
"""

import asyncio
import base64
import hashlib
import hmac
import re
import ssl
from time import monotonic
from typing import Any

import aiohttp
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization

TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
PHASE = "error: error execution phase preflight: "
UNVERIFIED = f"{PHASE}couldn't validate the identity of the API Server: "
PATIENCE_SECONDS, ASK_SECONDS, TIMEOUT_SECONDS = 2.0, 0.1, 10.0
INFO = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
CONFIGURATION = "/api/v1/namespaces/kube-system/configmaps/kubeadm-config"


class Refusal(Exception):
    """kubeadm ends with these words; `preflight` tells whether it had begun to look."""

    def __init__(self, words: str, *, preflight: bool = True) -> None:
        super().__init__(words)
        self.preflight = preflight


class Discovery:
    """The cluster at `endpoint`. After `run`: `ca` (PEM) and `version` of its control plane."""

    def __init__(self, endpoint: str, token: str, hashes: list[str]) -> None:
        self._endpoint, self._token, self._hashes = endpoint, token, hashes
        self.ca = self.version = ""

    async def run(self, node: str, bootstrap: str, unsafe: bool) -> None:
        """Raises Refusal when there is no such cluster, it is not the one that is meant, or it does not take `node`."""
        self._check(unsafe)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            info = await self._signed_info(session)
            self.ca = self._verified_ca(info["kubeconfig"])
            trusting = ssl.create_default_context(cadata=self.ca)
            config = await self._ask(session, CONFIGURATION, trusting, bootstrap)
            if "data" not in config:
                failed = "unable to fetch the kubeadm-config ConfigMap: failed to get config map"
                raise Refusal(f"{PHASE}{failed}: {config['message']}\n")
            cluster = yaml.safe_load(config["data"]["ClusterConfiguration"])
            self.version = str(cluster["kubernetesVersion"])
            known = await self._ask(session, f"/api/v1/nodes/{node}", trusting, bootstrap)
        if _is_ready(known):
            raise Refusal(
                f'error: error execution phase kubelet-start: a Node with name "{node}" and status "Ready" already '
                "exists in the cluster. You must delete the existing Node or change the name of this new joining Node\n"
            )

    def _check(self, unsafe: bool) -> None:
        """What kubeadm sees of the command line alone."""
        if not self._endpoint or not self._token:
            raise Refusal('discovery: Invalid value: "": bootstrapToken or file must be set\n', preflight=False)
        if not TOKEN.fullmatch(self._token):
            raise Refusal(
                'discovery.bootstrapToken.token: Invalid value: "": the bootstrap token "***" was not of the form '
                '"\\\\A([a-z0-9]{6})\\\\.([a-z0-9]{16})\\\\z"\n',
                preflight=False,
            )
        if not self._hashes and not unsafe:
            raise Refusal(
                'discovery.bootstrapToken.caCertHashes: Invalid value: "": using token-based discovery without '
                "caCertHashes can be unsafe. Set unsafeSkipCAVerification as true in your kubeadm config file or pass "
                "--discovery-token-unsafe-skip-ca-verification flag to continue\n",
                preflight=False,
            )

    async def _signed_info(self, session: aiohttp.ClientSession) -> dict[str, str]:
        """The data of cluster-info, once it carries this token's signature: that comes a moment after the token."""
        id, secret = self._token.split(".")
        end = monotonic() + PATIENCE_SECONDS
        while True:
            document = await self._ask(session, INFO, None, "")
            data: dict[str, str] = document.get("data", {})
            if signature := data.get(f"jws-kubeconfig-{id}"):
                break
            if monotonic() > end:
                unsigned = f'could not find a JWS signature in the cluster-info ConfigMap for token ID "{id}"'
                raise Refusal(f"{UNVERIFIED}{unsigned if data else document['message']}\n")
            await asyncio.sleep(ASK_SECONDS)
        if not _is_signed(data["kubeconfig"], signature, secret):
            failed = "failed to verify JWS signature of received cluster info object, can't trust this API Server"
            raise Refusal(f"{UNVERIFIED}{failed}\n")
        return data

    def _verified_ca(self, kubeconfig: str) -> str:
        cluster = yaml.safe_load(kubeconfig)["clusters"][0]["cluster"]
        pem = base64.b64decode(cluster["certificate-authority-data"])
        key = x509.load_pem_x509_certificate(pem).public_key()
        der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        pinned = f"sha256:{hashlib.sha256(der).hexdigest()}"
        if self._hashes and pinned not in [one.lower() for one in self._hashes]:
            raise Refusal(
                f"{UNVERIFIED}cluster CA found in cluster-info ConfigMap is invalid: none of the public keys "
                f'"{pinned}" are pinned\n'
            )
        return pem.decode()

    async def _ask(
        self, session: aiohttp.ClientSession, path: str, trusting: ssl.SSLContext | None, token: str
    ) -> dict[str, Any]:
        """An object of the API, or a Status, whose `message` says why not."""
        url = f"https://{self._endpoint}{path}?timeout=10s"
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            async with session.get(url, ssl=trusting or False, headers=headers) as response:
                answer = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            refused = isinstance(error, aiohttp.ClientConnectorError)
            why = f"dial tcp {self._endpoint}: connect: connection refused" if refused else "EOF"
            why = "net/http: request canceled (Client.Timeout exceeded)" if isinstance(error, TimeoutError) else why
            return {"message": f'Get "{url}": {why}'}
        return answer if isinstance(answer, dict) else {"message": "unknown"}


def _is_signed(text: str, signature: str, secret: str) -> bool:
    head, _, mac = signature.partition("..")
    payload = base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()
    ours = hmac.new(secret.encode(), f"{head}.{payload}".encode(), hashlib.sha256).digest()
    return hmac.compare_digest(base64.urlsafe_b64encode(ours).rstrip(b"=").decode(), mac)


def _is_ready(node: dict[str, Any]) -> bool:
    conditions = node.get("status", {}).get("conditions", ()) if node.get("kind") == "Node" else ()
    return any((one["type"], one["status"]) == ("Ready", "True") for one in conditions)
