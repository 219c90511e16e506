"""Pages as people read them."""

import re
from typing import Any


def text(answer: Any) -> str:
    """What is read on the page, without markup and with single spaces."""
    body = answer.content.decode()
    body = body.partition("<main")[2].rpartition("</main>")[0] or body
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body)).replace(" .", ".").replace(" ,", ",")
