"""What the explorer of reminders must catch."""

from dataclasses import dataclass

from common.idempotency import attempt, delivery
from common.scheduling import alarms, outside, ringing, sweep, transitions, within
from tests.common import mutants


@dataclass(frozen=True)
class Mutant(mutants.Mutant):
    """A mistake that a scenario of the proof catches."""

    scenario: str


R = ringing._Ringing
W = within.Within

MUTANTS = [
    Mutant(
        "the claim does not move pending to sending",
        R, "_begin",
        "return [found.write(fields)]",
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
        transitions, "begun",
        '"overdue_at": now + GRACE',
        '"overdue_at": DELETE_FIELD',
        "rung twice",
    ),
    Mutant(
        "the claim's write has no precondition",
        R, "_begin",
        "found.write(fields)",
        "firestore.Merge(path=found.path, fields=fields)",
        "cancelled",
    ),
    Mutant(
        "a ring settles without a precondition",
        R, "_settled",
        "[found.write(change.fields)]",
        "[firestore.Merge(path=found.path, fields=change.fields)]",
        "rescheduled",
    ),
    Mutant(
        "a ring leaves overdue_at behind",
        transitions, "_settled",
        '"overdue_at": DELETE_FIELD,',
        "",
        "rung twice",
    ),
    Mutant(
        "a ring leaves the record as it is",
        R, "_settled",
        "*self._others(writes), *settled]",
        "*self._others(writes)]",
        "rung twice",
    ),
    Mutant(
        "what finds nothing to do is not settled",
        R, "_do",
        'logs.info("skipped", str(error))',
        "raise",
        "finds nothing to do",
    ),
    Mutant(
        "a cancelled reminder rings",
        R, "look",
        'if record.state in ("cancelled", "skipped"):',
        'if record.state == "skipped":',
        "cancelled",
    ),
    Mutant(
        "an older alarm rings a newer reminder",
        R, "look",
        "if record.generation > self._generation:",
        "if False:",
        "rescheduled",
    ),
    Mutant(
        "an early alarm is not followed by another",
        R, "_put_off",
        "alarms.set_now(change.alarm)",
        "pass",
        "early",
    ),
    Mutant(
        "every early alarm is followed by the same one",
        R, "_put_off",
        'self._call.task or "by hand"',
        '"a hop"',
        "early",
    ),
    Mutant(
        "an early alarm sends",
        R, "_check_time",
        "record.due_at - now > EARLY",
        "False",
        "early",
    ),
    Mutant(
        "what has begun is checked again",
        R, "_do",
        "work.has_begun or (record is not None and self._kind.check(due))",
        "record is not None and self._kind.check(due)",
        "checked, marked",
    ),
    Mutant(
        "what is dead stays in sending",
        R, "job",
        "writes_on_dead_letter=self._give_up,",
        "",
        "fails for good",
    ),
    Mutant(
        "what is dead has no dead letter",
        attempt.Attempt, "_letters",
        "[*opened, *replayed]",
        "replayed",
        "fails for good",
    ),
    Mutant(
        "changes go without a precondition",
        W, "_written",
        "[found.write(whole(found, record, change.fields))]",
        "[firestore.Merge(path=found.path, fields=change.fields)]",
        "cancelled",
    ),
    Mutant(
        "what is being sent is cancelled",
        transitions, "cancelled",
        'case "sending":',
        'case "nothing":',
        "cancelled",
    ),
    Mutant(
        "what was sent is cancelled",
        transitions, "cancelled",
        'case "sent":',
        'case "nothing":',
        "cancelled",
    ),
    Mutant(
        "what is being sent is replaced",
        transitions, "scheduled",
        'if record.state == "pending":',
        "if True:",
        "rescheduled twice",
    ),
    Mutant(
        "what is being sent is moved",
        transitions, "rescheduled",
        'if record.state == "sending":',
        "if False:",
        "moved",
    ),
    Mutant(
        "what was asked for meanwhile is forgotten",
        transitions, "done",
        'case "schedule" if others and others.content:',
        'case "nothing" if others and others.content:',
        "rescheduled",
    ),
    Mutant(
        "what was moved while it was sent is sent again",
        transitions, "done",
        'case "schedule" if others and others.content:',
        'case "schedule" | "reschedule" if others and others.content:',
        "moved",
    ),
    Mutant(
        "its own next one wins over a cancellation",
        transitions, "done",
        'case "cancel" if following or state == "skipped":',
        'case "nothing":',
        "recurs, and cancelled",
    ),
    Mutant(
        "what is cancelled while it fails is tried again",
        transitions, "put_back",
        'if mark and mark.does == "cancel":',
        "if False:",
        "fails once",
    ),
    Mutant(
        "what waits keeps its mark",
        transitions, "put_back",
        "if mark and mark.content:",
        "if False:",
        "moved",
    ),
    Mutant(
        "what may have gone out counts as pending",
        R, "writes",
        "ended.is_outcome_unknown or self._is_under_way()",
        "self._is_under_way()",
        "cancelled",
    ),
    Mutant(
        "what an earlier attempt may have sent counts as pending",
        R, "_is_under_way",
        "self._may_have_happened or ",
        "",
        "rung twice",
    ),
    Mutant(
        "what has gone out counts as pending, because its end was refused",
        R, "writes",
        "ended.is_outcome_unknown or self._is_under_way()",
        "False",
        "fails once",
    ),
    Mutant(
        "an alarm's name goes without its setter",
        alarms.Alarm, "task",
        "self.at.isoformat(), self.setter)",
        'self.at.isoformat(), "")',
        "early",
    ),
    Mutant(
        "a handler that is called again relies on its first alarm",
        W, "_setter",
        'f"{self._work.token} {found.read_time.isoformat()}"',
        "self._work.token",
        "rescheduled",
    ),
    Mutant(
        "the record is written, and no alarm set",
        W, "_written",
        'self._work.before_done(f"the alarm of {found.path}", set_alarm)',
        "pass",
        "scheduled",
    ),
    Mutant(
        "an application's record is written, and no alarm set",
        outside.Asked, "_tried",
        "if change.alarm is not None:",
        "if False:",
        "scheduled by an application",
    ),
    Mutant(
        "an application whose answer is lost sets no alarm",
        outside.Asked, "_tried",
        'if record.alarm and record.state == "pending":',
        "if False:",
        "scheduled by an application",
    ),
    Mutant(
        "a ring's next one has no alarm",
        R, "_settled",
        "if change.alarm is not None:",
        "if False:",
        "recurs",
    ),
    Mutant(
        "a generation is used again",
        transitions, "_next",
        "generation_after(record.generation if record else 0, now)",
        "max(1, record.generation if record else 0)",
        "rescheduled",
    ),
    Mutant(
        "scheduling where nothing was goes without a precondition",
        W, "_written",
        "[found.write(whole(found, record, change.fields))]",
        "[(found.write if found.exists else "
        "lambda fields: firestore.Merge(path=found.path, fields=fields))(change.fields)]",
        "scheduled by two events",
    ),
    Mutant(
        "a record without overdue_at",
        transitions, "_next",
        '"overdue_at": max(wanted.due_at, now) + GRACE,',
        "",
        "scheduled",
    ),
    Mutant(
        "the newer generation keeps the payload of the older",
        transitions, "_next",
        "**wanted.fields(),",
        "**(record.content if record else wanted).fields(),",
        "rescheduled",
    ),
    Mutant(
        "the next generation keeps the mark of the one before",
        transitions, "_next",
        "if record and record.mark:",
        "if False:",
        "rescheduled",
    ),
    Mutant(
        "the sweep rings nobody",
        sweep, "_rung",
        "alarms.set_now(change.alarm)",
        "pass",
        "swept",
    ),
    Mutant(
        "the sweep takes every alarm for one that is there",
        sweep, "_looked_after",
        "alarm is not None and tasks.exists(alarm.queue, tasks.name(alarm.identity))",
        "True",
        "swept",
    ),
    Mutant(
        "the sweep looks away for ever",
        transitions, "looked_at",
        "now + GRACE",
        "DELETE_FIELD",
        "swept",
    ),
]  # fmt: skip
