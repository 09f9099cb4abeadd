"""The same over the wire: the real client, a real socket, the local Firestore, and many at once."""

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from common.cloud import tasks
from common.cloud.firestore import Merge, commit, read
from common.cloud.memory import MemoryTasks
from common.errors import BundleError
from common.idempotency import Answer, Call, Outcome, Work
from common.process import logs
from common.scheduling import reminders, ringing, sweep
from common.scheduling.kinds import Reminder, ReminderKind
from local.kernel.faults import Plan
from tests.common.scheduling.nudge import LISTED
from tests.common.wire import Wire, running

NOW, DAY = timedelta(0), timedelta(days=1)


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with running() as made:
        yield made


@pytest.fixture
def queue(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryTasks]:
    monkeypatch.setattr(logs, "_log", lambda *line: None)
    with tasks.using(MemoryTasks()) as memory:
        yield memory
    wire.use(Plan())


@dataclass
class Race:
    """One reminder, and everybody at once."""

    subject: str
    answers: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    """The keys of the messages that went out."""
    late: list[str] = field(default_factory=list)
    """Those that went out after `cancelled` was answered."""

    def ring(self, queue: MemoryTasks) -> None:
        kinds = {"nudge": ReminderKind(name="nudge", act=self._act)}
        for task in list(queue.tasks.values()):
            if task.body["reminder_id"] == f"nudge:{self.subject}":
                self._try(lambda body=task.body: _rung(body, kinds))  # type: ignore[misc]

    def cancel(self) -> None:
        self._try(lambda: self.answers.append(reminders.cancel(LISTED, self.subject)))

    def move(self) -> None:
        self._try(lambda: reminders.reschedule(LISTED, self.subject, after=timedelta(seconds=5)))

    def _try(self, call: Callable[[], object]) -> None:
        try:
            call()
        except BundleError:
            return  # nothing to do, in progress, or not known

    def _act(self, due: Reminder, work: Work) -> Outcome:
        work.effect("message", self._send)
        return Outcome(result="sent")

    def _send(self, key: str) -> None:
        (self.late if "cancelled" in self.answers else self.sent).append(key)


def _rung(body: object, kinds: dict[str, ReminderKind]) -> Answer:
    assert isinstance(body, dict)
    return ringing.ring(Call(body=body, raw=b"{}"), kinds)


def test_the_calls_of_an_application(queue: MemoryTasks) -> None:
    assert reminders.schedule(LISTED, "a", user_id="ada", after=DAY, request="r") == "scheduled"
    assert reminders.schedule(LISTED, "a", user_id="ada", after=DAY, request="r") == "scheduled"
    assert reminders.schedule(LISTED, "a", user_id="ada", after=DAY) == "unchanged"
    assert reminders.reschedule(LISTED, "a", after=2 * DAY) == "rescheduled"
    assert [it.subject for it in reminders.pending("ada")] == ["a"]
    assert reminders.cancel(LISTED, "a") == "cancelled"
    assert reminders.pending("ada") == []


@pytest.mark.parametrize("seed", range(3))
def test_a_call_whose_reply_is_lost_was_made_once(
    wire: Wire, queue: MemoryTasks, seed: int
) -> None:
    wire.use(Plan(seed=seed, lost_replies=0.4))
    subjects = [f"lost-{seed}-{number}" for number in range(5)]
    for subject in subjects:
        assert reminders.schedule(LISTED, subject, user_id="bo", after=DAY) == "scheduled"
    wire.use(Plan())
    found = [reminders.get(LISTED, subject) for subject in subjects]
    assert [len(it.history) if it else 0 for it in found] == [1] * 5


@pytest.mark.parametrize("seed", range(4))
def test_everybody_at_once_is_one_message_and_none_after_cancelled(
    queue: MemoryTasks, seed: int
) -> None:
    dice = random.Random(seed)
    race = Race(f"race-{seed}")
    reminders.schedule(LISTED, race.subject, user_id="cy", after=NOW)
    does = [lambda: race.ring(queue)] * 4 + [race.move] * 2 + [race.cancel] * 2
    dice.shuffle(does)
    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(lambda do: do(), does))
    race.ring(queue)
    found = reminders.get(LISTED, race.subject)
    assert found is not None
    assert (len(set(race.sent)) <= 1, race.late) == (True, [])
    assert found.state in (("sent",) if race.sent else ("cancelled",))


def test_a_sweep_over_the_wire(wire: Wire, queue: MemoryTasks) -> None:
    for subject in ("kept", "lost", "broken"):
        reminders.schedule(LISTED, subject, user_id="di", after=NOW)
    (lost,) = [name for name, it in queue.tasks.items() if it.body["reminder_id"] == "nudge:lost"]
    del queue.tasks[lost]
    commit([Merge(path="reminders/nudge:broken", fields={"mark": 3})])
    wire.advance(3600)
    before = len(queue.tasks)
    sweep.sweep(Call(body={}, raw=b"{}"))
    assert len(queue.tasks) == before + 1
    assert read("reminders/nudge:broken").data["state"] == "dead"
