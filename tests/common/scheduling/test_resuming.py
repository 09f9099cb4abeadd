"""Work that is handed over: recorded with its input, rung for, gone on with, and settled."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from common.cloud.firestore import Delete, Merge
from common.cloud.tasks import Task
from common.errors import MalformedError, PermanentError, UnavailableError
from common.idempotency import Answer, Call, Job, Outcome, Work, run
from common.idempotency.origin import Origin
from common.scheduling import resuming
from common.scheduling.alarms import EARLY, HOP
from common.scheduling.resuming import LARGEST, Input, Resumption
from common.scheduling.transitions import GRACE, RETENTION
from common.triggers.boundary import Ending
from tests.common.memory_cloud import Cloud

ORIGIN = Origin(
    event_id="e-1",
    user_id="ada",
    about=["o-1"],
    attributes={"traceparent": "t"},
    message_id="m-1",
    published_at=datetime(2030, 1, 1, tzinfo=UTC),
)
GIVEN = Input(function="tests", data=b'{"n": 1}', origin=ORIGIN)


@dataclass
class Waiting:
    """Work of a function whose effect waits for somebody outside, who is down."""

    cloud: Cloud
    given: Input = GIVEN
    pause: float = 60
    is_down: bool = True
    result: str = "sent"
    sent: list[str] = field(default_factory=list)
    resumed: list[Input] = field(default_factory=list)

    @property
    def resumption(self) -> Resumption:
        return Resumption(key="k", input=self.given)

    @property
    def path(self) -> str:
        return f"reminders/{self.resumption.reminder_id}"

    @property
    def record(self) -> dict[str, Any]:
        return dict(self.cloud.document(self.path))

    def deliver(self, given: Input | None = None, *, is_ringing: bool = False) -> Answer:
        payload = (given or self.given).data
        job = Job(
            scope="tests",
            key="k",
            identity=payload.hex(),
            payload=payload,
            deferral=self.resumption,
            is_ringing=is_ringing,
        )
        return run(job, self._handle)

    def ring(self, task: Task, **functions: Callable[[Input], Answer]) -> Ending:
        known = functions or {"tests": self._again}
        return self.cloud.deliver(lambda call: resuming.ring(call, known), task)

    def _again(self, given: Input) -> Answer:
        self.resumed.append(given)
        return self.deliver(given, is_ringing=True)

    def _handle(self, work: Work) -> Outcome:
        return Outcome(result=work.effect("mail", self._send))

    def _send(self, key: str) -> str:
        if self.is_down:
            raise UnavailableError("down", retry_after=self.pause)
        self.sent.append(key)
        return self.result


@pytest.fixture
def waiting(cloud: Cloud) -> Waiting:
    """Handed over, once."""
    made = Waiting(cloud)
    assert made.deliver().status == "waiting"
    return made


def alarm(waiting: Waiting) -> Task:
    """The alarm that is set for it; it is due now."""
    (task,) = waiting.cloud.tasks.take()
    assert task.at
    waiting.cloud.firestore.now = max(waiting.cloud.now, task.at)
    return task


class TestHandingOver:
    def test_it_is_recorded_with_its_input_and_an_alarm(self, waiting: Waiting) -> None:
        record = waiting.record
        assert (record["kind"], record["state"], record["user_id"]) == ("resume", "pending", "ada")
        assert (record["cause"], record["reminder_id"]) == ("k", waiting.resumption.reminder_id)
        (task,) = waiting.cloud.tasks.take()
        assert record["alarm"]["at"] == task.at == record["due_at"]
        assert task.body["generation"] == record["generation"]

    def test_the_alarm_is_due_when_the_work_is_tried_again(self, waiting: Waiting) -> None:
        pause = waiting.record["due_at"] - waiting.cloud.now
        assert timedelta(seconds=59) < pause < timedelta(seconds=76)

    def test_a_sweep_finds_it_and_it_is_kept_for_as_long_as_any(self, waiting: Waiting) -> None:
        record = waiting.record
        assert record["overdue_at"] - record["due_at"] == GRACE
        assert record["expire_at"] - record["due_at"] == RETENTION

    def test_an_input_that_no_document_holds_is_not_handed_over(self, cloud: Cloud) -> None:
        waiting = Waiting(cloud, Input(function="tests", data=b"x" * (LARGEST + 1)))
        with pytest.raises(UnavailableError):
            waiting.deliver()
        assert waiting.record == {}

    def test_one_that_a_document_just_holds_is(self, cloud: Cloud) -> None:
        waiting = Waiting(cloud, Input(function="tests", data=b"x" * LARGEST))
        assert waiting.deliver().status == "waiting"

    def test_what_was_never_handed_over_leaves_no_record(self, cloud: Cloud) -> None:
        waiting = Waiting(cloud, is_down=False)
        assert (waiting.deliver().status, waiting.record) == ("done", {})

    def test_each_function_has_records_of_its_own(self) -> None:
        names = {Resumption(key="k", input=Input(function=it, data=b"")).reminder_id for it in "ab"}
        assert len(names) == 2


class TestRinging:
    def test_it_goes_on_with_the_input_as_received(self, waiting: Waiting) -> None:
        waiting.is_down = False
        assert waiting.ring(alarm(waiting)).status == "sent"
        assert waiting.resumed == [GIVEN]
        assert len(waiting.sent) == 1

    def test_so_does_what_is_no_text(self, cloud: Cloud) -> None:
        waiting = Waiting(cloud, replace(GIVEN, data=b"\xff\x00"))
        waiting.deliver()
        waiting.ring(alarm(waiting))
        assert waiting.resumed == [waiting.given]

    def test_then_it_is_settled_and_its_input_forgotten(self, waiting: Waiting) -> None:
        waiting.is_down = False
        waiting.ring(alarm(waiting))
        record = waiting.record
        assert (record["state"], "overdue_at" in record) == ("sent", False)
        assert (record["payload"]["data"], record["payload"]["origin"]) == ("", "")
        assert record["expire_at"] - record["updated_at"] == RETENTION

    def test_what_had_nothing_to_do_is_skipped(self, waiting: Waiting) -> None:
        waiting.is_down, waiting.result = False, "skipped"
        waiting.ring(alarm(waiting))
        assert waiting.record["state"] == "skipped"

    def test_while_it_cannot_be_done_there_is_one_alarm(self, waiting: Waiting) -> None:
        for _ in range(4):
            task = alarm(waiting)
            assert waiting.ring(task).status == "waiting"
            assert waiting.ring(task).status == "skipped"
        assert len(waiting.resumed) == 4
        assert len(waiting.cloud.tasks.tasks) == 1

    def test_what_is_settled_is_not_gone_on_with(self, waiting: Waiting) -> None:
        waiting.is_down = False
        task = alarm(waiting)
        waiting.ring(task)
        assert (waiting.ring(task).status, len(waiting.resumed)) == ("skipped", 1)

    def test_an_alarm_that_is_a_little_early_counts_as_due(self, waiting: Waiting) -> None:
        (task,) = waiting.cloud.tasks.take()
        waiting.cloud.firestore.now = waiting.record["due_at"] - EARLY
        waiting.ring(task)
        assert len(waiting.resumed) == 1

    def test_one_that_is_too_early_sets_another(self, waiting: Waiting) -> None:
        (task,) = waiting.cloud.tasks.take()
        assert (waiting.ring(task).status, waiting.resumed) == ("rescheduled", [])
        assert alarm(waiting).at == waiting.record["due_at"]

    def test_a_long_wait_travels_in_hops(self, waiting: Waiting) -> None:
        (task,) = waiting.cloud.tasks.take()
        later = waiting.cloud.now + 2 * HOP
        waiting.cloud.firestore.commit([Merge(path=waiting.path, fields={"due_at": later})])
        waiting.ring(task)
        (hop,) = waiting.cloud.tasks.take()
        assert hop.at is not None
        assert hop.at < waiting.cloud.now + HOP + timedelta(seconds=1)

    def test_an_alarm_before_its_record_is_asked_again_until_a_lease_is_over(
        self, waiting: Waiting
    ) -> None:
        task = alarm(waiting)
        waiting.cloud.firestore.commit([Delete(path=waiting.path)])
        assert waiting.ring(task).code == 409
        waiting.cloud.advance(seconds=91)
        assert waiting.ring(task) == Ending(status="skipped")

    def test_a_queue_that_tries_again_names_another_time(self, waiting: Waiting) -> None:
        task = alarm(waiting)
        waiting.cloud.firestore.commit([Delete(path=waiting.path)])
        waiting.cloud.advance(seconds=91)
        assert waiting.ring(replace(task, at=waiting.cloud.now)) == Ending(status="skipped")

    def test_so_is_one_of_a_generation_that_is_not_recorded_yet(self, waiting: Waiting) -> None:
        task = alarm(waiting)
        newer = replace(task, body={**task.body, "generation": task.body["generation"] + 1})
        assert waiting.ring(newer).code == 409

    @pytest.mark.parametrize("body", [{"reminder_id": "resume:x"}, {"reminder_id": 1}])
    def test_what_names_no_generation_is_malformed(self, cloud: Cloud, body: Any) -> None:
        with pytest.raises(MalformedError):
            resuming.ring(Call(body=body, raw=b"{}"), {})

    def test_only_its_own_alarms_are_its_own(self) -> None:
        bodies = [{"reminder_id": "resume:x"}, {"reminder_id": "resumed:x"}, {}]
        assert [resuming.is_one(Call(body=it, raw=b"{}")) for it in bodies] == [True, False, False]


class TestGivingUp:
    def test_what_can_never_be_done_is_dead_with_a_letter(self, waiting: Waiting) -> None:
        def refuse(given: Input) -> Answer:
            raise PermanentError("no")

        assert waiting.ring(alarm(waiting), tests=refuse).status == "dead_lettered"
        assert (waiting.record["state"], waiting.record["payload"]["data"]) == ("dead", "")
        (letter,) = waiting.cloud.firestore.documents("dead_letters").values()
        assert (letter["source"], letter["error"]) == ("tests", "no")
        assert (letter["payload"], letter["event_id"]) == ('{"n": 1}', "e-1")

    def test_so_is_work_of_a_function_that_is_not_known_here(self, waiting: Waiting) -> None:
        assert waiting.ring(alarm(waiting), other=waiting._again).status == "dead_lettered"
        assert waiting.record["state"] == "dead"

    def test_work_that_outlasts_patience_is_dead_with_its_record(self, waiting: Waiting) -> None:
        task = alarm(waiting)
        waiting.cloud.advance(days=8)
        waiting.ring(task)
        assert waiting.record["state"] == "dead"

    def test_what_somebody_else_has_done_is_settled_too(self, waiting: Waiting) -> None:
        """Nobody but the alarm may do it; a record that was lost and came back says so."""
        done = {"tests": lambda given: Answer(status="duplicate", result="skipped")}
        waiting.ring(alarm(waiting), **done)
        assert waiting.record["state"] == "skipped"

    def test_what_has_changed_meanwhile_is_left_as_it_is(self, waiting: Waiting) -> None:
        def changed(given: Input) -> Answer:
            waiting.cloud.firestore.commit([Merge(path=waiting.path, fields={"due_at": None})])
            return Answer(status="duplicate", result="sent")

        assert waiting.ring(alarm(waiting), tests=changed).status == "duplicate"
        assert waiting.record["state"] == "pending"
