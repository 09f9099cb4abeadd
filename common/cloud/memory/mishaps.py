"""What may go wrong with the next calls of a stand-in, one mishap each."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, get_args

from common.errors import PermanentError, RefusedError, TransientError

Mishap = Literal["none", "error", "lost", "echo", "conflict", "permanent"]
"""What befalls one call that writes:

    none       nothing
    error      TransientError, not applied
    lost       TransientError, applied: the reply is lost
    echo       RefusedError, applied: the reply is lost, and the client's second try is refused
    conflict   RefusedError, not applied: a precondition does not hold
    permanent  PermanentError, not applied
"""
TaskMishap = Literal["none", "error", "lost", "echo", "permanent"]
"""The same for the creation of a task, which has no precondition: `echo` is answered `existed`."""


@contextmanager
def befalling(mishaps: list[Any], known: Sequence[str] = get_args(Mishap)) -> Iterator[None]:
    """Take the next mishap from the list, and let it befall the write inside the `with` block.

    Raises what the table above says: before the block, or after it. `known` are the mishaps that
    may be in the list; any other is a ValueError.
    """
    mishap = mishaps.pop(0) if mishaps else "none"
    if mishap not in known:
        raise ValueError(f"{mishap!r} is none of the mishaps {', '.join(known)}")
    match mishap:
        case "error":
            raise TransientError("a write failed")
        case "conflict":
            raise RefusedError
        case "permanent":
            raise PermanentError("this can never be stored")
    yield
    match mishap:
        case "lost":
            raise TransientError("the reply of a write was lost")
        case "echo":
            raise RefusedError
