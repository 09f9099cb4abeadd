"""Whether and when a failed run is tried again."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from local.services.scheduler.durations import seconds


@dataclass(frozen=True, kw_only=True)
class Retry:
    """A job's `retryConfig`; times in seconds."""

    count: int
    max_duration: float
    min_backoff: float
    max_backoff: float
    max_doublings: int

    @classmethod
    def of(cls, config: dict[str, Any]) -> "Retry":
        """Return the retry settings of a complete `retryConfig` in JSON."""
        return cls(
            count=config["retryCount"],
            max_duration=seconds(config["maxRetryDuration"], "maxRetryDuration"),
            min_backoff=seconds(config["minBackoffDuration"], "minBackoffDuration"),
            max_backoff=seconds(config["maxBackoffDuration"], "maxBackoffDuration"),
            max_doublings=config["maxDoublings"],
        )

    def after(self, attempts: int, elapsed: timedelta) -> timedelta | None:
        """How long to wait after that many failed attempts; None: no more.

        Both limits must be spent (a duration of 0 is none): `elapsed` is since the first attempt.
        """
        counted_out = attempts > self.count
        timed_out = not self.max_duration or elapsed >= timedelta(seconds=self.max_duration)
        if counted_out and timed_out:
            return None
        return timedelta(seconds=self.backoff(attempts))

    def backoff(self, retry: int) -> float:
        """Seconds before the retry of this number: doubling, then linear, then capped."""
        doublings = min(retry - 1, self.max_doublings)
        factor: int = 2**doublings * max(1, retry - self.max_doublings)
        return min(self.max_backoff, self.min_backoff * factor)
