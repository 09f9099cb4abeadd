"""Who gets a message, as the bundle tells it: it alone knows where its people are kept."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """One person to whom a message may go."""

    user_id: str
    is_known: bool = True
    """Whether there is such a person; nothing but what is transactional goes to an unknown one."""
    address: str | None = None
    name: str | None = None
    zone: str | None = None
    """The name of a time zone, such as Europe/Berlin."""
    is_unsubscribed: bool = False
    """Gets only what is transactional."""
    is_erased: bool = False
    """Gets nothing at all."""


def nobody(address: str) -> bool:
    """Of a bundle that erases nobody."""
    return False


Recipients = Callable[[str], Recipient]
"""Finds the recipient with this user id. Raises TransientError when that is not possible now."""
