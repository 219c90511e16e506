"""The two ways a call to the world can fail. Every provider raises these and nothing else.

`code` is one of CODES; the operation page, the reconciliation page and the API show it as it is, next to the message
and to the person who can fix it. Messages never contain a credential: they quote the vendor's own text only.
"""

from typing import Final

CODES: Final = {
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
}


class ProviderError(Exception):
    """A call to the world failed: `code` (see CODES), a sentence, and who can fix it."""

    def __init__(self, code: str, message: str, *, who_can_fix: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.who_can_fix = who_can_fix or CODES[code]


class Temporary(ProviderError):
    """May succeed when repeated; `delay` is the pause in seconds the vendor asked for, if it did."""

    def __init__(self, code: str, message: str, *, delay: float | None = None, who_can_fix: str = "") -> None:
        super().__init__(code, message, who_can_fix=who_can_fix)
        self.delay = delay


class Permanent(ProviderError):
    """Repeating does not help: a person has to act."""
