"""Locks on documents: one holder each, the others wait in the order they came.

A circle of owners waiting for each other is broken at once: the one who closed it (or, if that is
a plain commit, a transaction in the circle) loses its locks and goes on without; whether what it
read still holds is checked when it commits.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field

POLL = 0.05
"""Seconds between two looks at whether the holder has gone idle."""


@dataclass(eq=False, slots=True)
class Owner:
    """Who may hold locks: a transaction, or one commit outside any."""

    is_transaction: bool
    keys: set[bytes] = field(default_factory=set)
    busy: int = 0
    """Requests of it in progress."""
    active_at: float = 0.0
    """Loop time of the end of its last request."""
    waiter: "Waiter | None" = None

    def idle_for(self, now: float) -> float:
        """Seconds since it did anything; 0 while a request of it is in progress."""
        return 0.0 if self.busy else now - self.active_at


@dataclass(eq=False, slots=True)
class Waiter:
    """A place in a queue; `granted` becomes whether the lock was got."""

    owner: Owner
    key: bytes
    granted: asyncio.Future[bool]


@dataclass(eq=False, slots=True)
class Lock:
    """One document's lock."""

    holder: Owner
    queue: deque[Waiter] = field(default_factory=deque)


class Locks:
    """All locks that are held."""

    def __init__(self) -> None:
        self._locks: dict[bytes, Lock] = {}

    def are_free(self, owner: Owner | None, keys: list[bytes]) -> bool:
        """Whether nobody but `owner` holds any of these."""
        return not self._locks or all(
            key not in self._locks or self._locks[key].holder is owner for key in keys
        )

    def holder(self, key: bytes) -> Owner | None:
        """Who holds this lock."""
        lock = self._locks.get(key)
        return lock.holder if lock else None

    async def acquire(self, owner: Owner, key: bytes, patience: float) -> bool:
        """Take a lock. False: its holder idled for `patience` seconds, or a circle was broken."""
        lock = self._locks.get(key)
        if lock is None:
            self._locks[key] = Lock(owner)
            owner.keys.add(key)
            return True
        if lock.holder is owner:
            return True
        waiter = Waiter(owner, key, asyncio.get_running_loop().create_future())
        lock.queue.append(waiter)
        owner.waiter = waiter
        try:
            self._break_circle(owner)
            return await self._wait(lock, waiter, patience)
        finally:
            owner.waiter = None
            self._leave(lock, waiter)

    def release_all(self, owner: Owner) -> None:
        """Give up every lock, each to the first who waits for it."""
        for key in owner.keys:
            self._hand_over(key)
        owner.keys = set()

    async def _wait(self, lock: Lock, waiter: Waiter, patience: float) -> bool:
        loop = asyncio.get_running_loop()
        while not waiter.granted.done():
            left = patience - lock.holder.idle_for(loop.time())
            if left <= 0:
                return False
            await asyncio.wait([waiter.granted], timeout=max(left, POLL))
        return waiter.granted.result()

    def _leave(self, lock: Lock, waiter: Waiter) -> None:
        """Leave the queue. A lock already granted stays with the owner, who releases it."""
        if waiter in lock.queue:
            lock.queue.remove(waiter)

    def _hand_over(self, key: bytes) -> None:
        lock = self._locks[key]
        while lock.queue:
            waiter = lock.queue.popleft()
            if not waiter.granted.done():
                lock.holder = waiter.owner
                waiter.owner.keys.add(key)
                waiter.granted.set_result(True)
                return
        del self._locks[key]

    def _break_circle(self, owner: Owner) -> None:
        circle = self._circle(owner)
        if not circle:
            return
        victim = next(member for member in circle if member.is_transaction)
        self.release_all(victim)
        if victim.waiter and not victim.waiter.granted.done():
            victim.waiter.granted.set_result(False)

    def _circle(self, owner: Owner) -> list[Owner]:
        members, member = [owner], owner
        while member.waiter and not member.waiter.granted.done():
            member = self._locks[member.waiter.key].holder
            if member is owner:
                return members
            if member in members:
                return []
            members.append(member)
        return []
