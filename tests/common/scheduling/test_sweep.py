"""The sweep sets another alarm for what is overdue and has none, and for nothing else."""

import functools
from datetime import timedelta
from typing import Any

import pytest

from common.cloud.firestore import Create, Merge, Write
from common.cloud.tasks import Task
from common.errors import PermanentError, TransientError
from common.idempotency import Call, Work
from common.scheduling import reminders, ringing, sweep
from common.scheduling.transitions import GRACE
from common.triggers.boundary import Ending
from tests.common.logged import entries
from tests.common.memory_cloud import Cloud
from tests.common.scheduling.nudge import (
    DAY,
    LISTED,
    PATH,
    Nudge,
    cancel,
    due,
    failing,
    ring,
    schedule,
    scheduling,
    state,
)

LATER = GRACE + timedelta(seconds=1)


def swept(cloud: Cloud, **sizes: int) -> tuple[Ending, list[Task]]:
    """How the sweep ends, and what it rings."""
    before = set(cloud.tasks.tasks)
    body, tick = {"campaign": sweep.NAME}, cloud.now.isoformat()
    ending = cloud.call(lambda call: sweep.sweep(call, **sizes), body, tick=tick)
    return ending, [task for name, task in cloud.tasks.tasks.items() if name not in before]


def overdue(cloud: Cloud, subjects: Any = "s", *, has_alarms: bool = False) -> None:
    """These reminders are overdue, and have lost their alarms."""
    for subject in subjects:
        cloud.handle(functools.partial(_schedule, subject), key=subject)
    if not has_alarms:
        cloud.tasks.take()
    cloud.firestore.now += LATER


def _schedule(subject: str, work: Work) -> list[Write]:
    return reminders.within(work).schedule(LISTED, subject, user_id="u", at=work.now)


def test_what_has_lost_its_alarm_is_rung_and_sent(cloud: Cloud) -> None:
    overdue(cloud)
    ending, (alarm,) = swept(cloud)
    assert (ending.status, alarm.body["reminder_id"]) == ("enqueued", "nudge:s")
    assert (alarm.queue, ring(cloud, alarm)) == ("reminders", "sent")


def test_an_overdue_reminder_is_rung_now(cloud: Cloud) -> None:
    overdue(cloud)
    _, (alarm,) = swept(cloud)
    assert alarm.at is not None
    assert alarm.at <= cloud.now


def test_what_has_its_alarm_is_left_alone(cloud: Cloud) -> None:
    """A queue that is paused for ten hours holds each alarm once."""
    overdue(cloud, "abc", has_alarms=True)
    for _ in range(40):
        assert swept(cloud)[1] == []
        cloud.firestore.now += LATER
    assert len(cloud.tasks.tasks) == 3


def test_whoever_vanished_while_sending_is_rung_again_once_the_queue_has_forgotten(
    cloud: Cloud,
) -> None:
    nudge, alarm = Nudge(does=failing(KeyboardInterrupt())), due(cloud)
    with pytest.raises(KeyboardInterrupt):
        ring(cloud, alarm, nudge)
    cloud.firestore.now += LATER
    _, (alarm,) = swept(cloud)
    assert (state(cloud), ring(cloud, alarm)) == ("sending", "sent")


def test_what_is_not_overdue_yet_is_left_alone(cloud: Cloud) -> None:
    due(cloud)
    cloud.firestore.now += GRACE - timedelta(seconds=1)
    assert swept(cloud) == (Ending(status="skipped"), [])


@pytest.mark.parametrize("end", [lambda cloud: ring(cloud, due(cloud)), lambda cloud: _dead(cloud),
                                 lambda cloud: _cancelled(cloud)])  # fmt: skip
def test_what_is_settled_is_left_alone(cloud: Cloud, end: Any) -> None:
    end(cloud)
    cloud.firestore.now += LATER
    reads = cloud.firestore.reads
    assert (swept(cloud)[1], cloud.firestore.reads - reads) == ([], 1)


def _dead(cloud: Cloud) -> None:
    ring(cloud, due(cloud), Nudge(does=failing(PermanentError())))


def _cancelled(cloud: Cloud) -> None:
    due(cloud)
    cancel(cloud)


def test_an_idle_sweep_costs_one_query_and_writes_one_line(
    cloud: Cloud, capfd: pytest.CaptureFixture[str]
) -> None:
    schedule(cloud)
    reads, commits = cloud.firestore.reads, cloud.firestore.commits
    capfd.readouterr()
    swept(cloud)
    assert (cloud.firestore.reads - reads, cloud.firestore.commits - commits) == (1, 0)
    assert [it["message"] for it in entries(capfd)] == ["overdue reminders: none", "skipped"]


def test_the_newest_generation_is_rung(cloud: Cloud) -> None:
    schedule(cloud)
    newest = schedule(cloud, key="again", n=2).body["generation"]
    cloud.firestore.now += DAY + LATER
    _, (alarm,) = swept(cloud)
    assert alarm.body["generation"] == newest


def test_two_sweeps_set_one_alarm(cloud: Cloud) -> None:
    overdue(cloud)
    (_, rung), (_, again) = swept(cloud), swept(cloud)
    assert (len(rung), again) == (1, [])


def test_an_alarm_of_one_sweep_has_the_name_of_the_others(cloud: Cloud) -> None:
    """One of two sweeps at the same time is too late to write, and not to set an alarm."""
    overdue(cloud)
    cloud.firestore.mishaps = ["conflict"]
    rung = len(swept(cloud)[1])
    cloud.advance(seconds=1)
    assert (rung, swept(cloud)[1]) == (1, [])


def test_what_loses_one_alarm_after_the_other_is_rung_again_and_again(cloud: Cloud) -> None:
    overdue(cloud)
    names = set()
    for _ in range(3):
        _, (alarm,) = swept(cloud)
        names.add(alarm.identity)
        cloud.tasks.take()
        cloud.firestore.now += LATER
    assert len(names) == 3


@pytest.mark.parametrize("tick", [None, "soon", "2030-01-01T09:00:00"])
def test_a_sweep_by_hand_needs_no_tick(cloud: Cloud, tick: Any) -> None:
    overdue(cloud)
    assert sweep.sweep(Call(body={}, raw=b"{}", tick=tick)).result == "enqueued"


def test_a_sweep_goes_page_by_page_and_the_next_one_goes_on(cloud: Cloud) -> None:
    overdue(cloud, [f"s{n}" for n in range(7)])
    assert [len(swept(cloud, page=2, pages=2)[1]) for _ in range(3)] == [4, 3, 0]


def test_those_that_cannot_be_helped_do_not_hide_the_others(cloud: Cloud) -> None:
    overdue(cloud, [f"stuck{n:02}" for n in range(20)], has_alarms=True)
    cloud.handle(functools.partial(_schedule, "lost"), key="lost")
    (name,) = [name for name, it in cloud.tasks.tasks.items() if "lost" in it.body["reminder_id"]]
    del cloud.tasks.tasks[name]
    cloud.firestore.now += LATER
    rung = [task for _ in range(6) for task in swept(cloud, page=5, pages=1)[1]]
    assert [task.body["reminder_id"] for task in rung] == ["nudge:lost"]


def test_a_sweep_without_cloud_tasks_fails_and_the_next_one_rings(cloud: Cloud) -> None:
    overdue(cloud)
    cloud.tasks.is_unreachable = True
    assert swept(cloud)[0].code == 500
    cloud.tasks.is_unreachable = False
    assert len(swept(cloud)[1]) == 1


def test_an_outage_of_cloud_tasks_is_no_error_of_ours(
    cloud: Cloud, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nobody is woken for what is set by a later sweep."""
    cloud.tasks.is_unreachable = True
    cloud.handle(scheduling(cloud, timedelta(0)))
    cloud.firestore.now += LATER
    swept(cloud)
    assert "ERROR" not in {it["severity"] for it in entries(capfd)}


def test_one_alarm_that_cannot_be_set_does_not_stop_the_others(cloud: Cloud) -> None:
    overdue(cloud, "ab")
    cloud.tasks.mishaps = ["error"]
    ending, rung = swept(cloud)
    assert (ending.code, len(rung)) == (500, 1)
    assert len(swept(cloud)[1]) == 1


def test_an_alarm_that_rings_before_the_sweep_has_written_it_down_is_one(cloud: Cloud) -> None:
    overdue(cloud)
    cloud.firestore.mishaps = ["conflict"]
    ending, (alarm,) = swept(cloud)
    assert (ending.status, ring(cloud, alarm)) == ("enqueued", "sent")


def test_a_record_that_changes_meanwhile_is_not_a_failure(cloud: Cloud) -> None:
    overdue(cloud, has_alarms=True)
    cloud.firestore.mishaps = ["conflict"]
    assert swept(cloud)[0].code == 200


@pytest.mark.parametrize("broken", [{"state": "?"}, {"generation": "x"}, {"reminder_id": 3}])
def test_a_broken_record_is_dead_once_and_stops_nobody(cloud: Cloud, broken: Any) -> None:
    overdue(cloud, "ab")
    cloud.firestore.commit([Merge(path="reminders/nudge:a", fields=broken)])
    found = [len(swept(cloud)[1])]
    for _ in range(50):
        cloud.firestore.now += LATER
        found.append(len(swept(cloud)[1]))
    assert found == [1] + [0] * 50
    assert cloud.document("reminders/nudge:a")["state"] == "dead"
    assert len(cloud.firestore.documents("dead_letters")) == 1


def test_a_copy_of_a_record_is_dead_once_and_the_other_one_is_sent(cloud: Cloud) -> None:
    """Somebody has copied a document by hand: its alarm would be that of the original."""
    overdue(cloud, "s", has_alarms=True)
    copy = dict(cloud.document(PATH))
    cloud.firestore.commit([Create(path="reminders/nudge:copy", fields=copy)])
    for _ in range(5):
        assert swept(cloud)[1] == []
        cloud.firestore.now += LATER
    assert cloud.document("reminders/nudge:copy")["state"] == "dead"
    assert len(cloud.firestore.documents("dead_letters")) == 1
    (alarm,) = cloud.tasks.take()
    assert cloud.deliver(Nudge().ring, alarm).status == "sent"


def test_a_removed_kind_is_dead_once(cloud: Cloud) -> None:
    overdue(cloud)
    for _ in range(5):
        for alarm in swept(cloud)[1]:
            cloud.deliver(lambda call: ringing.ring(call, {}), alarm)
            cloud.tasks.take()
        cloud.firestore.now += LATER
    assert (state(cloud), len(cloud.firestore.documents("dead_letters"))) == ("dead", 1)


def test_one_that_is_broken_again_is_settled_again_without_another_letter(cloud: Cloud) -> None:
    for _ in range(2):
        overdue(cloud)
        cloud.firestore.commit([Merge(path=PATH, fields={"mark": 3, "generation": 7})])
        swept(cloud)
        assert state(cloud) == "dead"
        cloud.firestore.commit([Merge(path=PATH, fields={"overdue_at": cloud.now, "state": "?"})])
    cloud.firestore.now += LATER
    swept(cloud)
    assert (state(cloud), len(cloud.firestore.documents("dead_letters"))) == ("dead", 1)


def test_one_that_is_settled_and_overdue_all_the_same_is_found_once(cloud: Cloud) -> None:
    ring(cloud, due(cloud))
    cloud.firestore.commit([Merge(path=PATH, fields={"overdue_at": cloud.now - LATER})])
    swept(cloud)
    assert (state(cloud), "overdue_at" in cloud.document(PATH)) == ("sent", False)


def test_what_no_alarm_can_be_set_for_is_dead(cloud: Cloud) -> None:
    overdue(cloud)
    cloud.tasks.mishaps = ["permanent"]
    swept(cloud)
    assert (state(cloud), len(cloud.firestore.documents("dead_letters"))) == ("dead", 1)


def test_an_alarm_that_was_never_set_is_set_by_the_sweep(cloud: Cloud) -> None:
    cloud.tasks.is_unreachable = True
    cloud.handle(scheduling(cloud, timedelta(0)))
    cloud.tasks.is_unreachable = False
    cloud.firestore.now += LATER
    _, (alarm,) = swept(cloud)
    assert ring(cloud, alarm) == "sent"


def test_a_sweep_that_cannot_read_fails(cloud: Cloud) -> None:
    cloud.firestore.failing_reads = 1
    with pytest.raises(TransientError):
        sweep.sweep(Call(body={}, raw=b"{}", tick=cloud.now.isoformat()))
