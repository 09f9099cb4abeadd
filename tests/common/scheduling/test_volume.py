"""Thousands of reminders, delivered twice, killed, lost, moved and cancelled: each sent once."""

import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from common.cloud.memory import Mishap
from common.cloud.tasks import Task
from common.errors import BundleError
from common.idempotency import Call, Outcome, Work
from common.process import logs
from common.scheduling import reminders, ringing, sweep
from common.scheduling.kinds import Reminder, ReminderKind
from tests.common.memory_cloud import Cloud
from tests.common.scheduling.nudge import LISTED

MINUTE = timedelta(minutes=1)
MISHAPS: list[Mishap] = ["error", "lost", "echo", "conflict"]


class Killed(BaseException):
    """The process is killed."""


@dataclass
class Town:
    """Everybody's reminders, and what happens to them. The provider honours keys."""

    cloud: Cloud
    count: int
    dice: random.Random
    sent: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """The keys under which each subject was sent a message."""
    called_off: set[str] = field(default_factory=set)
    """The subjects of which `cancelled` was answered before anything was sent."""
    kills: int = 0
    duplicates: int = 0
    retries: dict[str, datetime] = field(default_factory=dict)

    def schedule(self) -> None:
        for number in range(self.count):
            after = timedelta(seconds=self.dice.uniform(0, 4 * 3600))
            reminders.schedule(LISTED, f"s{number}", user_id="u", after=after)

    def pass_time(self, minutes: int) -> None:
        for minute in range(minutes):
            self.cloud.advance(minutes=1)
            self._deliver()
            if minute % 15 == 0:
                self._sweep()
            if minute == minutes // 3:
                self._lose_alarms()

    def _deliver(self) -> None:
        now = self.cloud.now
        due = [
            (name, task)
            for name, task in self.cloud.tasks.tasks.items()
            if task.at is not None and max(task.at, self.retries.get(name, task.at)) <= now
        ]
        for name, task in due:
            self._mishap()
            if self._is_acknowledged(task):
                del self.cloud.tasks.tasks[name]
                if self.dice.random() < 0.2:
                    self.duplicates += 1
                    self._is_acknowledged(task)
            else:
                self.retries[name] = now + 2 * MINUTE
            if self.dice.random() < 0.1:
                self._change(task.body["reminder_id"].partition(":")[2])

    def _is_acknowledged(self, task: Task) -> bool:
        kinds = {"nudge": ReminderKind(name="nudge", act=self._act)}
        try:
            return self.cloud.deliver(lambda call: ringing.ring(call, kinds), task).code == 200
        except Killed:
            self.kills += 1
            return False
        finally:
            self.cloud.firestore.mishaps = []

    def _act(self, due: Reminder, work: Work) -> Outcome:
        self._maybe_killed()
        if self.dice.random() < 0.05:
            self._change(due.subject)
        work.effect("message", lambda key: self._send(due.subject, key))
        self._maybe_killed()
        return Outcome(result="sent")

    def _send(self, subject: str, key: str) -> None:
        assert subject not in self.called_off, "sent, after `cancelled` was answered"
        self.sent[subject].add(key)

    def _maybe_killed(self) -> None:
        if self.dice.random() < 0.05:
            raise Killed

    def _mishap(self) -> None:
        if self.dice.random() < 0.1:
            self.cloud.firestore.mishaps = [self.dice.choice(MISHAPS)]

    def _change(self, subject: str) -> None:
        other = subject if self.dice.random() < 0.5 else f"s{self.dice.randrange(self.count)}"
        try:
            if self.dice.random() < 0.5:
                after = timedelta(seconds=self.dice.uniform(0, 3600))
                reminders.reschedule(LISTED, other, after=after)
            elif reminders.cancel(LISTED, other) == "cancelled" and not self.sent[other]:
                self.called_off.add(other)
        except BundleError:
            return

    def _sweep(self) -> None:
        tick = self.cloud.now.isoformat()
        sweep.sweep(Call(body={}, raw=b"{}", tick=tick))

    def _lose_alarms(self) -> None:
        for name in list(self.cloud.tasks.tasks):
            if self.dice.random() < 0.5:
                del self.cloud.tasks.tasks[name]

    def states(self) -> set[str]:
        return {str(it["state"]) for it in self.cloud.firestore.documents("reminders").values()}


@pytest.mark.parametrize("count", [200, pytest.param(10_000, marks=pytest.mark.slow)])
def test_each_is_sent_once_whatever_happens(
    cloud: Cloud, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_log", lambda *line: None)
    town = Town(cloud, count, random.Random(count))
    town.schedule()
    town.pass_time(10 * 60)
    assert town.kills > count / 20
    assert town.duplicates > count / 20
    assert town.states() <= {"sent", "cancelled"}
    assert {len(keys) for keys in town.sent.values() if keys} == {1}
    sent = {subject for subject, keys in town.sent.items() if keys}
    cancelled = {
        path.partition(":")[2]
        for path, it in cloud.firestore.documents("reminders").items()
        if it["state"] == "cancelled"
    }
    assert sent | cancelled == {f"s{number}" for number in range(count)}
    assert not sent & town.called_off
    assert cloud.firestore.documents("dead_letters") == {}


def test_a_purged_queue_of_many_is_rung_by_one_sweep(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_log", lambda *line: None)
    for number in range(500):
        reminders.schedule(LISTED, f"s{number}", user_id="u", after=MINUTE)
    cloud.tasks.take()
    cloud.advance(hours=1)
    sweep.sweep(Call(body={}, raw=b"{}", tick=cloud.now.isoformat()))
    assert len({it.body["reminder_id"] for it in cloud.tasks.take()}) == 500


def test_days_of_every_zone_rule_are_as_long_as_they_are(cloud: Cloud) -> None:
    """`after` is elapsed time: a day over a change of the clocks is 24 hours."""
    cloud.firestore.now = datetime.fromisoformat("2030-03-30T12:00:00+01:00")
    reminders.schedule(LISTED, "s", user_id="u", after=timedelta(days=1))
    found = reminders.get(LISTED, "s")
    assert found is not None
    assert found.due_at == datetime.fromisoformat("2030-03-31T13:00:00+02:00")
