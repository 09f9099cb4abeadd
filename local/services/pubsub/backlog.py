"""What every subscription still has to deliver, one row per message and subscription.

    publish ──▶ READY ──(pull: lease)──▶ LEASED ──ack──▶ gone (or ACKED, if it retains them)
                  ▲  │                     │
                  │  └─(push: held)──ack──▶┤ nack, lease over: failures + 1
                  └──────── due later ◀────┘
    BLOCKED: waits for an earlier message of its ordering key

READY rows are taken in the order of `due`, which keeps the order of publishing. A row that a push
delivery works on is only *held* in memory: after a crash it is simply ready again. Messages stay in
the file; memory does not grow with the backlog.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from local.kernel.database import Database

READY, LEASED, ACKED, BLOCKED = range(4)

_TABLE = """
CREATE TABLE IF NOT EXISTS pubsub_backlog (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    subscription INTEGER NOT NULL,
    state INTEGER NOT NULL,
    due INTEGER NOT NULL,
    published INTEGER NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0,
    lease INTEGER NOT NULL DEFAULT 0,
    ordering TEXT NOT NULL DEFAULT '',
    message BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS pubsub_backlog_due ON pubsub_backlog (subscription, state, due, row);
CREATE INDEX IF NOT EXISTS pubsub_backlog_age ON pubsub_backlog (subscription, published);
CREATE INDEX IF NOT EXISTS pubsub_backlog_ordering
    ON pubsub_backlog (subscription, ordering, row) WHERE ordering != '';
"""
_BATCH = 1000
_COLUMNS = "row, state, due, published, failures, lease, ordering, message"


@dataclass(frozen=True)
class Entry:
    """One message for one subscription. Moments are microseconds since 1970."""

    row: int
    state: int
    due: int
    published: int
    failures: int
    lease: int
    ordering: str
    message: bytes

    @property
    def attempt(self) -> int:
        """The number of the delivery attempt to come or under way; 1 for the first."""
        return self.failures + 1


class Backlog:
    """The rows of all subscriptions, which are named by their number."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._held: dict[int, set[int]] = defaultdict(set)
        self._firsts: dict[tuple[int, int], int | None] = {}
        self._oldest: dict[int, int | None] = {}
        database.script(_TABLE)

    def add(self, subscription: int, published: int, messages: Iterable[tuple[str, bytes]]) -> None:
        """Append messages, each `(ordering key or "", serialized PubsubMessage)`."""
        for ordering, message in messages:
            state = BLOCKED if self._head(subscription, ordering) else READY
            self._database.execute(
                "INSERT INTO pubsub_backlog (subscription, state, due, published, ordering, "
                "message) VALUES (?, ?, ?, ?, ?, ?)",
                (subscription, state, published, published, ordering, message),
            )
        self._forget(subscription)

    def take(self, subscription: int, now: int, limit: int) -> list[Entry]:
        """Up to `limit` entries that are ready now and not held, oldest due first."""
        first = self.first(subscription, READY)
        if limit <= 0 or first is None or first > now:
            return []
        held = self._held[subscription]
        rows = self._database.execute(
            "SELECT row FROM pubsub_backlog WHERE subscription = ? AND state = ? AND due <= ? "
            "ORDER BY due, row LIMIT ?",
            (subscription, READY, now, limit + len(held)),
        ).fetchall()
        free = [row for (row,) in rows if row not in held][:limit]
        return [entry for row in free if (entry := self.get(subscription, row))]

    def get(self, subscription: int, row: int) -> Entry | None:
        """Return the entry of a row."""
        found = self._database.execute(
            f"SELECT {_COLUMNS} FROM pubsub_backlog WHERE row = ? AND subscription = ?",
            (row, subscription),
        ).fetchone()
        return Entry(*found) if found else None

    def hold(self, subscription: int, row: int) -> None:
        """A push delivery of this row begins: nobody else takes it."""
        self._held[subscription].add(row)
        self._forget(subscription)

    def release(self, subscription: int, row: int) -> None:
        """End the hold of a push delivery that is over."""
        self._held[subscription].discard(row)
        self._forget(subscription)

    def held(self, subscription: int) -> int:
        """How many push deliveries are under way."""
        return len(self._held[subscription])

    def lease(self, subscription: int, row: int, until: int) -> None:
        """Give an entry to a puller until that time."""
        self._set(subscription, "state = ?, due = ?, lease = lease + 1", (LEASED, until), row)

    def extend(self, subscription: int, row: int, until: int) -> None:
        """Let the puller keep an entry until that time."""
        self._set(subscription, "due = ?", (until,), row)

    def fail(self, subscription: int, row: int, due: int) -> None:
        """An attempt failed; the next may begin when it is `due`."""
        self._set(subscription, "state = ?, due = ?, failures = failures + 1", (READY, due), row)

    def block(self, subscription: int, ordering: str, after: int) -> list[int]:
        """Take back what was leased of this ordering key after this row; return those rows."""
        if not ordering:
            return []
        rows = self._database.execute(
            "UPDATE pubsub_backlog SET state = ? WHERE subscription = ? AND ordering = ? "
            "AND ordering != '' AND row > ? AND state = ? RETURNING row",
            (BLOCKED, subscription, ordering, after, LEASED),
        ).fetchall()
        self._forget(subscription)
        return [row for (row,) in rows]

    def followers(self, subscription: int, entry: Entry, limit: int) -> list[Entry]:
        """The blocked entries right behind this one in its ordering key."""
        if not entry.ordering or limit <= 0:
            return []
        rows = self._database.execute(
            f"SELECT {_COLUMNS} FROM pubsub_backlog WHERE subscription = ? AND ordering = ? "
            "AND row > ? AND state = ? AND ordering != '' ORDER BY row LIMIT ?",
            (subscription, entry.ordering, entry.row, BLOCKED, limit),
        ).fetchall()
        return [Entry(*row) for row in rows]

    def settle(self, subscription: int, entry: Entry, now: int, *, retain: bool = False) -> None:
        """It is acknowledged (or given up); the next of its ordering key may follow."""
        if retain:
            self._set(subscription, "state = ?", (ACKED,), entry.row)
        else:
            self._database.execute("DELETE FROM pubsub_backlog WHERE row = ?", (entry.row,))
        if entry.ordering:
            self._unblock(subscription, entry.ordering, now)
        self._forget(subscription)

    def expire(self, subscription: int, before: int, now: int) -> int:
        """Drop what was published before this; return how many unacknowledged ones that were."""
        lost = 0
        while dropped := self._drop_oldest(subscription, before):
            for ordering in {ordering for _, ordering in dropped if ordering}:
                self._unblock(subscription, ordering, now)
            lost += sum(state != ACKED for state, _ in dropped)
        self._forget(subscription)
        return lost

    def clear(self, subscription: int) -> None:
        """Drop everything of a subscription."""
        self._database.execute("DELETE FROM pubsub_backlog WHERE subscription = ?", (subscription,))
        self._forget(subscription)

    def seek(self, subscription: int, to: int, now: int) -> None:
        """Acknowledge what was published before `to`, make the rest deliverable again."""
        where = "subscription = ? AND published"
        self._database.execute(
            f"UPDATE pubsub_backlog SET state = ? WHERE {where} < ?", (ACKED, subscription, to)
        )
        self._database.execute(
            "UPDATE pubsub_backlog SET failures = 0, due = ?, lease = lease + 1, "
            f"state = CASE ordering WHEN '' THEN ? ELSE ? END WHERE {where} >= ?",
            (now, READY, BLOCKED, subscription, to),
        )
        for (ordering,) in self._database.execute(
            "SELECT DISTINCT ordering FROM pubsub_backlog WHERE subscription = ? "
            "AND ordering != ''",
            (subscription,),
        ).fetchall():
            self._unblock(subscription, ordering, now)
        self._forget(subscription)

    def overdue(self, subscription: int, now: int, limit: int) -> list[Entry]:
        """Entries whose lease is over."""
        rows = self._database.execute(
            f"SELECT {_COLUMNS} FROM pubsub_backlog WHERE subscription = ? AND state = ? "
            "AND due <= ? ORDER BY due, row LIMIT ?",
            (subscription, LEASED, now, limit),
        ).fetchall()
        return [Entry(*row) for row in rows]

    def first(self, subscription: int, state: int) -> int | None:
        """When the first entry of this state falls due that nobody holds; None: there is none."""
        key = (subscription, state)
        if key not in self._firsts:
            self._firsts[key] = self._find_first(subscription, state)
        return self._firsts[key]

    def oldest(self, subscription: int) -> int | None:
        """When the oldest entry was published."""
        if subscription not in self._oldest:
            found: tuple[int | None] = self._database.execute(
                "SELECT MIN(published) FROM pubsub_backlog WHERE subscription = ?", (subscription,)
            ).fetchone()
            self._oldest[subscription] = found[0]
        return self._oldest[subscription]

    def count(self, subscription: int) -> int:
        """How many messages are not acknowledged."""
        found: tuple[int] = self._database.execute(
            "SELECT COUNT(*) FROM pubsub_backlog WHERE subscription = ? AND state != ?",
            (subscription, ACKED),
        ).fetchone()
        return found[0]

    def _find_first(self, subscription: int, state: int) -> int | None:
        held = self._held[subscription] if state == READY else set()
        rows = self._database.execute(
            "SELECT row, due FROM pubsub_backlog WHERE subscription = ? AND state = ? "
            "ORDER BY due, row LIMIT ?",
            (subscription, state, len(held) + 1),
        ).fetchall()
        return next((due for row, due in rows if row not in held), None)

    def _drop_oldest(self, subscription: int, before: int) -> list[tuple[int, str]]:
        return self._database.execute(
            "DELETE FROM pubsub_backlog WHERE row IN (SELECT row FROM pubsub_backlog "
            "WHERE subscription = ? AND published < ? ORDER BY published LIMIT ?) "
            "RETURNING state, ordering",
            (subscription, before, _BATCH),
        ).fetchall()

    def _head(self, subscription: int, ordering: str) -> tuple[int, int] | None:
        if not ordering:
            return None
        found: tuple[int, int] | None = self._database.execute(
            "SELECT row, state FROM pubsub_backlog WHERE subscription = ? AND ordering = ? "
            "AND ordering != '' AND state != ? ORDER BY row LIMIT 1",
            (subscription, ordering, ACKED),
        ).fetchone()
        return found

    def _unblock(self, subscription: int, ordering: str, now: int) -> None:
        head = self._head(subscription, ordering)
        if head and head[1] == BLOCKED:
            self._set(subscription, "state = ?, due = ?", (READY, now), head[0])

    def _set(self, subscription: int, change: str, values: tuple[int, ...], row: int) -> None:
        self._database.execute(
            f"UPDATE pubsub_backlog SET {change} WHERE row = ? AND state != {ACKED}",
            (*values, row),
        )
        self._forget(subscription)

    def _forget(self, subscription: int) -> None:
        for state in (READY, LEASED):
            self._firsts.pop((subscription, state), None)
        self._oldest.pop(subscription, None)
