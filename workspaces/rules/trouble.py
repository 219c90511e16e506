"""The classes of what goes wrong with the world, and who can do something about each.

`providers/errors` raises them, rows keep them, pages and the API show them as they are, beside the sentence.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

WHO_CAN_FIX: Final[Mapping[str, str]] = {
    "credential": "The operator of the platform, by storing a valid credential.",
    "quota": "The owner of the cloud account, by raising the limit.",
    "no_capacity": "Nobody here: the vendor has none left. Choose another location or profile.",
    "name_taken": "An administrator, by choosing another name or by removing the server that has it.",
    "price_changed": "An administrator, by looking at the new price and ordering again.",
    "rate_limit": "Nobody has to: the call is repeated when the limit allows it.",
    "cloud_api": "The vendor. The call is repeated.",
    "not_found": "An administrator, by checking that the object still exists.",
    "conflict": "Nobody has to: the call is repeated when the other change is done.",
    "unreachable": "The operator of the platform, by restoring the connection. The call is repeated.",
    "package_lock": "Nobody, if it ends; else whoever runs the host, by ending the program that holds the lock.",
    "configuration": "The operator of the platform, by correcting the setting named here.",
    # The platform's own: a look that nobody made, or that did not come to an end.
    "overdue": "The operator of the platform: the queue page shows which workers live and what waits.",
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """A look that failed: its class (a key of WHO_CAN_FIX), the sentence, and who can fix it."""

    code: str
    message: str
    who_can_fix: str = ""


def who_can_fix(code: str) -> str:
    """Who can do something about trouble of this class; "" for a class that this release does not know."""
    return WHO_CAN_FIX.get(code, "")
