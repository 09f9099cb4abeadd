"""A circuit breaker and a room for each destination: whoever is in trouble takes nobody else down.

              OPENS_AFTER unavailable answers in a row
    closed ───────────────────────────────────────────▶ open
      ▲                                                  │ after a pause, the next call is a probe
      │ the probe is answered                            ▼
      └──────────────────────────────────────────────  half open ──unavailable──▶ open, for longer

While a breaker is open nobody is asked: the call is refused at once, and nothing has happened.

The room holds half of the process's threads. While all its places are taken, a call waits a moment
for one; where the destination is slow, the call is refused at once.

Both are of this process alone. Time is monotonic or the server's, whichever has gone further, so
that a process whose clock stands still (or a test in which the server's runs ahead) probes as well.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from msgspec import Struct

from common.errors import UnavailableError

OPENS_AFTER = 3
"""Unavailable answers in a row."""
FIRST_PAUSE, LAST_PAUSE = 5.0, 60.0
"""Seconds until a probe; doubled with each probe that fails."""
LONGEST_PAUSE = 900.0
"""Seconds: no Retry-After keeps us from probing for longer."""
PROBE_TAKES = 120.0
"""Seconds after which a probe that has not ended is given up, and another one may begin."""
SLOW = 1.0
"""Seconds that a call takes with a destination that is slow."""
PATIENCE = 1.0
"""Seconds that a call waits for a place in the room, at most."""
RETRY_WITHOUT_ROOM = 10.0
"""Seconds after which a call for which there was no room makes sense again."""


class Moment(Struct, frozen=True):
    """A time by two clocks, in seconds."""

    monotonic: float
    server: float | None = None
    """The latest time of the server that the process knows, if it knows any."""

    def since(self, earlier: "Moment") -> float:
        """Seconds since then, by the clock that has gone further."""
        passed = self.monotonic - earlier.monotonic
        if self.server is None or earlier.server is None:
            return passed
        return max(passed, self.server - earlier.server)


class Breaker(Struct, kw_only=True):
    """One destination's breaker. Its methods are not thread-safe; `Gate` is."""

    failures: int = 0
    """Unavailable answers in a row."""
    opened: Moment | None = None
    pause: float = 0.0
    """Seconds from `opened` to the next probe."""
    probe: Moment | None = None
    """When the probe under way has begun."""

    def wait(self, now: Moment) -> float:
        """Seconds until a call may be made; 0: now."""
        if self.opened is None:
            return 0.0
        if self.probe is not None and now.since(self.probe) < PROBE_TAKES:
            return FIRST_PAUSE
        return max(0.0, self.pause - now.since(self.opened))

    def begin(self, now: Moment) -> None:
        """A call begins."""
        if self.opened is not None:
            self.probe = now

    def answered(self) -> None:
        """The destination answered as one that is well does."""
        self.failures, self.opened, self.pause, self.probe = 0, None, 0.0, None

    def failed(self, began: Moment, now: Moment, retry_after: float | None) -> None:
        """The call of this beginning was not answered, or they do not want us now."""
        self.failures += 1
        if self.opened is not None and began is not self.probe:
            return  # a call from before: the breaker knows already
        if self.opened is None and self.failures < OPENS_AFTER:
            return
        pause = min(2 * self.pause, LAST_PAUSE) if self.opened is not None else FIRST_PAUSE
        self.pause = max(pause, min(retry_after or 0.0, LONGEST_PAUSE))
        self.opened, self.probe = now, None

    def ended(self, began: Moment) -> None:
        """The call of this beginning says nothing of the destination."""
        if began is self.probe:
            self.probe = None


class Gate:
    """What a call to one destination goes through: the breaker, then the room."""

    def __init__(
        self,
        *,
        name: str,
        places: int,
        clock: Callable[[], Moment] = lambda: Moment(time.monotonic()),
    ) -> None:
        """`name` is what the errors call the destination, `places` how many calls may be under way
        at once."""
        self.name = name
        self.places = places
        self.clock = clock
        self.breaker = Breaker()
        self._changed = threading.Condition()
        self._under_way: list[Moment] = []
        self._is_slow = False

    def wait(self) -> float:
        """Seconds until the breaker lets a call through; 0: now."""
        with self._changed:
            return self.breaker.wait(self.clock())

    @contextmanager
    def passed(self) -> Iterator[None]:
        """Inside the block, a call is under way. Its UnavailableError counts for the breaker.

        Raises UnavailableError when the breaker is open or there is no room; nothing has happened
        then.
        """
        began = self._enter()
        try:
            yield
        except UnavailableError as error:
            self._leave(began, error)
            raise
        except BaseException:
            self._leave(began, None, is_known=False)
            raise
        self._leave(began, None)

    def _enter(self) -> Moment:
        with self._changed:
            self._check_breaker()
            deadline = time.monotonic() + PATIENCE
            while len(self._under_way) >= self.places:
                left = deadline - time.monotonic()
                if self._is_in_trouble() or left <= 0:
                    raise UnavailableError(
                        f"{self.name} is slow, and has all the threads that it may have.",
                        retry_after=RETRY_WITHOUT_ROOM,
                    )
                self._changed.wait(min(left, 0.05))
                self._check_breaker()
            began = self.clock()
            self._under_way.append(began)
            self.breaker.begin(began)
            return began

    def _check_breaker(self) -> None:
        if wait := self.breaker.wait(self.clock()):
            raise UnavailableError(
                f"{self.name} was not asked: it has just been unavailable several times in a row.",
                retry_after=wait,
            )

    def _is_in_trouble(self) -> bool:
        now = self.clock()
        return self._is_slow or any(now.since(began) > SLOW for began in self._under_way)

    def _leave(
        self, began: Moment, error: UnavailableError | None, *, is_known: bool = True
    ) -> None:
        with self._changed:
            now = self.clock()
            self._under_way = [it for it in self._under_way if it is not began]
            self._is_slow = now.since(began) > SLOW
            if error is not None:
                self.breaker.failed(began, now, error.retry_after)
            elif is_known:
                self.breaker.answered()
            else:
                self.breaker.ended(began)
            self._changed.notify_all()
