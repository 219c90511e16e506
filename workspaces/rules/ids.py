"""Ids as people, labels and addresses write them."""

from uuid import UUID


def as_id(text: str) -> UUID | None:
    """The id that the text is; None for any other text, which is the id of nothing."""
    try:
        return UUID(text)
    except ValueError:
        return None
