"""What can go wrong when Hetzner Cloud is asked, as errors of `errors`: once for every call of `hetzner`.

Source: docs.hetzner.cloud, errors; hcloud-python 2.27.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import hcloud
import requests
from requests.adapters import HTTPAdapter

from .errors import Permanent, ProviderError, Temporary

# The bucket is refilled by a request a second (docs.hetzner.cloud, rate limiting), and RateLimit-Reset tells when it
# is full: up to an hour away. After a minute there is room enough for our few calls.
LONGEST_DELAY = 60.0
# What no repetition changes, and that a person has to tell apart. A placement error means that no machine is free on
# which the server would stand alone: as good as sold out.
PERMANENT: Final = {
    "resource_limit_exceeded": "quota",
    "resource_unavailable": "no_capacity",
    "placement_error": "no_capacity",
    "uniqueness_error": "name_taken",
}
_UNPROTECT: Final = "The owner of the cloud account, by lifting the protection there. Then continue."


class Once(HTTPAdapter):
    """Sends a request once, and turns whatever is not a success into an error of ours."""

    def send(self, *arguments: Any, **options: Any) -> requests.Response:
        try:
            response = super().send(*arguments, **options)
            if not response.ok:
                raise _refusal(response)
        except requests.RequestException as error:
            raise _unreachable(error) from error
        return response


def _refusal(response: requests.Response) -> ProviderError:
    """The error for an answer that is not a success: by the code of its envelope, else by its status."""
    status, envelope = response.status_code, _envelope(response)
    code, message = str(envelope.get("code", "")), str(envelope.get("message") or response.reason or status)
    said = f"Hetzner Cloud: {message}{_fields(envelope)} ({code or status})"
    if status == 429:
        return Temporary("rate_limit", said, delay=_until_reset(response.headers))
    if code in PERMANENT:
        return Permanent(PERMANENT[code], said)
    if code == "maintenance" or status >= 500:
        return Temporary("cloud_api", said)
    if status in (401, 403):
        return Permanent("credential", said)
    if status == 404:
        return Permanent("not_found", said)
    if code == "protected":
        return Permanent("conflict", said, who_can_fix=_UNPROTECT)
    if status in (409, 423):
        return Temporary("conflict", said)
    if status == 412:
        return Temporary("cloud_api", said)
    return Permanent("configuration", said)


def _envelope(response: requests.Response) -> dict[str, Any]:
    try:
        error = response.json()["error"]
    except (ValueError, KeyError, TypeError):
        return {}
    return error if isinstance(error, dict) else {}


def _fields(envelope: Mapping[str, Any]) -> str:
    """What an invalid_input says of each field: the message alone names them at best."""
    try:
        fields = envelope["details"]["fields"]
        told = [f"{field['name']}: {', '.join(field['messages'])}" for field in fields]
    except (KeyError, TypeError):
        return ""
    return f" [{'; '.join(told)}]" if told else ""


def _until_reset(headers: Mapping[str, str]) -> float | None:
    try:
        seconds = float(headers["RateLimit-Reset"]) - time.time()
    except (KeyError, ValueError):
        return None
    return min(max(seconds, 1.0), LONGEST_DELAY)


def _unreachable(error: requests.RequestException) -> Temporary:
    # The text of requests' errors repeats the address only; the token travels in a header and is not in it.
    if isinstance(error, requests.Timeout):
        return Temporary("unreachable", "Hetzner Cloud did not answer in time.")
    return Temporary("unreachable", f"Hetzner Cloud could not be reached: {type(error).__name__}.")


@contextmanager
def translated() -> Iterator[None]:
    """What the adapter could not see: a connection that broke in the middle of an answer, an answer not understood."""
    try:
        yield
    except ProviderError:
        raise
    except requests.RequestException as error:
        raise _unreachable(error) from error
    except (hcloud.HCloudException, LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise Temporary("cloud_api", f"Hetzner Cloud's answer was not understood: {type(error).__name__}.") from error
