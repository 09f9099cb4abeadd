"""Outside of a handler: calls with an answer, which may be repeated and survive lost replies."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from common.cloud.firestore import Merge
from common.cloud.memory import Mishap
from common.errors import KeyReusedError, PermanentError, TransientError
from common.idempotency import Work
from common.scheduling import reminders
from tests.common.memory_cloud import Cloud
from tests.common.scheduling.nudge import (
    DAY,
    LISTED,
    PATH,
    Nudge,
    due,
    failing,
    history,
    ring,
    state,
)


def schedule(after: timedelta = DAY, **more: Any) -> str:
    return reminders.schedule(LISTED, "s", user_id="u", after=after, **more)


def cancel(**more: Any) -> str:
    return reminders.cancel(LISTED, "s", **more)


def move(after: timedelta = 2 * DAY, **more: Any) -> str:
    return reminders.reschedule(LISTED, "s", after=after, **more)


def meanwhile(cloud: Cloud, call: Callable[[], Any], then: Callable[[Work], None]) -> list[Any]:
    """What a call answers that comes while the reminder is being sent."""
    answers: list[Any] = []
    alarm = due(cloud)
    ring(cloud, alarm, Nudge(does=lambda work: answers.append(call()), then=then))
    return answers


def test_what_is_scheduled_rings_and_is_sent(cloud: Cloud) -> None:
    assert schedule(payload={"n": 1}) == "scheduled"
    (alarm,) = cloud.tasks.take()
    cloud.firestore.now += DAY
    nudge = Nudge()
    assert (ring(cloud, alarm, nudge), nudge.told) == ("sent", [{"n": 1}])


def test_the_same_again_is_unchanged_and_sets_no_alarm(cloud: Cloud) -> None:
    assert [schedule(), schedule(), schedule(2 * DAY)] == ["scheduled", "unchanged", "scheduled"]
    assert len(cloud.tasks.tasks) == 2


def test_a_naive_time_is_refused(cloud: Cloud) -> None:
    with pytest.raises(PermanentError, match="without a zone"):
        reminders.schedule(LISTED, "s", user_id="u", at=cloud.now.replace(tzinfo=None))
    with pytest.raises(PermanentError, match="one of both"):
        reminders.reschedule(LISTED, "s")
    assert cloud.firestore.commits == 0


def test_the_answers_of_cancel(cloud: Cloud) -> None:
    assert cancel() == "unknown"
    schedule()
    assert [cancel(), cancel()] == ["cancelled", "cancelled"]
    assert meanwhile(cloud, cancel, lambda work: None)[0] == "in_flight"
    assert cancel() == "already_sent"


def test_the_answers_of_reschedule(cloud: Cloud) -> None:
    assert move() == "unknown"
    schedule()
    assert [move(), move(), move(3 * DAY)] == ["rescheduled", "unchanged", "rescheduled"]
    cancel()
    assert move() == "unknown"
    assert meanwhile(cloud, move, lambda work: None)[0] == "in_flight"
    assert move() == "already_sent"


def test_what_is_cancelled_in_flight_cannot_be_moved(cloud: Cloud) -> None:
    assert meanwhile(cloud, lambda: (cancel(), move()), lambda work: None)[0] == (
        "in_flight",
        "unknown",
    )


def test_scheduling_in_flight_comes_after(cloud: Cloud) -> None:
    assert meanwhile(cloud, lambda: schedule(3 * DAY), lambda work: None)[0] == "in_flight"
    assert state(cloud) == "pending"


def test_cancelled_means_that_nothing_goes_out_whatever_was_tried(cloud: Cloud) -> None:
    nudge, alarm = Nudge(does=failing(TransientError())), due(cloud)
    ring(cloud, alarm, nudge)
    assert cancel() == "cancelled"
    nudge.does = lambda work: None
    assert (ring(cloud, alarm, nudge), nudge.sent) == ("skipped", [])


@pytest.mark.parametrize("mishap", ["lost", "echo", "error", "conflict"])
@pytest.mark.parametrize("call", [schedule, cancel, move], ids=lambda call: call.__name__)
def test_a_call_survives_whatever_befalls_its_commit(
    cloud: Cloud, mishap: Mishap, call: Callable[[], str]
) -> None:
    if call is not schedule:
        schedule()
        cloud.tasks.take()
    expected = {"schedule": "scheduled", "cancel": "cancelled", "move": "rescheduled"}
    cloud.firestore.mishaps = [mishap]
    assert call() == expected[call.__name__]
    assert len(cloud.tasks.tasks) == (0 if call is cancel else 1)
    assert len(history(cloud)) == (1 if call is schedule else 2)


def test_a_call_whose_answer_is_lost_is_known_behind_other_writes(cloud: Cloud) -> None:
    """Another call was quicker than the look at what became of this one."""
    commit, others = cloud.firestore.commit, [lambda: cancel()]

    def lose(writes: Any) -> Any:
        time = commit(writes)
        if others:
            others.pop()()
            raise TransientError("its answer is lost")
        return time

    cloud.firestore.commit = lose  # type: ignore[method-assign]
    assert (schedule(), state(cloud)) == ("scheduled", "cancelled")


def test_a_call_that_cannot_be_made_says_so(cloud: Cloud) -> None:
    cloud.firestore.mishaps = ["error"] * 20
    with pytest.raises(TransientError, match="out of reach now"):
        schedule()


def test_a_call_survives_reads_that_fail(cloud: Cloud) -> None:
    cloud.firestore.failing_reads = 3
    assert (schedule(), len(history(cloud))) == ("scheduled", 1)


def test_a_call_commits_although_cloud_tasks_is_out_of_reach(cloud: Cloud) -> None:
    cloud.tasks.is_unreachable = True
    assert (schedule(), state(cloud)) == ("scheduled", "pending")


def test_a_request_is_done_once_for_good(cloud: Cloud) -> None:
    assert schedule(request="form-1") == "scheduled"
    assert cancel() == "cancelled"
    assert (schedule(request="form-1"), state(cloud)) == ("scheduled", "cancelled")
    assert (schedule(request="form-2"), state(cloud)) == ("scheduled", "pending")


def test_a_request_remembers_its_answer(cloud: Cloud) -> None:
    schedule()
    assert [cancel(request="a"), cancel(request="a")] == ["cancelled", "cancelled"]
    assert [move(request="b"), move(request="b")] == ["unknown", "unknown"]


def test_a_request_for_something_else_is_refused(cloud: Cloud) -> None:
    schedule(request="form-1")
    with pytest.raises(KeyReusedError):
        schedule(2 * DAY, request="form-1")


def test_a_request_survives_a_lost_reply(cloud: Cloud) -> None:
    cloud.firestore.mishaps = ["lost", "lost"]
    assert (schedule(request="form-1"), len(history(cloud))) == ("scheduled", 1)


def test_get_says_how_it_stands(cloud: Cloud) -> None:
    assert reminders.get(LISTED, "s") is None
    schedule(payload={"n": 1})
    found = reminders.get(LISTED, "s")
    assert found is not None
    assert (found.kind, found.subject, found.user_id, found.payload) == (
        "nudge",
        "s",
        "u",
        {"n": 1},
    )
    assert (found.state, found.due_at > cloud.now) == ("pending", True)
    assert [entry.what for entry in found.history] == ["scheduled"]


def test_pending_are_those_of_the_user_that_are_not_settled(cloud: Cloud) -> None:
    for subject, days in [("late", 3), ("soon", 1), ("gone", 2)]:
        reminders.schedule(LISTED, subject, user_id="u", after=days * DAY)
    reminders.schedule(LISTED, "other", user_id="v", after=DAY)
    reminders.cancel(LISTED, "gone")
    assert [it.subject for it in reminders.pending("u")] == ["soon", "late"]


def test_one_that_nobody_can_read_hides_no_other(cloud: Cloud) -> None:
    reminders.schedule(LISTED, "a", user_id="u", after=DAY)
    reminders.schedule(LISTED, "b", user_id="u", after=DAY)
    cloud.firestore.commit([Merge(path="reminders/nudge:a", fields={"mark": 1})])
    assert [it.subject for it in reminders.pending("u")] == ["b"]
    assert reminders.get(LISTED, "a") is None


def test_three_reschedules_and_a_cancel_in_flight_send_one_message(cloud: Cloud) -> None:
    nudge, alarm = Nudge(), due(cloud)

    answers: list[str] = []

    def change(work: Work) -> None:
        if not answers:
            answers.extend([*(move(days * DAY) for days in (2, 3, 4)), cancel()])

    nudge.then = change
    assert (ring(cloud, alarm, nudge), answers) == ("sent", ["in_flight"] * 4)
    cloud.firestore.now += 9 * DAY
    assert {ring(cloud, it, nudge) for it in cloud.tasks.take()} <= {"skipped"}
    assert (len(nudge.sent), state(cloud), "mark" in cloud.document(PATH)) == (1, "sent", False)
