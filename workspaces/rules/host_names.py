"""Names of hosts: which are possible, and which to propose for the next one. Who has one is asked elsewhere."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

# A label of RFC 1123 in lower case: it becomes the server's name, its host name and that of its node.
LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_LABEL: Final = re.compile(LABEL)
_NUMBERED: Final = re.compile(r"(.*?)([0-9]{1,9})")
WHAT_IS_POSSIBLE: Final = (
    "A host name is 1 to 63 lower-case letters, digits and hyphens, and neither begins nor ends with a hyphen."
)


def is_possible(name: str) -> bool:
    """Whether a host can be called so."""
    return _LABEL.fullmatch(name) is not None


def propose(workspace: str, taken: Sequence[str], *, kubernetes: bool) -> str:
    """The next name in the row of those that are `taken`: after ledger-prod-w3 comes ledger-prod-w4.

    Numbers are not used again where one in between is free: the name of a host that was removed is on old records.
    Empty when the row cannot go on within 63 characters.
    """
    numbered = [match for name in taken if (match := _NUMBERED.fullmatch(name))]
    rows = Counter(match[1] for match in numbered)
    own = f"{workspace}-w" if kubernetes else f"{workspace}-"
    prefix = max(rows, key=lambda row: (rows[row], row == own)) if rows else own
    number = max((int(match[2]) for match in numbered if match[1] == prefix), default=0)
    name = f"{prefix}{number + 1}"
    return name if is_possible(name) else ""
