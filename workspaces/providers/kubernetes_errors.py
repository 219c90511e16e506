"""Turns whatever the Kubernetes client raises into Temporary or Permanent, once for all that speak to an API server.

The client has no single exception: refusals are ApiException, connections fail with urllib3's errors, TLS fails with an
ApiException of status 0 or an OSError, and an answer it cannot read is a pydantic ValidationError. Sentences quote the
server's own `message` and nothing of the request.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import urllib3
from kubernetes.client import ApiException
from pydantic import ValidationError

from .errors import Permanent, ProviderError, Temporary

_LONGEST_QUOTE: Final = 500
_DENIED: Final = re.compile(r'admission webhook "(?P<webhook>[^"]+)" denied the request: ?(?P<reason>.*)', re.DOTALL)
_WEBHOOK_DOWN: Final = re.compile(r'failed calling webhook "(?P<webhook>[^"]+)"')
_KAMAJI_WEBHOOK: Final = "tenantcontrolplane.kb.io"
# Kamaji blocks the tenant's API with this webhook while it moves the datastore, and lifts it when it is done.
_MIGRATING_WEBHOOK: Final = "catchall.migrate.kamaji.clastix.io"
_TRUST_FAILED: Final = re.compile(r"CERTIFICATE|UNKNOWN_CA")
_TRUST_DETAIL: Final = re.compile(r"certificate verify failed: (?P<why>[^(]+)")


@contextmanager
def speaking_to(peer: str) -> Iterator[None]:
    """Raise only Temporary and Permanent from the block; `peer` begins their sentences ("tenant ledger-prod")."""
    try:
        yield
    except ApiException as error:
        raise _refusal(peer, error) from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise _no_connection(peer, error) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        # The cause is cut off on purpose: a ValidationError quotes the values it could not read, a Secret's included.
        raise _unreadable(peer, error) from None


def status_of(error: ApiException) -> Mapping[str, Any]:
    """The `Status` object an API sent with its refusal; empty when it sent something else (a proxy's page, say)."""
    try:
        status = json.loads(error.body or "")
    except ValueError:
        return {}
    return status if isinstance(status, dict) else {}


def retry_after(error: ApiException) -> float | None:
    """The pause in seconds the server asked for: its header, or `details.retryAfterSeconds`."""
    header = (error.headers or {}).get("Retry-After", "")
    if header.isdigit():
        return float(header)
    seconds = (status_of(error).get("details") or {}).get("retryAfterSeconds")
    return float(seconds) if seconds else None


def _refusal(peer: str, error: ApiException) -> ProviderError:
    status, said = error.status or 0, _quote(error)
    if status == 0:
        return _no_connection(peer, error) if "SSL" in said else _unreadable(peer, error)
    if status == 401:
        return Permanent("credential", f"{peer}: the stored credential is not accepted ({said}).")
    if status == 403:
        return _forbidden(peer, said)
    if status == 404:
        return Permanent("not_found", f"{peer}: {said}")
    if status == 409:
        exists = status_of(error).get("reason") == "AlreadyExists"
        return (Permanent if exists else Temporary)("conflict", f"{peer}: {said}")
    if status == 410:
        return Temporary("conflict", f"{peer}: the list changed too much while it was read ({said})")
    if status == 422:
        return Permanent("configuration", f"{peer}: the change is not valid: {said}")
    if status == 429:
        return Temporary("rate_limit", f"{peer}: too many requests ({said})", delay=retry_after(error))
    if status >= 500:
        return _server_fault(peer, said, retry_after(error))
    return Permanent(
        "cloud_api",
        f"{peer}: the request was not understood (HTTP {status}: {said}).",
        who_can_fix="The operator of the platform, by checking that the stored address is a Kubernetes API.",
    )


def _forbidden(peer: str, said: str) -> ProviderError:
    """403 has two meanings: an admission webhook refused the change, or the credential lacks a right."""
    denial = _DENIED.search(said)
    if not denial:
        return Permanent("credential", f"{peer}: the stored credential lacks a right: {said}")
    if denial["webhook"] == _MIGRATING_WEBHOOK:
        return Temporary("conflict", f"{peer}: Kamaji is moving the datastore: {denial['reason']}")
    refuser = "Kamaji" if "kamaji" in denial["webhook"] or _KAMAJI_WEBHOOK in denial["webhook"] else denial["webhook"]
    return Permanent("configuration", f"{peer}: {refuser} refused the change: {denial['reason']}")


def _server_fault(peer: str, said: str, delay: float | None) -> Temporary:
    webhook = _WEBHOOK_DOWN.search(said)
    if webhook and _KAMAJI_WEBHOOK in webhook["webhook"]:
        said = f"Kamaji does not answer, so no control plane can be changed ({said})"
    return Temporary("cloud_api", f"{peer}: {said}", delay=delay)


def _no_connection(peer: str, error: Exception) -> ProviderError:
    said = str(error)
    if _TRUST_FAILED.search(said):
        detail = _TRUST_DETAIL.search(said)
        why = detail["why"].strip() if detail else "the server refuses the client certificate"
        return Permanent("credential", f"{peer}: the certificates do not match the stored kubeconfig: {why}.")
    return Temporary("unreachable", f"{peer}: {_connection_fault(error, said)}.")


def _connection_fault(error: Exception, said: str) -> str:
    faults = urllib3.exceptions
    if isinstance(error, faults.NameResolutionError):
        return "its name cannot be resolved"
    if isinstance(error, faults.NewConnectionError):
        return "the connection was refused" if "refused" in said else "no connection could be made"
    if isinstance(error, faults.TimeoutError | TimeoutError):
        return "it did not answer in time"
    if isinstance(error, faults.ProxyError):
        return "the proxy did not connect to it"
    if "SSL" in said:
        return "no encrypted connection could be made"
    return "the connection was closed before an answer came"


def _unreadable(peer: str, error: Exception) -> Permanent:
    """Permanent: the answer came complete and was not Kubernetes' form; asking again brings the same answer."""
    what = "something other than a Kubernetes object"
    if isinstance(error, ValidationError):
        fields = {".".join(str(part) for part in fault["loc"]) for fault in error.errors(include_input=False)} - {""}
        what = f"an object without a valid {', '.join(sorted(fields)[:5])}" if fields else what
    return Permanent(
        "cloud_api",
        f"{peer}: answered {what}.",
        who_can_fix="The operator of the platform, by checking that the stored address is a Kubernetes API.",
    )


def _quote(error: ApiException) -> str:
    """The server's message in one line; the HTTP reason when the body is no Status."""
    message = status_of(error).get("message") or error.reason or "no reason given"
    if error.status == 404 and not status_of(error):
        message = "it does not serve this kind of object"
    said = " ".join(str(message).split())
    return said if len(said) <= _LONGEST_QUOTE else said[:_LONGEST_QUOTE] + "…"
