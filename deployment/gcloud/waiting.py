"""What passes by itself in a fresh project is waited for, if we changed what it is about."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from deployment.gcloud.failures import ACCOUNT, DATABASE, GRANT, METRIC, NOTHING, SERVICE, Failure

FRESH = 20 * 60
"""Seconds after a change of ours in which what depends on it may be refused."""
BUSY = 5 * 60
"""Seconds for what has nothing to do with us: a policy that somebody else changes, a quota."""
PAUSES = (2, 4, 8, 15, 15, 30)
"""Seconds between tries; the last one from then on."""
TIME = "%Y-%m-%dT%H:%MZ"


class Patience:
    """Remembers what this bundle changed and when; `again` sleeps if another try makes sense."""

    def __init__(
        self, say: Callable[[str], None], sleep: Callable[[float], object] | None = None
    ) -> None:
        self._say = say
        self._stopped = threading.Event()
        self._sleep = sleep or self._stopped.wait
        self._changed: dict[str, float] = {}
        self._said: set[str] = set()
        self._lock = threading.Lock()

    @property
    def stopped(self) -> bool:
        """Whether the command was interrupted."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """Whoever waits gives up."""
        self._stopped.set()

    def pause(self, seconds: float, line: str) -> None:
        """Sleep for a reason, which is said once."""
        self._say_once(line)
        self._sleep(seconds)

    def changed(self, what: str) -> None:
        """A grant, an account, a service, a database or a metric was just made."""
        if what:
            self._changed[what] = time.monotonic()

    def resumes(self, since: str) -> None:
        """An earlier run began to make everything at this time, as it noted."""
        try:
            age = (
                datetime.now(UTC) - datetime.strptime(since, TIME).replace(tzinfo=UTC)
            ).total_seconds()
        except ValueError:
            return
        if age < FRESH:
            for what in (GRANT, ACCOUNT, SERVICE, DATABASE, METRIC):
                self._changed.setdefault(what, time.monotonic() - age)

    def again(self, failure: Failure, tries: int, began: float, about: str) -> bool:
        """Whether to try once more, after a pause; says what for, once."""
        known = failure.passing()
        if known is None or self.stopped:
            return False
        start = began if known.needs == NOTHING else self._changed.get(known.needs)
        limit = BUSY if known.needs == NOTHING else FRESH
        if start is None or time.monotonic() - start > limit:
            return False
        self.pause(PAUSES[min(tries, len(PAUSES) - 1)], f"… {about}: waiting for {known.waits_for}")
        return not self.stopped

    def _say_once(self, line: str) -> None:
        with self._lock:
            if line not in self._said:
                self._said.add(line)
                self._say(line)
