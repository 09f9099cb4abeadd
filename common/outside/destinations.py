"""Destinations: whom we call, how they are, and whether they have accepted others lately.

400 and 422 do not say whose fault it is. If the destination has accepted another call under the
same configuration within an hour, this one is at fault; else we are, or they are, and all wait.
`destinations/{id}` remembers the last acceptance. It is written with the mark of an effect, once a
minute at most, and read only after such a refusal.
"""

import functools
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from msgspec import Struct

from common.cloud import firestore
from common.cloud.firestore import Merge
from common.errors import (
    AmbiguousRefusalError,
    BundleError,
    DeferredError,
    InProgressError,
    PermanentError,
)
from common.outside.breaker import Gate, Moment
from common.process import logs, settings

COLLECTION = "destinations"
LATELY = timedelta(hours=1)
"""How long an acceptance tells that a destination is well, and our configuration right."""
WRITTEN_EVERY = 60.0
"""Seconds."""
RETENTION = timedelta(days=7)
LOOKS_EVERY = 0.2
"""Seconds between two looks at the server's time while a breaker is open."""


class Destination(Struct, frozen=True):
    """Whom we call, under one configuration: another key or sender is another destination."""

    name: str
    """What logs and errors call the destination; nothing secret."""
    id: str


def named(name: str, *configuration: str) -> Destination:
    """The destination that is reached with this configuration, which may be secret."""
    text = "\0".join(configuration)
    return Destination(name, hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32])


def reach(destination: Destination, call: Callable[[], None]) -> None:
    """Make a call to the destination, through its breaker and its room.

    Raises what `call` raises, but PermanentError for an AmbiguousRefusalError where others have
    been accepted lately; and UnavailableError if the call may not be made now.
    """
    gate = gate_of(destination)
    with gate.passed():
        refusal = _refusal(call)
    if isinstance(refusal, AmbiguousRefusalError) and has_accepted_lately(destination):
        raise PermanentError(f"{refusal} Others were accepted at that time.")
    if refusal is not None:
        raise refusal
    _acceptances.note(destination)


def _refusal(call: Callable[[], None]) -> BundleError | None:
    """The answer of a destination that is well, and does not want this call."""
    try:
        call()
    except (PermanentError, AmbiguousRefusalError, DeferredError) as refusal:
        return refusal
    return None


def ensure_open(destination: Destination) -> None:
    """Before a claim: whether work that needs the destination makes sense now.

    Raises InProgressError while the breaker is open. The look costs nothing while it is closed.
    """
    gate = gate_of(destination)
    if not gate.wait():
        return
    _looks.look(destination)
    if wait := gate.wait():
        raise InProgressError(f"{destination.name} is unavailable.", retry_after=wait)


def has_accepted_lately(destination: Destination) -> bool:
    """Whether the destination accepted a call within the last hour, from whichever process."""
    if _acceptances.is_recent(destination):
        return True
    try:
        found = firestore.read(f"{COLLECTION}/{destination.id}")
    except BundleError as error:
        logs.warning("uncertain", str(error))
        return False
    accepted_at = found.data.get("accepted_at")
    return isinstance(accepted_at, datetime) and found.read_time - accepted_at <= LATELY


def acceptances(now: datetime) -> list[Merge]:
    """The writes that remember what was accepted, for the next commit; mostly none. `now` is the
    server's time."""
    return [
        Merge(
            path=f"{COLLECTION}/{destination.id}",
            fields={
                "name": destination.name,
                "accepted_at": now,
                "expire_at": now + RETENTION,
            },
        )
        for destination in _acceptances.due()
    ]


def gate_of(destination: Destination) -> Gate:
    """The breaker and the room of a destination, of this process."""
    with _making:
        return _gate(destination)


@functools.lru_cache(maxsize=256)
def _gate(destination: Destination) -> Gate:
    places = max(1, settings.current().threads // 2)
    return Gate(name=destination.name, places=places, clock=_now)


def _now() -> Moment:
    latest = firestore.latest_time()
    return Moment(time.monotonic(), latest.timestamp() if latest else None)


class Acceptances:
    """What this process knows to have been accepted, and when that was written last."""

    def __init__(self, clock: Callable[[], Moment]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._accepted: dict[Destination, Moment] = {}
        self._written: dict[Destination, Moment] = {}
        self._new: set[Destination] = set()

    def note(self, destination: Destination) -> None:
        """The destination has accepted a call just now."""
        with self._lock:
            self._accepted[destination] = self._clock()
            self._new.add(destination)

    def is_recent(self, destination: Destination) -> bool:
        """Whether the destination accepted one within the last hour."""
        with self._lock:
            accepted = self._accepted.get(destination)
            return accepted is not None and (
                self._clock().since(accepted) <= LATELY.total_seconds()
            )

    def due(self) -> list[Destination]:
        """Those whose acceptance is to be written now; it counts as written then."""
        with self._lock:
            now = self._clock()
            due = [it for it in self._new if self._may_be_written(it, now)]
            self._written.update(dict.fromkeys(due, now))
            self._new.difference_update(due)
            return due

    def _may_be_written(self, destination: Destination, now: Moment) -> bool:
        written = self._written.get(destination)
        return written is None or now.since(written) >= WRITTEN_EVERY


class _Looks:
    """Looks at the server's time, so that a process all of whose work is refused sees time pass."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last = -1e9

    def look(self, destination: Destination) -> None:
        with self._lock:
            if self._clock() - self._last < LOOKS_EVERY:
                return
            self._last = self._clock()
        try:
            firestore.read(f"{COLLECTION}/{destination.id}")
        except BundleError as error:
            logs.warning("uncertain", str(error))


_making = threading.Lock()
_acceptances = Acceptances(_now)
_looks = _Looks()


@contextmanager
def fresh() -> Iterator[None]:
    """For a test: nothing is known of any destination, inside the `with` block."""
    global _acceptances, _looks
    earlier = _acceptances, _looks
    _acceptances, _looks = Acceptances(_now), _Looks()
    _gate.cache_clear()
    try:
        yield
    finally:
        _acceptances, _looks = earlier
        _gate.cache_clear()
