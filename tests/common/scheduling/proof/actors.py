"""Who is at work: each actor is the real code, called as its trigger calls it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from common import idempotency
from common.cloud import firestore
from common.errors import NothingToDoError, NotYetError, PermanentError, TransientError
from common.idempotency import Answer, Call, Job, Outcome, Work
from common.idempotency.origin import Received
from common.idempotency.record import record_id
from common.process.tables import table
from common.scheduling import record as records
from common.scheduling import reminders, ringing, sweep
from common.scheduling.reminders import Reminder, ReminderKind
from common.triggers import boundary
from common.triggers.boundary import Ending
from tests.common.scheduling.proof.scripts import EPOCH, Stage

DUE = 3600.0
"""When a reminder is due, in seconds since the EPOCH."""
MOVED = DUE + 1
"""When it is due once it has been moved: as early as counts as due."""
SUBJECT = "s"


Does = Literal["schedule", "reschedule", "cancel"]


class Event(NamedTuple):
    """An event whose handler schedules, moves or cancels the reminder."""

    name: str
    does: Does = "schedule"
    by_step: bool = False
    """The record commits with a step of its own, not with the event's mark."""


class Application(NamedTuple):
    """A call of an application."""

    name: str
    does: Does = "schedule"


class Ring(NamedTuple):
    """A delivery of an alarm."""

    generation: int
    is_replay: bool = False
    """An operator replays the dead letter."""


class Sweep(NamedTuple):
    """A firing of the sweep's tick."""

    tick: str


Actor = Event | Application | Ring | Sweep
Act = Callable[[Stage, Reminder, Work, bool], Outcome]
"""What a reminder does; the last argument says whether this is a replay."""


@dataclass(frozen=True)
class Programme:
    """A kind of reminder: what it does when it is due."""

    act: Act
    endings: tuple[str, ...] = ("sent",)
    """How a reminder may end that was neither cancelled nor replaced."""
    has_check: bool = False


def message(stage: Stage, due: Reminder, work: Work, is_replay: bool) -> Outcome:
    """One message, whose mark travels with the reminder's end."""
    work.effect("message", lambda key: stage.send(due.payload["from"], key))
    return Outcome(result="sent")


def marked(stage: Stage, due: Reminder, work: Work, is_replay: bool) -> Outcome:
    """One message, whose mark is a commit of its own."""
    work.step("message", lambda key: stage.send(due.payload["from"], key))
    return Outcome(result="sent")


def flaky(stage: Stage, due: Reminder, work: Work, is_replay: bool) -> Outcome:
    """Fails once."""
    if work.attempt == 1:
        raise TransientError("flaky")
    return message(stage, due, work, is_replay)


def broken(stage: Stage, due: Reminder, work: Work, is_replay: bool) -> Outcome:
    """Can never succeed, until a replay finds it mended."""
    if not is_replay:
        raise PermanentError("broken")
    return message(stage, due, work, is_replay)


def early(stage: Stage, due: Reminder, work: Work, is_replay: bool) -> Outcome:
    """Needs something that has happened once the reminder is overdue."""
    if (work.now - EPOCH).total_seconds() < DUE + 300:
        raise NotYetError("early")
    return message(stage, due, work, is_replay)


def recurring(stage: Stage, due: Reminder, work: Work, is_replay: bool) -> Outcome:
    """One message, and the first time another one after it."""
    work.effect("message", lambda key: stage.send(due.payload["from"], key))
    if due.payload["from"] == "next":
        return Outcome(result="sent")
    kind = KINDS[due.kind]
    return Outcome(writes=_scheduling(work, kind, "next"))


def pointless(stage: Stage, due: Reminder, work: Work, is_replay: bool) -> Outcome:
    """Finds that there is nothing to do."""
    raise NothingToDoError("skipped", "pointless")


PROGRAMMES = {
    "message": Programme(message),
    "checked": Programme(message, ("sent", "skipped"), has_check=True),
    "checked, marked": Programme(marked, ("sent", "skipped"), has_check=True),
    "flaky": Programme(flaky),
    "broken": Programme(broken, ("dead", "sent")),
    "early": Programme(early),
    "poison": Programme(message, ("dead", "sent")),
    "pointless": Programme(pointless, ("skipped",)),
    "recurring": Programme(recurring),
}
KINDS = table(*(ReminderKind(name=name, act=lambda due, work: Outcome()) for name in PROGRAMMES))
"""Listed, so that they can be scheduled; what they do, each stage says."""


@dataclass(frozen=True)
class Delivered:
    """What the alarm's delivery says of its task."""

    task: str
    at: float


class Troupe:
    """Plays any actor of one programme."""

    def __init__(self, name: str) -> None:
        self.programme = PROGRAMMES[name]
        self._kind = KINDS[name]
        self.reminder_id = f"{name}:{SUBJECT}"
        self.path = records.path_of(self.reminder_id)

    def record_path(self, actor: Event | Ring) -> str:
        """Where the idempotency record of an actor's work is."""
        match actor:
            case Event():
                scope, key = "consumer", actor.name
            case Ring():
                scope, key = "reminder", f"{self.reminder_id}:{actor.generation}"
        return f"idempotency/{record_id(scope, key)}"

    def letter_path(self, generation: int) -> str:
        """Where the dead letter of a generation is."""
        return self.record_path(Ring(generation)).replace("idempotency", "dead_letters")

    def play(self, actor: Actor, delivered: Delivered | None, stage: Stage) -> Ending:
        """One delivery to the function, from its boundary on."""
        match actor:
            case Event():
                return boundary.attend(
                    "consumer", lambda: Received(payload=b"{}"), lambda: self._handle(actor)
                )
            case Ring():
                kinds = {self._kind.name: self._on(stage, actor)}
                call = self._call(actor, delivered)
                return boundary.attend(
                    "reminder",
                    lambda: Received(payload=call.raw),
                    lambda: ringing.ring(call, kinds),
                )
            case Application():
                return boundary.attend("application", _nothing, lambda: self._called(actor))
            case Sweep():
                call = Call(body={}, raw=b"{}", tick=actor.tick)
                return boundary.attend(
                    "fanout", lambda: Received(payload=call.raw), lambda: sweep.sweep(call)
                )

    def _call(self, ring: Ring, delivered: Delivered | None) -> Call:
        body = {"reminder_id": self.reminder_id, "generation": ring.generation}
        letter = self.letter_path(ring.generation).partition("/")[2]
        return Call(
            body=body,
            raw=b"{}",
            task=delivered.task if delivered else None,
            due_at=EPOCH + timedelta(seconds=delivered.at) if delivered else None,
            replay_of=letter if ring.is_replay else None,
        )

    def _on(self, stage: Stage, ring: Ring) -> ReminderKind:
        def act(due: Reminder, work: Work) -> Outcome:
            return self.programme.act(stage, due, work, ring.is_replay)

        def check(due: Reminder) -> bool:
            return not self.programme.has_check or stage.makes_sense()

        return ReminderKind(name=self._kind.name, act=act, check=check)

    def _handle(self, event: Event) -> Answer:
        job = Job(scope="consumer", key=event.name, identity=event.name, payload=b"{}")
        return idempotency.run(job, lambda work: self._react(event, work))

    def _react(self, event: Event, work: Work) -> Outcome:
        if event.by_step:
            work.write("user", lambda: self._asked(event, work))
            return Outcome(result="handled")
        return Outcome(result="handled", writes=self._asked(event, work))

    def _asked(self, event: Event, work: Work) -> list[firestore.Write]:
        match event.does:
            case "schedule":
                return _scheduling(work, self._kind, event.name)
            case "reschedule":
                return reminders.within(work).reschedule(self._kind, SUBJECT, at=_at(MOVED))
            case "cancel":
                return reminders.within(work).cancel(self._kind, SUBJECT)

    def _called(self, it: Application) -> Answer:
        match it.does:
            case "schedule":
                payload = {"from": it.name}
                result = reminders.schedule(
                    self._kind, SUBJECT, user_id="u", payload=payload, at=_at(DUE)
                )
            case "reschedule":
                result = reminders.reschedule(self._kind, SUBJECT, at=_at(MOVED))
            case "cancel":
                result = reminders.cancel(self._kind, SUBJECT)
        return Answer(status="done", result=result)


def _scheduling(work: Work, kind: ReminderKind, name: str) -> list[firestore.Write]:
    return reminders.within(work).schedule(
        kind, SUBJECT, user_id="u", payload={"from": name}, at=_at(DUE)
    )


def _nothing() -> Received:
    return Received(payload=b"{}")


def _at(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)
