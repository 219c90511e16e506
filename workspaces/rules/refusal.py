"""A refusal is a value: what was asked is understood, and the answer is no, because of something a person can look up.

Rules return it, the API answers 409 with its code, the console shows its message. Malformed input is not a refusal (a
`maintenance.Problem`, 422), and failing half-way is not one either (`providers/errors`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Refused:
    """`code` is stable, `message` says why and what would clear it, `evidence` is what was looked at."""

    code: str
    message: str
    evidence: Mapping[str, object] = field(default_factory=dict, hash=False)
