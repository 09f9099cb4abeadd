"""Whom work needs outside: asked before a claim, so that an outage costs no claims.

    from common.idempotency import Outcome
    from common.messaging.messages import ensure_open
    from common.scheduling.kinds import ReminderKind

    CHECKUP = ReminderKind(
        name="checkup", act=lambda due, work: Outcome(result="sent"), needs=ensure_open
    )

While they are known to be unavailable the delivery is answered 409, and made again later.
"""

from collections.abc import Callable

Needs = Callable[[], None]
"""Raises InProgressError while somebody outside is known to be unavailable."""


def nobody() -> None:
    """The needs of work that calls nobody outside."""
