"""When a failed task is tried again, and when no more.

The platform's worked example, with min_backoff 10 s, max_backoff 300 s, max_doublings 3:

    doubling          linear, by 2^3 * 10 s    capped
    10 20 40 80       160 240                  300 300 ...
"""

from dataclasses import dataclass
from typing import Any

from local.kernel import moments

MAX_ATTEMPTS = 100
MIN_BACKOFF = moments.SECOND // 10
MAX_BACKOFF = moments.HOUR
MAX_DOUBLINGS = 16


@dataclass(frozen=True, kw_only=True)
class Retry:
    """A retry configuration. Durations in microseconds."""

    max_attempts: int = MAX_ATTEMPTS
    """The first attempt included; -1: unlimited."""
    max_duration: int = 0
    """0: unlimited."""
    min_backoff: int = MIN_BACKOFF
    max_backoff: int = MAX_BACKOFF
    max_doublings: int = MAX_DOUBLINGS

    def delay(self, retry: int) -> int:
        """Microseconds to wait before the given retry; 1 is the first."""
        doublings = min(retry - 1, self.max_doublings)
        steps = max(retry - self.max_doublings, 1)
        return int(min(self.min_backoff * 2**doublings * steps, self.max_backoff))

    def spent(self, attempts: int, since_first: int) -> bool:
        """Whether a task is given up: every limit that is set has been reached, not just one.

        `since_first`: microseconds since the first attempt was dispatched.
        """
        limits = []
        if self.max_attempts > 0:
            limits.append(attempts >= self.max_attempts)
        if self.max_duration > 0:
            limits.append(since_first >= self.max_duration)
        return bool(limits) and all(limits)


def read(config: Any, fallback: Retry) -> Retry:
    """A RetryConfig message; what it leaves unset is taken from the fallback."""
    duration = moments.of(config.max_retry_duration) // moments.SECOND * moments.SECOND
    return Retry(
        max_attempts=config.max_attempts or fallback.max_attempts,
        max_duration=duration or fallback.max_duration,
        min_backoff=moments.of(config.min_backoff) or fallback.min_backoff,
        max_backoff=moments.of(config.max_backoff) or fallback.max_backoff,
        max_doublings=config.max_doublings or fallback.max_doublings,
    )
