"""Who gets a message, as the bundle tells it: it alone knows where its people are kept."""

from collections.abc import Callable

from msgspec import Struct


class Recipient(Struct, frozen=True, kw_only=True):
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


Recipients = Callable[[str, str | None], Recipient]
"""Finds the recipient with this user id, for a message to this address (None: to their own).

An address that an event brings along is no leave to write to somebody who is erased: the recipient
`is_erased` where that address is of somebody who is. Raises TransientError when that is not
possible now.
"""
