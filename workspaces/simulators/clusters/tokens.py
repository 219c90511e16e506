"""TokenRequest: bearer tokens for service accounts (`POST serviceaccounts/{name}/token`)."""

from datetime import UTC, datetime, timedelta

from workspaces.simulators.clusters.access import Access
from workspaces.simulators.clusters.api import Api
from workspaces.simulators.clusters.requests import Answer, Call, decode
from workspaces.simulators.clusters.store import timestamp


class TokenRequests:
    """Answers the token subresource; tokens end, and die with their service account."""

    def __init__(self, api: Api, access: Access) -> None:
        self._api, self._access = api, access
        api.hooks["serviceaccounts", "token"] = self.request

    def request(self, call: Call) -> Answer:
        account = self._api.existing(call)["metadata"]
        body = decode(call, "TokenRequest")
        seconds = body.get("spec", {}).get("expirationSeconds", 3600)
        metadata = {k: account[k] for k in ("name", "namespace", "uid")} | {"creationTimestamp": timestamp()}
        audiences = body.get("spec", {}).get("audiences") or ["https://kubernetes.default.svc"]
        spec = {"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": None}
        status = {
            "token": self._access.issue_bound_token(call.namespace, call.name, account["uid"], seconds),
            "expirationTimestamp": timestamp(datetime.now(UTC) + timedelta(seconds=seconds)),
        }
        head = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1"}
        return Answer(201, {**head, "metadata": metadata, "spec": spec, "status": status})
