"""What the explorer of reminders must catch."""

from dataclasses import dataclass

from common.idempotency import delivery, job
from common.scheduling import reminders, sweep
from tests.common import mutants


@dataclass(frozen=True)
class Mutant(mutants.Mutant):
    """A mistake that a scenario of the proof catches."""

    scenario: str


R = reminders._Ringing

MUTANTS = [
    Mutant(
        "the claim does not move pending to sending",
        R, "_begin",
        'return [found.write({"state": "sending", "overdue_at": later})]',
        "return []",
        "cancelled",
    ),
    Mutant(
        "the claim's commit goes without what belongs to it",
        delivery._Delivery, "_claim",
        "effects = self._job.writes_on_claim()",
        "effects = ()",
        "cancelled",
    ),
    Mutant(
        "who sends takes overdue_at away",
        R, "_begin",
        '"overdue_at": later',
        '"overdue_at": DELETE_FIELD',
        "rung twice",
    ),
    Mutant(
        "the claim's write has no precondition",
        R, "_begin",
        'found.write({"state": "sending", "overdue_at": later})',
        'firestore.Merge(path=found.path, fields={"state": "sending", "overdue_at": later})',
        "cancelled",
    ),
    Mutant(
        "a ring settles whatever generation is there",
        R, "_settle",
        "not self._is_mine(found)",
        "False",
        "rescheduled",
    ),
    Mutant(
        "a ring settles without a precondition",
        R, "_settle",
        'found.write({"state": state, "overdue_at": DELETE_FIELD})',
        "firestore.Merge(path=found.path, "
        'fields={"state": state, "overdue_at": DELETE_FIELD})',
        "rescheduled",
    ),
    Mutant(
        "a ring leaves overdue_at behind",
        R, "_settle",
        ', "overdue_at": DELETE_FIELD',
        "",
        "rung twice",
    ),
    Mutant(
        "a ring leaves the record as it is",
        R, "act",
        "writes=[*outcome.writes, *settled]",
        "writes=outcome.writes",
        "rung twice",
    ),
    Mutant(
        "what finds nothing to do is not settled",
        R, "act",
        "outcome = Outcome(result=\"skipped\")",
        "raise",
        "finds nothing to do",
    ),
    Mutant(
        "a cancelled reminder rings",
        R, "look",
        'if state in ("cancelled", "skipped"):',
        'if state == "skipped":',
        "cancelled",
    ),
    Mutant(
        "an older alarm rings a newer reminder",
        R, "look",
        "if generation > self._generation:",
        "if False:",
        "rescheduled",
    ),
    Mutant(
        "an early alarm is not followed by another",
        R, "_hop",
        "_set_alarm(self._id, self._generation, now=found.read_time, due=due, setter=setter)",
        "pass",
        "early",
    ),
    Mutant(
        "every early alarm is followed by the same one",
        R, "_hop",
        'self._call.task or "by hand"',
        '"a hop"',
        "early",
    ),
    Mutant(
        "an early alarm sends",
        R, "look",
        'state == "pending" and found',
        'state == "nothing" and found',
        "early",
    ),
    Mutant(
        "what has begun is checked again",
        R, "_do",
        "work.has_begun or (self._is_mine(found) and self._kind.check(reminder))",
        "self._is_mine(found) and self._kind.check(reminder)",
        "checked, marked",
    ),
    Mutant(
        "what is dead stays in sending",
        R, "job",
        'self._settle(self._read(), "dead")',
        "[]",
        "fails for good",
    ),
    Mutant(
        "what is dead has no dead letter",
        job, "dead_letter_writes",
        "[dead_letter, *job.writes_on_dead_letter()]",
        "[*job.writes_on_dead_letter()]",
        "fails for good",
    ),
    Mutant(
        "a cancellation goes without a precondition",
        reminders, "cancel",
        'found.write({"state": "cancelled", "overdue_at": DELETE_FIELD})',
        "firestore.Merge(path=found.path, "
        'fields={"state": "cancelled", "overdue_at": DELETE_FIELD})',
        "cancelled",
    ),
    Mutant(
        "what is being sent is cancelled",
        reminders, "cancel",
        '!= "pending"',
        'not in ("pending", "sending")',
        "cancelled",
    ),
    Mutant(
        "whatever there is is cancelled",
        reminders, "cancel",
        'found.data.get("state") != "pending"',
        "not found.exists",
        "cancelled",
    ),
    Mutant(
        "a cancelled reminder is found by the sweep",
        reminders, "cancel",
        ', "overdue_at": DELETE_FIELD',
        "",
        "cancelled",
    ),
    Mutant(
        "an alarm's name goes without its setter",
        reminders, "alarm",
        "at.isoformat(), setter)",
        "at.isoformat())",
        "scheduled",
    ),
    Mutant(
        "an alarm's setter is the event, not the attempt",
        reminders, "schedule",
        'f"{work.token} {found.read_time.isoformat()}"',
        "work.step_key(reminder_id)",
        "scheduled",
    ),
    Mutant(
        "a handler that is called again relies on its first alarm",
        reminders, "schedule",
        'f"{work.token} {found.read_time.isoformat()}"',
        "work.token",
        "rescheduled",
    ),
    Mutant(
        "the record is written, and no alarm set",
        reminders, "schedule",
        "_set_alarm(reminder_id, generation, now=work.now, due=at, setter=setter)",
        "pass",
        "scheduled",
    ),
    Mutant(
        "an alarm that cannot be set is nothing to worry about",
        reminders, "_set_alarm",
        "tasks.enqueue(alarm(",
        "import contextlib\n    with contextlib.suppress(Exception): tasks.enqueue(alarm(",
        "scheduled",
    ),
    Mutant(
        "a generation is used again",
        reminders, "schedule",
        'int(found.data.get("generation", 0)) + 1',
        'max(1, int(found.data.get("generation", 0)))',
        "rescheduled",
    ),
    Mutant(
        "scheduling goes without a precondition",
        reminders, "schedule",
        "return found.write(",
        "return (lambda fields: firestore.Merge(path=found.path, fields=fields))(",
        "rescheduled twice",
    ),
    Mutant(
        "scheduling where nothing was goes without a precondition",
        reminders, "schedule",
        "return found.write(",
        "return (found.write if found.exists else "
        "lambda fields: firestore.Merge(path=found.path, fields=fields))(",
        "scheduled by two events",
    ),
    Mutant(
        "a record without overdue_at",
        reminders, "schedule",
        '"overdue_at": at + GRACE,',
        "",
        "scheduled",
    ),
    Mutant(
        "the newer generation keeps the payload of the older",
        reminders, "schedule",
        '"payload": firestore.storable_fields(payload),',
        '"payload": found.data.get("payload") or firestore.storable_fields(payload),',
        "rescheduled",
    ),
    Mutant(
        "the sweep rings nobody",
        sweep, "_ring_overdue",
        "tasks.enqueue_all(alarms)",
        "pass",
        "swept",
    ),
    Mutant(
        "the sweep rings the generation before",
        sweep, "_ring_overdue",
        'found.data["generation"]',
        'found.data["generation"] - 1',
        "swept",
    ),
]  # fmt: skip
