"""One queue while the server runs: who may start when.

runs? ── no ──▶ nothing is due
  │ yes
a slot free (concurrency)? ── no ──▶ nothing is due until an answer comes
  │ yes
due at the latest of: its earliest task, its next token, the end of a hold
"""

from typing import Any

from local.kernel import moments
from local.services.tasks import backoff, names
from local.services.tasks import messages as m
from local.services.tasks.bucket import Bucket

FIRST_HOLD = moments.SECOND
LONGEST_OWN_HOLD = moments.MINUTE


class Queue:
    """A queue's configuration, its rate, its slots and its hold. Moments in microseconds."""

    def __init__(self, id_: int, config: Any) -> None:
        self.id = id_
        self.name: str = config.name
        self.short = names.short(config.name)
        self.config = config
        self.bucket = Bucket(config.rate_limits.max_dispatches_per_second)
        self.in_flight = 0
        self.earliest: int | None = None
        """When its earliest waiting task is due; kept up to date by the dispatcher."""
        self._held_since = 0
        self._held_until = 0
        self._holds = 0

    @property
    def running(self) -> bool:
        """Whether tasks are dispatched."""
        return bool(self.config.state == m.State.RUNNING)

    @property
    def retry(self) -> backoff.Retry:
        """The retry configuration of tasks that have none of their own."""
        return backoff.read(self.config.retry_config, backoff.Retry())

    def configure(self, config: Any) -> None:
        """Put a changed configuration in force."""
        self.config = config
        self.bucket.retune(config.rate_limits.max_dispatches_per_second)

    def startable(self, now: int) -> int:
        """How many attempts may start now."""
        if not self.running or now < self._held_until:
            return 0
        return min(self._slots(), self.bucket.free(now))

    def due(self) -> int | None:
        """When it can start an attempt next, as far as that depends on time alone."""
        token = self.bucket.next_token()
        if self.earliest is None or not self.running or self._slots() <= 0 or token is None:
            return None
        return max(self.earliest, token, self._held_until)

    def is_held_back(self, now: int) -> bool:
        """Whether a task is due and waits for nothing but the queue's rate."""
        is_due = self.earliest is not None and self.earliest <= now and self._held_until <= now
        return is_due and self.running and self.bucket.free(now) <= 0

    def started(self, count: int) -> None:
        """Attempts start: each takes a token and a slot."""
        self.bucket.take(count)
        self.in_flight += count

    def ended(self) -> None:
        """Free the slot of an attempt that is over."""
        self.in_flight -= 1

    def throttled(self, dispatched: int, now: int, wait: int) -> None:
        """A target answered 429 or 503, asking to wait that long (0: it did not say).

        Answers to attempts from before the hold say nothing new; after it, the next is longer.
        """
        if dispatched > self._held_since:
            own = min(FIRST_HOLD * 2**self._holds, LONGEST_OWN_HOLD)
            self._holds = min(self._holds + 1, 16)
            self._held_since = now
            self._held_until = max(self._held_until, now + own)
        self._held_until = max(self._held_until, now + wait)

    def relieved(self) -> None:
        """A target answered 2xx: the next hold is short again."""
        self._holds = 0

    def _slots(self) -> int:
        return int(self.config.rate_limits.max_concurrent_dispatches) - self.in_flight
