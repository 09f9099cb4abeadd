"""What the real code does next, asked after every possible history.

A delivery talks to the world only through the store, its outside effects and a monotonic clock.
So `idempotency.run` is a function from the answers it has had so far to its next request, or its
end. A `Script` runs it once for every history that comes up, from its beginning, and remembers the
request: the explorer then needs no threads, and a history that many schedules share costs nothing.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from common import idempotency
from common.cloud.firestore import Create, Merge, Update, Write
from common.errors import (
    InProgressError,
    KeyReusedError,
    LostClaimError,
    NothingToDoError,
    PermanentError,
    RefusedError,
    TransientError,
    UnavailableError,
    UnknownOutcomeError,
)
from common.idempotency.decision import Found
from common.idempotency.exclusive import ProcessLock
from common.idempotency.record import WHOLE, Record, State, letter_id
from common.idempotency.waits import Dead, Owed
from common.process import shutdown
from tests.common.histories import Histories
from tests.common.idempotency.proof.programs import EPOCH, KEY, SCOPE, Kind, Programme

LEASE = 90.0
RETENTION = 86400.0 * 60
AGES = (0.0, LEASE + 1, RETENTION / 2, RETENTION + 1)
"""Of a record, in seconds: live, its lease over, every pause after it over, expired."""
ME, OTHER = "me", "other"
LETTERS = {letter_id(SCOPE, KEY, name): name for name in (WHOLE, "mail", "task", "sorry")}


class Content(NamedTuple):
    """What a record says, hashable, without what no decision depends on."""

    fingerprint: str
    state: str
    owner: Any
    """In a script ME or OTHER; in the world the number of the delivery."""
    write_id: str
    attempts: int
    """Two stands for any number above one."""
    vanished: int
    steps: tuple[tuple[str, str], ...]
    begun: frozenset[str]
    owed: tuple[tuple[str, str, int, bool], ...]
    """Name, reason, how often (where that decides), and whether it may have happened."""
    dead: tuple[tuple[str, str, bool], ...]
    """Name, reason, and whether it may have happened."""
    replays: tuple[tuple[str, str], ...]
    salts: tuple[tuple[str, str], ...]
    accepted: tuple[str, ...]
    handed_over: bool
    result: str | None


class Effect(NamedTuple):
    """One Firestore write that goes with a record."""

    name: str
    has_precondition: bool


class Request(NamedTuple):
    """What the code asks of the world, or how it ended."""

    kind: str
    """`read`, `create`, `replace`, `effect`, `end`."""
    name: str = ""
    """Of an effect; of an end: its answer."""
    version: int = -1
    """Which of the versions it has seen a `replace` is to replace."""
    content: Content | None = None
    effects: tuple[Effect, ...] = ()
    result: Any = None
    is_under_way: bool = False
    """An effect that SIGTERM has met, or a write by which that gives the work back."""


Answer = tuple[Any, ...]
Item = tuple[Answer, float]
"""An answer, and the local monotonic time at which it came."""


class Suspended(BaseException):
    """The history ends here; this is what the code asks next."""

    def __init__(self, request: Request) -> None:
        self.request = request


class Script(Histories[Item, Request]):
    """One kind of delivery, as a tree of histories. Nodes are numbers; 0 is the beginning."""

    def __init__(self, kind: Kind, programme: Programme) -> None:
        self._kind = kind
        self._programme = programme
        super().__init__()

    def _play(self, items: list[Item]) -> Request:
        played = _Played(items)
        try:
            answer = idempotency.run(
                self._programme.job(self._kind),
                lambda work: self._programme.handle(self._kind, work, played.effect),
                store=played,
                limits=self._programme.limits(LEASE, RETENTION),
                monotonic=lambda: played.now,
                sleep=lambda seconds: None,
                tokens=played.token,
                process_lock=ProcessLock(),
            )
        except Suspended as suspended:
            return suspended.request
        except Exception as error:
            return Request("end", _name_of(error), result=repr(error))
        return Request("end", answer.status, result=answer.result)


def _name_of(error: Exception) -> str:
    names = {
        LostClaimError: "lost",
        InProgressError: "in_progress",
        KeyReusedError: "reused",
        UnknownOutcomeError: "forced",
        NothingToDoError: "nothing",
        TransientError: "error",
    }
    return next((name for kind, name in names.items() if isinstance(error, kind)), "broken")


class _Played:
    """The world as one history tells it."""

    def __init__(self, items: list[Item]) -> None:
        self._items = items
        self._position = 0
        self._tokens = 0
        self._is_ending = False
        self.now = 0.0

    def token(self) -> str:
        self._tokens += 1
        return ME if self._tokens == 1 else f"{ME}{self._tokens}"

    def read(self, record_id: str) -> Found | None:
        match self._ask(Request("read")):
            case ("found", content, version, age):
                at = _time(version)
                record = None if content is None else _record(content)
                return Found(
                    record=record, update_time=at, read_time=at + timedelta(seconds=AGES[age])
                )
            case ("absent",):
                return None
        raise TransientError("a read failed")

    def create(self, record: Record, effects: Sequence[Write]) -> datetime:
        return self._write(Request("create", "", -1, content(record), _labels(effects)))

    def replace(self, record: Record, fence: datetime, effects: Sequence[Write]) -> datetime:
        version = round((fence - EPOCH).total_seconds())
        return self._write(Request("replace", "", version, content(record), _labels(effects)))

    def effect(self, name: str) -> None:
        """An outside effect."""
        match self._ask(Request("effect", name))[0]:
            case "down":
                raise UnavailableError("they are down")
            case "unknown":
                raise UnavailableError("their answer is lost", outcome_unknown=True)
            case "never":
                raise PermanentError("they refuse it")
            case "error":
                raise TransientError("an outside effect failed")

    def time(self, record_id: str) -> datetime:
        return EPOCH

    def _write(self, request: Request) -> datetime:
        match self._ask(request):
            case ("ok", version):
                return _time(version)
            case ("refused",):
                raise RefusedError
        raise TransientError("a write failed")

    def _ask(self, request: Request) -> Answer:
        while self._position < len(self._items):
            answer, self.now = self._items[self._position]
            self._position += 1
            if answer[0] != "sigterm":
                return answer
            request = request._replace(is_under_way=True)
            self._terminate()
        raise Suspended(request._replace(is_under_way=request.is_under_way or self._is_ending))

    def _terminate(self) -> None:
        self._is_ending = True
        for release in shutdown.in_progress():
            with suppress(Exception):
                release(is_last_call=True)
        self._is_ending = False


def content(record: Record) -> Content:
    """A record as the explorer compares it."""
    return Content(
        record.fingerprint,
        record.state.value,
        record.owner,
        record.write_id,
        min(record.attempts, 2),
        record.vanished,
        tuple(sorted(record.steps.items())),
        record.begun,
        tuple(sorted((name, *_owed(it)) for name, it in record.owed.items())),
        tuple(
            sorted((name, it.reason, bool(it.unknown_since)) for name, it in record.dead.items())
        ),
        tuple(sorted(record.replays.items())),
        tuple(sorted(record.salts.items())),
        record.accepted,
        record.resume_at is not None,
        record.result,
    )


def _owed(it: Owed) -> tuple[str, int, bool]:
    return it.reason, it.tries if it.reason == "transient" else 1, bool(it.unknown_since)


def _record(it: Content) -> Record:
    return Record(
        scope=SCOPE,
        key=KEY,
        fingerprint=it.fingerprint,
        state=State(it.state),
        owner=it.owner,
        write_id=it.write_id,
        attempts=it.attempts,
        vanished=it.vanished,
        lease_seconds=LEASE,
        retention_seconds=RETENTION,
        steps=dict(it.steps),
        begun=it.begun,
        owed={name: _owing(why, tries, unknown) for name, why, tries, unknown in it.owed},
        dead={
            name: Dead(reason=reason, error="e", unknown_since=EPOCH if unknown else None)
            for name, reason, unknown in it.dead
        },
        replays=dict(it.replays),
        salts=dict(it.salts),
        accepted=it.accepted,
        resume_at=EPOCH if it.handed_over else None,
        result=it.result,
        error="e" if it.dead else None,
        first_seen=EPOCH,
    )


def _owing(reason: Any, tries: int, unknown: bool) -> Owed:
    return Owed(
        reason=reason,
        first=EPOCH,
        since=EPOCH,
        tries=tries,
        until=EPOCH,
        error="e",
        unknown_since=EPOCH if unknown else None,
    )


def _labels(effects: Sequence[Write]) -> tuple[Effect, ...]:
    return tuple(_label(effect) for effect in effects)


def _label(effect: Write) -> Effect:
    collection, _, name = effect.path.partition("/")
    if collection == "dead_letters" and isinstance(effect, Merge):
        name = f"letter:{LETTERS[name]}:{effect.fields['state']}"
    return Effect(name, isinstance(effect, Create | Update))


def _time(version: int) -> datetime:
    return EPOCH + timedelta(seconds=version)
