"""Pages of a sorted list of names; a token is the last name of the page before."""

import base64
import binascii
from typing import Any

from local.kernel.refusals import invalid

MAX_PAGE = 1000


def page(found: list[str], request: Any) -> tuple[list[str], str]:
    """The page a list request asks for, and the token of the next; "" on the last."""
    size = min(request.page_size or MAX_PAGE, MAX_PAGE)
    if size < 0:
        raise invalid(f"Invalid page_size given: {request.page_size}.")
    rest = [name for name in found if name > _position(request.page_token)]
    token = base64.urlsafe_b64encode(rest[size - 1].encode()).decode() if len(rest) > size else ""
    return rest[:size], token


def _position(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise invalid(f"Invalid page token given (page_token={token}).") from error
