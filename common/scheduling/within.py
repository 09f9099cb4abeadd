"""Within a handler: reminders scheduled, moved and cancelled by writes that commit with its work.

the record commits │ its alarm is set
───────────────────┼────────────────────────────────────────────────────
with a step        │ behind that commit, before the done mark
with the done mark │ before that commit
(either way)       │ by the sweep, where Cloud Tasks cannot be reached
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from common.cloud import firestore
from common.cloud.firestore import DELETE_FIELD, Snapshot, Write
from common.errors import CorruptRecordError
from common.idempotency import Work
from common.process import logs, tables
from common.scheduling import alarms, transitions
from common.scheduling import content as contents
from common.scheduling import record as records
from common.scheduling.kinds import ReminderKind
from common.scheduling.record import Record
from common.scheduling.ringing import FUNCTION
from common.scheduling.transitions import Change


class Within:
    """Reminders, as a handler changes them: each call returns writes for its `Outcome` or `write`.

    The result of a call is known only once the writes are committed; who must know, looks with
    `reminders.get`.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self.result = ""
        """What the last call comes to, if its writes are committed."""

    def schedule(
        self,
        kind: ReminderKind,
        subject: str,
        *,
        user_id: str,
        payload: Mapping[str, Any] | None = None,
        at: datetime | None = None,
        after: timedelta | None = None,
    ) -> list[Write]:
        """Schedule the reminder about `subject`, `at` an aware time or `after` a while.

        A reminder that waits is replaced, unless it says the same: user, payload, and time as it is
        given. One that is being sent goes out, and this one comes after it, also where the one that
        is being sent schedules itself. Raises ConfigurationError for a kind that no function lists,
        PermanentError for what can never be scheduled, TransientError when the record cannot be
        read.
        """
        tables.check_listed(kind)
        found, record = read(kind, subject)
        change = transitions.scheduled(
            record,
            kind,
            subject,
            contents.content(
                user_id=user_id,
                payload=payload,
                at=at,
                after=after,
                now=self._work.now,
                cause=self._work.key,
            ),
            now=found.read_time,  # later than an erasure: the generation is a new one
            setter=self._setter(found),
            is_own=self._is_own(record),
        )
        return self._written(found, record, change)

    def reschedule(
        self,
        kind: ReminderKind,
        subject: str,
        *,
        at: datetime | None = None,
        after: timedelta | None = None,
    ) -> list[Write]:
        """Move a reminder that waits to another time; where none waits, nothing is written.

        One that is being sent is moved if it turns out that it was not sent. Raises as `schedule`.
        """
        tables.check_listed(kind)
        found, record = read(kind, subject)
        now, setter = self._work.now, self._setter(found)
        change = transitions.rescheduled(record, kind, at=at, after=after, now=now, setter=setter)
        return self._written(found, record, change)

    def cancel(self, kind: ReminderKind, subject: str) -> list[Write]:
        """Cancel a reminder; where there is nothing to cancel, nothing is written.

        One that is being sent may go out, and nothing after it. Raises as `schedule`.
        """
        tables.check_listed(kind)
        found, record = read(kind, subject)
        return self._written(found, record, transitions.cancelled(record, now=self._work.now))

    def _written(self, found: Snapshot, record: Record | None, change: Change) -> list[Write]:
        self.result = change.result
        if change.alarm is not None:
            set_alarm = partial(alarms.set_if_possible, change.alarm)
            self._work.before_done(f"the alarm of {found.path}", set_alarm)
        return [] if change.fields is None else [found.write(whole(found, record, change.fields))]

    def _setter(self, found: Snapshot) -> str:
        # Called again after a conflict, it must not rely on its first alarm, which may have rung.
        return f"{self._work.token} {found.read_time.isoformat()}"

    def _is_own(self, record: Record | None) -> bool:
        """Whether it is the `act` of this very reminder that asks."""
        if record is None or record.state != "sending" or self._work.scope != FUNCTION:
            return False
        return self._work.key == f"{record.reminder_id}:{record.generation}"


def read(kind: ReminderKind, subject: str) -> tuple[Snapshot, Record | None]:
    """The reminder about that subject, and its record; one that cannot be read counts as none."""
    path = records.path_of(kind.id_of(contents.check_subject(subject)))
    found = firestore.read(path)
    try:
        return found, records.decode(found)
    except CorruptRecordError as error:
        logs.error("failed", str(error))
        return found, None


def whole(found: Snapshot, record: Record | None, fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is written in the place of what cannot be read: nothing of that stays."""
    if record is not None or not found.exists:
        return fields
    return {**dict.fromkeys(found.data, DELETE_FIELD), **fields}
