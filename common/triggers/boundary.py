"""The boundary that all triggers share: from an exception to how a delivery ended.

raised                │ status                   │ code │ so the delivery
──────────────────────┼──────────────────────────┼──────┼─────────────────────────────────
(nothing)             │ the result, duplicate,   │ 200  │ is acknowledged
                      │ or waiting               │      │
NothingToDoError      │ as the error says        │ 200  │ is acknowledged
PermanentError        │ dead_lettered            │ 200  │ is acknowledged once that is recorded
InProgressError       │ in_progress              │ 409  │ is made again, after `retry_after`
NotYetError,          │ error                    │ 500  │ is made again: this could not even be
UnavailableError      │                          │      │ handed over
UnauthorizedError     │ unauthorized             │ 401  │ is refused
ForbiddenError        │ forbidden                │ 403  │ is refused
any other             │ error                    │ 500  │ is made again

409 and not 429 or 503: those would slow the whole queue down.
"""

from collections.abc import Callable

from msgspec import Struct

from common.errors import (
    CallerRefusedError,
    InProgressError,
    NothingToDoError,
    NotYetError,
    PermanentError,
    UnavailableError,
)
from common.idempotency import Answer, dead_letters, waits
from common.idempotency.origin import Received
from common.process import logs


class Ending(Struct, frozen=True, kw_only=True):
    """How a delivery ended; each trigger says it in its own protocol."""

    status: str
    """One of the statuses of the HTTP answers: `sent`, `duplicate`, `dead_lettered`, …"""
    code: int = 200
    """The HTTP status; only 200 acknowledges."""
    error: str | None = None
    retry_after: float | None = None
    """Seconds after which another delivery makes sense."""


def attend(function: str, received: Callable[[], Received], do: Callable[[], Answer]) -> Ending:
    """Do the work of one delivery and say how it ended; raises nothing.

    `received` gives the input, for the dead letter of work that is refused before it
    has a record of its own; nothing is read for a caller who is refused. `function` is the dead
    letter's source.
    """
    try:
        return _done(do())
    except CallerRefusedError as error:
        logs.warning("refused", str(error))
        return Ending(status=error.status, code=error.code, error=str(error))
    except InProgressError as error:
        logs.info("in_progress", str(error))
        return Ending(
            status="in_progress", code=409, error=str(error), retry_after=error.retry_after
        )
    except NothingToDoError as error:
        logs.info("ignored" if error.status == "ignored" else "skipped", str(error))
        return Ending(status=error.status)
    except PermanentError as error:
        return _dead_letter(function, received, error)
    except (NotYetError, UnavailableError) as error:
        reason = waits.reason_of(error)
        logs.warning("waiting", str(error), reason=reason, error_type=type(error).__name__)
        return Ending(status="error", code=500, error=str(error))
    except Exception as error:
        return _failed(error)


def _done(answer: Answer) -> Ending:
    if answer.status != "done":
        return Ending(status=answer.status)
    logs.info("done", str(answer.result), result=answer.result)
    return Ending(status=str(answer.result))


def _dead_letter(function: str, received: Callable[[], Received], error: PermanentError) -> Ending:
    try:
        dead_letters.record_refused(source=function, error=error, received=received())
    except Exception as failure:
        # What is not recorded must not be acknowledged.
        return _failed(failure)
    return Ending(status="dead_lettered", error=str(error))


def _failed(error: Exception) -> Ending:
    logs.error("failed", str(error), exc=error)
    return Ending(status="error", code=500, error=type(error).__name__)
