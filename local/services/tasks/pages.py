"""Page tokens: where the last page ended, and when it was read."""

import base64
import binascii

from local.kernel import moments
from local.kernel.refusals import invalid

LIFETIME = 2 * moments.HOUR


def token(after: str, now: int) -> str:
    """A token for the page after the given key. `now` in microseconds."""
    return base64.urlsafe_b64encode(f"{now}|{after}".encode()).decode()


def after(given: str, now: int) -> str:
    """The key a token stands for; empty for the first page."""
    if not given:
        return ""
    try:
        text = base64.b64decode(given, altchars=b"-_", validate=True).decode()
        issued, _, key = text.partition("|")
        fresh = now - LIFETIME <= int(issued)
    except (binascii.Error, ValueError):
        raise invalid("The page token is invalid.") from None
    if not fresh:
        raise invalid("The page token has expired.")
    return key


def size(given: int, most: int) -> int:
    """How many to return."""
    if given < 0:
        raise invalid("The page size cannot be negative.")
    return min(given or most, most)
