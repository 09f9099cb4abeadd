"""How many dispatches a queue may start: a bucket of tokens.

A token that is taken comes back one period after what it was taken for has left, on its way to the
target. The period is the time in which the rate yields a full bucket, so the rate is used fully,
and no period ever sees more than a bucket's worth leave:

    rate 2/s     2 tokens, each back after 1 s
    rate 0.5/s   1 token, back after 2 s
"""

import math
from collections import deque

from local.kernel import moments


class Bucket:
    """Tokens of one queue. Moments in microseconds of the virtual clock."""

    def __init__(self, rate: float) -> None:
        self._leaving = 0
        """Tokens taken for what is about to leave."""
        self._left: deque[int] = deque()
        """When that left for which tokens were taken, the oldest first."""
        self.retune(rate)

    def retune(self, rate: float) -> None:
        """Change the rate (per second, positive); tokens already taken stay taken."""
        self._size = math.ceil(rate)
        self._period = math.ceil(self._size / rate * moments.SECOND)
        while len(self._left) > self._size:
            self._left.popleft()

    def free(self, now: int) -> int:
        """How many tokens there are."""
        while self._left and self._left[0] + self._period <= now:
            self._left.popleft()
        return self._size - self._leaving - len(self._left)

    def take(self, count: int) -> None:
        """Take tokens; there must be that many."""
        self._leaving += count

    def left(self, now: int) -> None:
        """What a token was taken for has left: from now on it takes a period to come back."""
        self._leaving -= 1
        self._left.append(now)

    def next_token(self) -> int | None:
        """When there is a token: a moment in the past if there is one already; None: that depends
        on when something leaves."""
        if self._leaving + len(self._left) < self._size:
            return 0
        return self._left[0] + self._period if self._left else None
