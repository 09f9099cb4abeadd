"""Work that is handed over: what cannot be done now rings again by itself.

    refused by somebody outside ──▶ reminders/resume:… pending, with the input ──alarm──▶ reminder
                                      ▲                                                     │
                                      └── still not: a new time, a new alarm ◀── the same handler

What `fanout` hands over rings at `fanout`.

The record commits with the end of the attempt. If its alarm cannot be set, or is lost, the sweep
sets another one, as for every reminder.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from msgspec import Struct, field
from msgspec.structs import asdict

from common.cloud import firestore
from common.cloud.firestore import DELETE_FIELD, Merge, Snapshot, Write
from common.errors import InProgressError, NothingToDoError, PermanentError, RefusedError
from common.idempotency import Answer, Call, dead_letters
from common.idempotency.job import Ended
from common.idempotency.origin import Origin, Received
from common.idempotency.record import record_id
from common.process import settings
from common.scheduling import alarms, transitions
from common.scheduling import record as records
from common.scheduling.alarms import EARLY, Alarm
from common.scheduling.kinds import QUEUE

KIND = "resume"
PREFIX = f"{KIND}:"
LARGEST = 900_000
"""Bytes of an input that is kept; a document holds 1 MiB."""


class Input(Struct, frozen=True, kw_only=True):
    """The input of work that is handed over."""

    function: str
    """The function that it came to."""
    data: bytes
    """As received."""
    origin: Origin = field(default_factory=Origin)


Resume = Callable[[Input], Answer]
"""Runs the handler of a function for an input again; its delivery rings for the work."""


class Resumption(Struct, frozen=True, kw_only=True):
    """Hands over the work with this key; a `Deferral`."""

    key: str
    input: Input

    @property
    def reminder_id(self) -> str:
        """The name of its record among the reminders."""
        return f"{PREFIX}{record_id(self.input.function, self.key)}"

    def set_alarm(self, ended: Ended) -> None:
        """See `Deferral`."""
        assert ended.now is not None
        assert ended.resume_at is not None
        generation = transitions.generation_after(0, ended.now)
        alarms.set_now(self._alarm(generation, ended.resume_at).task(self.reminder_id, generation))

    def writes(self, ended: Ended) -> Sequence[Write]:
        """See `Deferral`. Raises PermanentError for an input that no document holds."""
        path = records.path_of(self.reminder_id)
        if ended.state == "waiting":
            return [Merge(path=path, fields=self._pending(ended))]
        if not ended.was_handed_over:
            return []
        state = "dead" if ended.state == "dead" else _state_of(ended.result)
        return [Merge(path=path, fields=_settled(state, ended.now))]

    def _pending(self, ended: Ended) -> dict[str, Any]:
        if len(self.input.data) > LARGEST:
            raise PermanentError(f"the input has {len(self.input.data)} bytes, over {LARGEST}")
        assert ended.now is not None
        assert ended.resume_at is not None
        generation = transitions.generation_after(0, ended.now)
        return {
            "format": records.FORMAT,
            "reminder_id": self.reminder_id,
            "kind": KIND,
            "user_id": self.input.origin.user_id or "",
            "payload": _payload(self.input),
            "state": "pending",
            "generation": generation,
            "due_at": ended.resume_at,
            "what": "",
            "when": ended.resume_at.isoformat(),
            "cause": self.key,
            "alarm": self._alarm(generation, ended.resume_at).fields(self.reminder_id, generation),
            "history": [{"what": "waiting", "at": ended.now, "generation": generation}],
            "overdue_at": ended.resume_at + transitions.GRACE,
            "error": ended.error,
            "updated_at": ended.now,
            "expire_at": ended.resume_at + transitions.RETENTION,
        }

    def _alarm(self, generation: int, at: datetime) -> Alarm:
        return Alarm(queue=queue_of(self.input.function), at=at, setter=f"{KIND} {generation}")


def queue_of(function: str) -> str:
    """The queue on which the work of that function goes on: `fanout` does its own."""
    return alarms.FANOUT if function == alarms.FANOUT else QUEUE


def is_one(call: Call) -> bool:
    """Whether a call is the alarm of work that was handed over."""
    return str(call.body.get("reminder_id")).startswith(PREFIX)


def ring(call: Call, functions: Mapping[str, Resume]) -> Answer:
    """The alarm of work that was handed over rang: go on with it.

    `functions` say how each function goes on. Raises MalformedError, NothingToDoError,
    InProgressError, and what going on raises.
    """
    reminder_id, generation = call.text("reminder_id"), call.whole("generation")
    found = firestore.read(records.path_of(reminder_id))
    known = int(found.data.get("generation", 0))
    if known < generation:
        _miss(call, found)
    if known > generation or found.data.get("state") != "pending":
        raise NothingToDoError("skipped", "it has been gone on with")
    due: datetime = found.data["due_at"]
    if due - found.read_time > EARLY:
        queue = queue_of(found.data["payload"]["function"])
        again = alarms.first(queue, due, found.read_time, call.task or "by hand")
        alarms.set_now(again.task(reminder_id, generation))
        raise NothingToDoError("rescheduled", f"it is due at {due.isoformat()}")
    return _resumed(found, functions)


def _resumed(found: Snapshot, functions: Mapping[str, Resume]) -> Answer:
    input_ = _input(found.data["payload"])
    try:
        if input_.function not in functions:
            raise PermanentError(f"no function {input_.function!r} is known here")
        answer = functions[input_.function](input_)
    except PermanentError as error:
        received = Received(payload=input_.data, origin=input_.origin)
        dead_letters.record_refused(source=input_.function, error=error, received=received)
        answer = Answer(status="dead_lettered", result=str(error))
    if answer.status in ("duplicate", "dead_lettered"):
        # Whoever settled the work has settled this too, unless it never heard of it.
        with suppress(RefusedError):
            state = "dead" if answer.status == "dead_lettered" else _state_of(answer.result)
            firestore.commit([found.write(_settled(state, found.read_time))])
    return answer


def _miss(call: Call, found: Snapshot) -> None:
    # The alarm is set before the record is committed.
    lease = settings.current().lease_seconds
    due = alarms.rings_for(call)
    if due is not None and (found.read_time - due).total_seconds() <= lease:
        raise InProgressError("what was handed over is not recorded yet")
    raise NothingToDoError("skipped", "nothing of this kind was handed over")


def _state_of(result: Any) -> str:
    return "skipped" if result == "skipped" else "sent"


def _settled(state: str, now: datetime | None) -> dict[str, Any]:
    return {
        "state": state,
        "overdue_at": DELETE_FIELD,
        "payload": {"data": "", "origin": ""},
        **({"updated_at": now, "expire_at": now + transitions.RETENTION} if now else {}),
    }


def _payload(input_: Input) -> dict[str, Any]:
    origin = asdict(input_.origin)
    published = input_.origin.published_at
    origin["published_at"] = published and published.isoformat()
    # As text: a map would be merged with the one that is there.
    return {"function": input_.function, "data": _text(input_.data), "origin": json.dumps(origin)}


def _input(payload: Mapping[str, Any]) -> Input:
    data, origin = payload["data"], json.loads(payload["origin"])
    published = origin["published_at"]
    origin["published_at"] = published and datetime.fromisoformat(published)
    return Input(
        function=payload["function"],
        data=data if isinstance(data, bytes) else data.encode(),
        origin=Origin(**origin),
    )


def _text(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data
