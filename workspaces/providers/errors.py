"""The two ways a call to the world can fail. Every provider raises these and nothing else.

`code` is a class of `rules/trouble`; the operation page, the reconciliation page and the API show it as it is, next to
the message and to the person who can fix it. Messages never contain a credential: they quote the vendor's own text.
"""

from workspaces.rules.trouble import WHO_CAN_FIX


class ProviderError(Exception):
    """A call to the world failed: `code` (see rules/trouble), a sentence, and who can fix it."""

    def __init__(self, code: str, message: str, *, who_can_fix: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.who_can_fix = who_can_fix or WHO_CAN_FIX[code]


class Temporary(ProviderError):
    """May succeed when repeated; `delay` is the pause in seconds the vendor asked for, if it did."""

    def __init__(self, code: str, message: str, *, delay: float | None = None, who_can_fix: str = "") -> None:
        super().__init__(code, message, who_can_fix=who_can_fix)
        self.delay = delay


class Permanent(ProviderError):
    """Repeating does not help: a person has to act."""
