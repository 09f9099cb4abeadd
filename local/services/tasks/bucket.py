"""How many dispatches a queue may start: a bucket of tokens.

A token taken comes back one period later. The period is the time in which the rate yields a full
bucket, so the rate is used fully, and no period ever sees more than a bucket's worth:

    rate 2/s     2 tokens, each back after 1 s
    rate 0.5/s   1 token, back after 2 s
"""

import math
from collections import deque

from local.kernel import moments


class Bucket:
    """Tokens of one queue. Moments in microseconds of the virtual clock."""

    def __init__(self, rate: float) -> None:
        self._taken: deque[int] = deque()
        self.retune(rate)

    def retune(self, rate: float) -> None:
        """Change the rate (per second, positive); tokens already taken stay taken."""
        self._size = math.ceil(rate)
        self._period = math.ceil(self._size / rate * moments.SECOND)
        while len(self._taken) > self._size:
            self._taken.popleft()

    def free(self, now: int) -> int:
        """How many tokens there are."""
        while self._taken and self._taken[0] + self._period <= now:
            self._taken.popleft()
        return self._size - len(self._taken)

    def take(self, count: int, now: int) -> None:
        """Take tokens; there must be that many."""
        self._taken.extend([now] * count)

    def next_token(self) -> int:
        """When there is a token: a moment in the past if there is one already."""
        if len(self._taken) < self._size:
            return 0
        return self._taken[0] + self._period
