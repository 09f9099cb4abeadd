"""The sweep rings what is overdue, and nothing else."""

import functools
from datetime import timedelta
from typing import Any

import pytest

from common.cloud.firestore import Write
from common.cloud.tasks import Task
from common.errors import PermanentError
from common.idempotency import Call, Work
from common.scheduling import reminders, sweep
from common.scheduling.reminders import GRACE
from common.triggers.boundary import Ending
from tests.common.memory_cloud import Cloud
from tests.common.scheduling.test_reminders import (
    DAY,
    LISTED,
    PATH,
    Nudge,
    cancel,
    due,
    failing,
    ring,
    schedule,
    state,
)

LATER = GRACE + timedelta(seconds=1)
TICK = "2030-01-02T00:00:00Z"


def swept(cloud: Cloud, tick: str | None = TICK, **limit: int) -> tuple[Ending, list[Task]]:
    """How the sweep ends, and what it rings."""
    body = {"campaign": sweep.NAME}
    ending = cloud.call(lambda call: sweep.sweep(call, **limit), body, tick=tick)
    return ending, cloud.tasks.take()


def overdue(cloud: Cloud, subjects: str = "s") -> None:
    """These reminders have lost their alarms, and are overdue."""
    for subject in subjects:
        cloud.handle(functools.partial(_schedule, subject), key=subject)
    cloud.tasks.take()
    cloud.firestore.now += LATER


def _schedule(subject: str, work: Work) -> list[Write]:
    return [reminders.schedule(work, LISTED, subject, user_id="u", payload={}, at=work.now)]


def test_what_has_lost_its_alarm_is_rung_and_sent(cloud: Cloud) -> None:
    overdue(cloud)
    ending, (alarm,) = swept(cloud)
    assert (ending.status, alarm.body) == ("enqueued", {"reminder_id": "nudge:s", "generation": 1})
    assert (alarm.queue, ring(cloud, alarm)) == ("reminders", "sent")


def test_an_overdue_reminder_is_rung_now(cloud: Cloud) -> None:
    overdue(cloud)
    _, (alarm,) = swept(cloud)
    assert alarm.at is not None
    assert alarm.at <= cloud.now


def test_whoever_vanished_while_sending_is_rung_again(cloud: Cloud) -> None:
    nudge, alarm = Nudge(does=failing(KeyboardInterrupt())), due(cloud)
    with pytest.raises(KeyboardInterrupt):
        ring(cloud, alarm, nudge)
    cloud.firestore.now += LATER
    _, (alarm,) = swept(cloud)
    assert (state(cloud), ring(cloud, alarm)) == ("sending", "sent")


def test_what_is_not_overdue_yet_is_left_alone(cloud: Cloud) -> None:
    due(cloud)
    cloud.firestore.now += GRACE - timedelta(seconds=1)
    assert swept(cloud) == (Ending(status="enqueued"), [])


def test_what_was_sent_is_left_alone(cloud: Cloud) -> None:
    ring(cloud, due(cloud))
    cloud.firestore.now += LATER
    assert swept(cloud)[1] == []


def test_what_is_dead_is_left_alone(cloud: Cloud) -> None:
    ring(cloud, due(cloud), Nudge(does=failing(PermanentError())))
    cloud.firestore.now += LATER
    assert swept(cloud)[1] == []


def test_what_was_cancelled_is_left_alone(cloud: Cloud) -> None:
    due(cloud)
    cancel(cloud)
    cloud.firestore.now += LATER
    assert swept(cloud)[1] == []


def test_the_newest_generation_is_rung(cloud: Cloud) -> None:
    schedule(cloud)
    schedule(cloud, key="again")
    cloud.firestore.now += DAY + LATER
    _, (alarm,) = swept(cloud)
    assert alarm.body["generation"] == 2


def test_a_tick_that_fires_twice_is_one_sweep(cloud: Cloud) -> None:
    overdue(cloud)
    (first, rung), (second, again) = swept(cloud), swept(cloud)
    assert (first.status, second.status) == ("enqueued", "duplicate")
    assert (len(rung), len(again)) == (1, 0)


def test_the_next_tick_rings_again_what_is_still_overdue(cloud: Cloud) -> None:
    overdue(cloud)
    _, (one,) = swept(cloud)
    _, (other,) = swept(cloud, "2030-01-02T00:10:00Z")
    assert one.identity != other.identity


def test_two_firings_by_hand_are_two_sweeps(cloud: Cloud) -> None:
    overdue(cloud)
    assert [len(swept(cloud, None)[1]) for _ in range(2)] == [1, 1]


def test_a_sweep_rings_so_many_and_the_next_one_goes_on(cloud: Cloud) -> None:
    overdue(cloud, "abc")
    _, alarms = swept(cloud, limit=2)
    assert sorted(it.body["reminder_id"] for it in alarms) == ["nudge:a", "nudge:b"]
    for alarm in alarms:
        ring(cloud, alarm)
    _, (last,) = swept(cloud, "2030-01-02T00:10:00Z", limit=2)
    assert last.body["reminder_id"] == "nudge:c"


def test_a_sweep_that_cannot_ring_fires_again(cloud: Cloud) -> None:
    overdue(cloud)
    cloud.tasks.mishaps = ["error"]
    ending, rung = swept(cloud)
    assert (ending.code, rung) == (500, [])
    assert len(swept(cloud)[1]) == 1


def test_one_alarm_that_cannot_be_set_does_not_stop_the_others(cloud: Cloud) -> None:
    overdue(cloud, "ab")
    cloud.tasks.mishaps = ["error"]
    assert len(swept(cloud)[1]) == 1


def test_the_record_stays_as_it_was(cloud: Cloud) -> None:
    overdue(cloud)
    before = cloud.document(PATH)
    swept(cloud)
    assert cloud.document(PATH) == before


@pytest.mark.parametrize("task", ["one", None])
def test_a_sweep_needs_no_tick(cloud: Cloud, task: Any) -> None:
    overdue(cloud)
    call = Call(body={}, raw=b"{}", task=task)
    assert sweep.sweep(call).result == "enqueued"
