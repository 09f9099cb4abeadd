"""What the real code does next, asked after every possible history.

An actor talks to the world only through Firestore, Cloud Tasks, its outside effects and a monotonic
clock. So it is a function from the answers it has had so far to its next request, or its end. A
`Script` runs it once for every history that comes up, from its beginning, and remembers the
request: the explorer then needs no threads, and a history that many schedules share costs nothing.

    common.cloud.firestore ──▶ read, commit, query ┐
    common.cloud.tasks     ──▶ alarm               ├──▶ a Request, and the history's next answer
    the reminder's own     ──▶ message, check      ┘
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from unittest import mock

from common import idempotency
from common.cloud import firestore, tasks
from common.cloud.firestore import Create, Filter, Merge, Snapshot, Update, Write
from common.cloud.tasks import Made, Result, Task
from common.errors import RefusedError, TransientError, UnavailableError
from common.idempotency import Limits, delivery
from common.idempotency.exclusive import ProcessLock
from common.scheduling import outside, transitions
from common.triggers.boundary import Ending
from tests.common.histories import Histories
from tests.common.scheduling.proof.contents import ABSENT, MINE, Contents, Fields

EPOCH = datetime(2030, 1, 1, tzinfo=UTC)
LEASE = 90.0
LIMITS = Limits(max_attempts=5, budget=1e12, lease=LEASE)
"""No budget: nothing but the fences protects from an actor that comes back late."""
NEVER = -1
"""The moment of a document that is not there."""
FIRST_READ = 500_000
"""Microseconds: a read is later than all commits of the same second."""


class Written(NamedTuple):
    """One write of a commit."""

    place: int
    """Which document."""
    fields: int
    fence: int | None
    """The moment it must have been written at, NEVER: it must be absent, None: no matter."""


class Alarm(NamedTuple):
    """A task that is to be created."""

    generation: int
    at: float
    """Seconds since the EPOCH."""
    name: str


class Query(NamedTuple):
    """What is asked of a collection."""

    collection: str
    filters: tuple[Filter, ...]
    limit: int | None


class Request(NamedTuple):
    """What the code asks of the world, or how it ended."""

    kind: str
    """`read`, `commit`, `query`, `alarm`, `exists`, `message`, `check`, `end`."""
    places: tuple[int, ...] = ()
    writes: tuple[Written, ...] = ()
    query: Query | None = None
    alarm: Alarm | None = None
    name: str = ""
    """Of a message: its reminder's payload; of an end: its status; what exists: which alarm."""
    key: str = ""
    """Of a message: its idempotency key."""
    code: int = 0
    """Of an end: 200 acknowledges."""


class Sight(NamedTuple):
    """One document as an actor sees it."""

    place: int
    content: int
    moment: int
    """Which of the commits that the actor knows of wrote it, or NEVER."""
    written: float
    """When, in seconds since the EPOCH."""


Answer = tuple[Any, ...]
Item = tuple[Answer, float]
"""An answer, and the time at which it came."""


class Suspended(BaseException):
    """The history ends here; this is what the code asks next."""

    def __init__(self, request: Request) -> None:
        self.request = request


class Places:
    """The documents of a world, by path: each has its place."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    def of(self, path: str) -> int:
        """The place of a document."""
        if path not in self.paths:
            self.paths.append(path)
        return self.paths.index(path)


class Script(Histories[Item, Request]):
    """One actor, as a tree of histories. Nodes are numbers; 0 is the beginning."""

    def __init__(
        self, play: Callable[["Stage"], Ending], places: Places, contents: Contents
    ) -> None:
        self._actor = play
        self._places = places
        self._contents = contents
        super().__init__()

    def _play(self, items: list[Item]) -> Request:
        stage = Stage(items, self._places, self._contents)
        run = functools.partial(
            delivery.run,
            limits=LIMITS,
            monotonic=lambda: stage.now,
            tokens=stage.token,
            process_lock=ProcessLock(),
        )
        with (
            firestore.using(stage),
            tasks.using(stage),
            mock.patch.object(idempotency, "run", run),
            mock.patch.object(outside, "token", stage.token),
            mock.patch.object(transitions, "generation_after", lambda last, now: last + 1),
            mock.patch.object(tasks, "name", alarm_name),
        ):
            try:
                ending = self._actor(stage)
            except Suspended as suspended:
                return suspended.request
        return Request("end", name=ending.status, key=ending.error or "", code=ending.code)


class Stage:
    """The world as one history tells it."""

    def __init__(self, items: list[Item], places: Places, contents: Contents) -> None:
        self._items = items
        self._at = 0
        self._places = places
        self._contents = contents
        self._tokens = self._reads = 0
        self.now = 0.0

    def token(self) -> str:
        """A token of this actor's."""
        self._tokens += 1
        return f"me#{self._tokens}"

    # What the code reaches through common.cloud

    def read_all(self, paths: Sequence[str]) -> list[Snapshot]:
        """Firestore: read documents."""
        places = tuple(self._places.of(path) for path in paths)
        match self._ask(Request("read", places=places)):
            case ("found", sights):
                self._reads += 1
                return [self._snapshot(it) for it in sights]
        raise TransientError("a read failed")

    def query(self, query: firestore.Query) -> Iterator[Snapshot]:
        """Firestore: documents of a collection."""
        asked = Query(query.collection, tuple(query.filters), query.limit)
        match self._ask(Request("query", query=asked)):
            case ("found", sights):
                return iter([self._snapshot(it) for it in sights])
        raise TransientError("a query failed")

    def count(self, collection: str, filters: Sequence[Filter]) -> int:
        """Firestore: a reminder counts nothing."""
        raise NotImplementedError

    def cuts(self, collection: str, parts: int) -> list[str]:
        """Firestore: a reminder cuts nothing."""
        raise NotImplementedError

    def commit(self, writes: Sequence[Write]) -> datetime:
        """Firestore: write documents, all or none."""
        match self._ask(lambda: Request("commit", writes=tuple(map(self._written, writes)))):
            case ("ok", moment):
                return _time(self.now, moment)
            case ("refused",):
                raise RefusedError
        raise TransientError("a commit failed")

    def create(self, task: Task) -> Made:
        """Cloud Tasks: create a task."""
        alarm = Alarm(task.body["generation"], _seconds(task.at), "\0".join(task.identity))
        match self._ask(Request("alarm", alarm=alarm)):
            case ("created",):
                return "created"
            case ("existed",):
                return "existed"
        raise TransientError("an alarm could not be set")

    def exists(self, queue: str, name: str) -> bool:
        """Cloud Tasks: whether a task is there."""
        match self._ask(Request("exists", name=name)):
            case ("yes",):
                return True
            case ("no",):
                return False
        raise TransientError("an alarm could not be looked at")

    def create_batch(self, tasks: Sequence[Task], *, request_id: str) -> list[Result]:
        """Cloud Tasks: a reminder makes no batch."""
        raise NotImplementedError

    # What the reminder's kind reaches

    def send(self, payload: str, key: str) -> None:
        """An outside effect: the message."""
        match self._ask(Request("message", name=payload, key=key)):
            case ("refused",):
                raise UnavailableError("refused")
            case ("error",):
                raise TransientError("the message could not be sent")

    def makes_sense(self) -> bool:
        """Whether the reminder still makes sense."""
        return self._ask(Request("check")) == ("yes",)

    def _ask(self, request: Request | Callable[[], Request]) -> Answer:
        """The answer to a request. What has been answered before need not be put together again."""
        if self._at == len(self._items):
            raise Suspended(request if isinstance(request, Request) else request())
        answer, self.now = self._items[self._at]
        self._at += 1
        return answer

    def _snapshot(self, it: Sight) -> Snapshot:
        return Snapshot(
            path=self._places.paths[it.place],
            data=_with_alarm(self._contents.fields(it.content)),
            update_time=None if it.content == ABSENT else _time(it.written, it.moment),
            read_time=_time(self.now, FIRST_READ + self._reads),
        )

    def _written(self, write: Write) -> Written:
        assert isinstance(write, Create | Update | Merge)
        place = self._places.of(write.path)
        return Written(place, self._contents.number(_without_alarm(write.fields)), _fence(write))


def alarm_name(identity: tuple[str, ...]) -> str:
    """What the code takes for the name of an alarm's task: its generation, and when it rings."""
    _, _, generation, at, _ = identity
    return alarm_of(int(generation), _seconds(datetime.fromisoformat(at)))


def alarm_of(generation: int, at: float) -> str:
    """The same, of an alarm in the world."""
    return f"{generation}@{at}"


def _without_alarm(fields: Fields) -> Fields:
    """The alarm of a record as fields of its own: when it rings, and whose token set it."""
    if "alarm" not in fields:
        return fields
    alarm = fields["alarm"]
    setter = alarm["setter"] if MINE.fullmatch(alarm["setter"]) else ""
    flat = {"alarm_at": alarm["at"], "alarm_setter": setter}
    return {**{name: it for name, it in fields.items() if name != "alarm"}, **flat}


def _with_alarm(fields: Fields) -> Fields:
    if "alarm_at" not in fields:
        return fields
    alarm = {"queue": "reminders", "at": fields["alarm_at"], "setter": fields["alarm_setter"]}
    return {**fields, "alarm": alarm}


def _fence(write: Create | Update | Merge) -> int | None:
    match write:
        case Create():
            return NEVER
        case Update():
            return write.update_time.microsecond
        case Merge():
            return None


def _time(seconds: float, moment: int) -> datetime:
    return EPOCH + timedelta(seconds=seconds, microseconds=moment)


def _seconds(time: datetime | None) -> float:
    return 0.0 if time is None else (time.replace(microsecond=0) - EPOCH).total_seconds()
