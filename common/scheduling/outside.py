"""Outside of a handler, as in a web application or a shell: plain calls that survive lost replies.

A call names itself in the record that it writes. When its answer is lost, the record says whether
the write was applied. One that is repeated under the same `request` is answered as the first was.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from msgspec import Struct

from common import idempotency
from common.cloud import firestore
from common.errors import PermanentError, RefusedError, TransientError
from common.idempotency import Job, Outcome, Work
from common.idempotency.claim import MAX_TRIES, token
from common.scheduling import alarms, within
from common.scheduling import record as records
from common.scheduling.kinds import ReminderKind
from common.scheduling.record import Record
from common.scheduling.transitions import Change
from common.scheduling.within import Within

SCOPE = "application"
"""Of the records that remember requests."""

Compute = Callable[[Record | None, datetime, str], Change]
"""From the record, the server's time and the name of who asks, to what becomes of it."""
Writing = Callable[[Within], Any]
"""The same, within work of its own."""


class Asked(Struct, frozen=True, kw_only=True):
    """A call: what it asks for, in both ways in which it may be done."""

    kind: ReminderKind
    subject: str
    identity: Any
    """The JSON value that makes up the call."""
    compute: Compute
    write: Writing

    def done(self, request: str | None) -> str:
        """Do it, and say what it comes to.

        Raises TransientError when it is not known whether it was done (ask again), PermanentError
        for what can never be done, InProgressError while the same request is being done.
        """
        return self._plain(token()) if request is None else self._once(request)

    def _plain(self, write_id: str) -> str:
        results: dict[str, str] = {}
        for _ in range(MAX_TRIES):
            result = self._tried(write_id, results)
            if result is not None:
                return result
        raise TransientError(f"the reminder about {self.subject!r:.100} is out of reach now")

    def _tried(self, write_id: str, results: dict[str, str]) -> str | None:
        """One try; None: whether it was applied, the next one sees."""
        try:
            found, record = within.read(self.kind, self.subject)
        except TransientError:
            return None
        if record is not None and write_id in record.write_ids:
            if record.alarm and record.state == "pending":
                alarms.set_if_possible(record.alarm.task(record.reminder_id, record.generation))
            return results["written"]
        change = self.compute(record, found.read_time, write_id)
        if change.fields is None:
            return change.result
        known = record.write_ids if record else ()
        written = {**change.fields, "write_ids": [*known, write_id][-records.KEPT :]}
        results["written"] = change.result
        try:
            firestore.commit([found.write(within.whole(found, record, written))])
        except (RefusedError, TransientError):
            return None
        if change.alarm is not None:
            alarms.set_if_possible(change.alarm)
        return change.result

    def _once(self, request: str) -> str:
        job = Job(
            scope=SCOPE,
            key=f"{self.kind.id_of(self.subject)}:{request}",
            identity=self.identity,
            payload=request.encode(),
        )

        def handle(work: Work) -> Outcome:
            bound = Within(work)
            writes = self.write(bound)
            return Outcome(result=bound.result, writes=writes)

        answer = idempotency.run(job, handle)
        if answer.status == "dead_lettered":
            raise PermanentError(str(answer.result))
        return str(answer.result)
