"""Within a handler: the record commits with the work, and its alarm is set beside it."""

from datetime import timedelta
from typing import Any

import pytest

from common.cloud import firestore
from common.cloud.firestore import Merge, Write
from common.cloud.memory import Mishap
from common.cloud.tasks import Task
from common.errors import ConfigurationError, TransientError
from common.idempotency import Outcome, Work
from common.scheduling import content as contents
from common.scheduling import record as records
from common.scheduling import reminders, ringing, transitions
from common.scheduling.kinds import ReminderKind
from common.scheduling.transitions import GRACE, RETENTION
from tests.common.memory_cloud import Cloud
from tests.common.scheduling.nudge import (
    DAY,
    LISTED,
    PATH,
    Nudge,
    cancel,
    due,
    history,
    reschedule,
    ring,
    schedule,
    scheduling,
    state,
)

FAILING: list[Mishap] = ["none"]
FAILING += ["error"] * 20
"""Whatever comes behind the claim."""


def test_scheduling_sets_one_alarm_for_the_time_it_is_due(cloud: Cloud) -> None:
    at = cloud.now + DAY
    alarm = schedule(cloud)
    assert (alarm.queue, alarm.at) == ("reminders", at)
    assert (alarm.url, alarm.audience) == ("https://reminder.example.com", "reminder")
    generation = cloud.document(PATH)["generation"]
    body = {"reminder_id": "nudge:s", "generation": generation, "at": at.isoformat(), "format": 1}
    assert alarm.body == body


def test_the_record_says_what_is_due_and_when(cloud: Cloud) -> None:
    at = cloud.now + DAY
    schedule(cloud, cart="c", odd=[[1]])
    record = cloud.document(PATH)
    assert (record["state"], record["due_at"], record["format"]) == ("pending", at, 1)
    assert (record["overdue_at"], record["expire_at"]) == (at + GRACE, at + RETENTION)
    assert (record["kind"], record["reminder_id"]) == ("nudge", "nudge:s")
    assert (record["user_id"], record["payload"]) == ("u", {"cart": "c", "odd": "[[1]]"})


def test_the_record_names_its_alarm(cloud: Cloud) -> None:
    schedule_only = scheduling(cloud)
    cloud.handle(schedule_only)
    alarm = cloud.document(PATH)["alarm"]
    assert cloud.tasks.exists(alarm["queue"], alarm["task"])


def test_an_overdue_reminder_is_looked_after_no_sooner_than_its_lease_is_over() -> None:
    assert timedelta(seconds=90) < GRACE


@pytest.mark.parametrize(
    "when",
    [
        {},
        {"after": DAY, "at": "now"},
        {"at": "naive"},
        {"after": timedelta.max},
        {"after": DAY, "payload": {"x": {1}}},
        {"after": DAY, "payload": {"x": "x" * contents.MAX_PAYLOAD}},
        {"after": DAY, "user_id": ""},
        {"after": DAY, "subject": ""},
        {"after": DAY, "subject": "x" * 2049},
    ],
    ids=str,
)
def test_what_can_never_be_scheduled_is_dead_and_writes_nothing(
    cloud: Cloud, when: dict[str, Any]
) -> None:
    times = {"now": cloud.now, "naive": cloud.now.replace(tzinfo=None)}
    given = {name: times.get(it, it) if name == "at" else it for name, it in when.items()}
    call: Any = {"subject": "s", "user_id": "u", **given}
    subject = call.pop("subject")

    def handler(work: Work) -> list[Write]:
        return reminders.within(work).schedule(LISTED, subject, **call)

    assert cloud.handle(handler).status == "dead_lettered"
    assert (cloud.firestore.documents("reminders"), cloud.tasks.take()) == ({}, [])


def test_the_record_commits_although_cloud_tasks_is_out_of_reach(cloud: Cloud) -> None:
    cloud.tasks.is_unreachable = True
    assert cloud.handle(scheduling(cloud)).status == "done"
    assert state(cloud) == "pending"


def test_with_the_done_mark_the_alarm_is_set_before_the_record(cloud: Cloud) -> None:
    seen: list[Any] = []
    create = cloud.tasks.create

    def look(task: Any) -> Any:
        seen.append(cloud.document(PATH))
        return create(task)

    cloud.tasks.create = look  # type: ignore[method-assign]
    cloud.handle(scheduling(cloud))
    assert seen == [{}]


def test_with_a_step_the_alarm_is_set_behind_the_record(cloud: Cloud) -> None:
    alarms: list[int] = []

    def handler(work: Work) -> list[Write]:
        work.write("user", lambda: scheduling(cloud)(work))
        alarms.append(len(cloud.tasks.tasks))
        return []

    cloud.tasks.is_unreachable = True
    cloud.handle(handler, "down")
    cloud.tasks.is_unreachable = False
    cloud.firestore.clear()
    cloud.handle(handler)
    assert alarms == [0, 1]


def test_other_content_is_a_new_generation(cloud: Cloud) -> None:
    one = schedule(cloud)
    other = schedule(cloud, key="again", n=2)
    assert other.body["generation"] > one.body["generation"]
    assert cloud.document(PATH)["generation"] == other.body["generation"]
    assert cloud.document(PATH)["payload"] == {"n": 2}


def test_the_same_content_again_changes_nothing(cloud: Cloud) -> None:
    handler = scheduling(cloud, n=1)
    cloud.handle(handler)
    before = cloud.document(PATH)
    cloud.handle(handler, "again")
    assert (cloud.document(PATH), len(cloud.tasks.tasks)) == (before, 1)


def test_after_a_while_is_the_same_whenever_it_is_said(cloud: Cloud) -> None:
    def handler(work: Work) -> list[Write]:
        return reminders.within(work).schedule(LISTED, "s", user_id="u", after=DAY)

    cloud.handle(handler)
    before = cloud.document(PATH)
    cloud.advance(hours=1)
    cloud.handle(handler, "again")
    assert cloud.document(PATH) == before


def test_another_user_is_other_content(cloud: Cloud) -> None:
    def handler(user_id: str) -> Any:
        return lambda work: reminders.within(work).schedule(LISTED, "s", user_id=user_id, after=DAY)

    cloud.handle(handler("u"))
    cloud.handle(handler("v"), "again")
    assert cloud.document(PATH)["user_id"] == "v"


def test_what_was_settled_can_be_scheduled_again(cloud: Cloud) -> None:
    nudge = Nudge()
    ring(cloud, due(cloud), nudge)
    ring(cloud, schedule(cloud, timedelta(0), key="again"), nudge)
    assert len(nudge.sent) == 2


def test_a_generation_is_not_used_again_after_an_erasure(cloud: Cloud) -> None:
    first = schedule(cloud)
    cloud.firestore.clear()
    cloud.advance(seconds=1)
    again = schedule(cloud, key="again")
    assert again.body["generation"] > first.body["generation"]


def test_two_generations_in_a_microsecond_are_two(cloud: Cloud) -> None:
    assert transitions.generation_after(5, cloud.now) > 10**15
    assert transitions.generation_after(10**18, cloud.now) == 10**18 + 1


def test_a_history_keeps_the_latest(cloud: Cloud) -> None:
    for n in range(records.KEPT + 5):
        schedule(cloud, key=f"event-{n}", n=n)
    assert len(history(cloud)) == records.KEPT


def test_every_attempt_at_an_event_sets_an_alarm_of_its_own(cloud: Cloud) -> None:
    """The alarm of the first one may have rung, and gone, before there was a record."""
    handler = scheduling(cloud)
    cloud.firestore.mishaps = [*FAILING]
    with pytest.raises(TransientError):
        cloud.handle(handler)
    cloud.firestore.mishaps = []
    cloud.advance(seconds=91)
    assert len(cloud.tasks.take()) == 1
    cloud.handle(handler)
    assert len(cloud.tasks.tasks) == 1


def test_a_handler_that_is_called_again_sets_an_alarm_of_its_own(cloud: Cloud) -> None:
    """Its first one may have rung, and gone, while nobody could find the record."""
    handler, meanwhile = scheduling(cloud), [Merge(path="users/u", fields={"n": 1})]

    def conflicting(work: Work) -> list[Write]:
        user = firestore.read("users/u")
        writes = [*handler(work), user.write({"n": 2})]
        if meanwhile:
            cloud.firestore.commit([meanwhile.pop()])
        return writes

    cloud.handle(conflicting)
    (first, second) = cloud.tasks.take()
    assert first.identity != second.identity


def test_scheduling_where_nothing_was_relies_on_that(cloud: Cloud) -> None:
    assert _scheduled_after_another_event_meanwhile(cloud, False) == ["scheduled"] * 2


def test_scheduling_again_relies_on_what_it_replaces(cloud: Cloud) -> None:
    assert _scheduled_after_another_event_meanwhile(cloud, True) == ["scheduled"] * 3


def _scheduled_after_another_event_meanwhile(cloud: Cloud, is_there: bool) -> list[str]:
    if is_there:
        schedule(cloud)
    others = ["other"]

    def handler(work: Work) -> list[Write]:
        writes = scheduling(cloud, n=1)(work)
        while others:
            schedule(cloud, key=others.pop(), n=2)
        return writes

    cloud.handle(handler, "this")
    return history(cloud)


def test_a_kind_that_no_function_lists_is_refused(cloud: Cloud) -> None:
    stray = ReminderKind(name="stray", act=lambda due, work: Outcome())

    def handler(work: Work) -> list[Write]:
        return reminders.within(work).schedule(stray, "s", user_id="u", at=work.now)

    with pytest.raises(ConfigurationError, match="stray"):
        cloud.handle(handler)


@pytest.mark.parametrize("name", ["", "a:b"])
def test_a_kind_needs_a_name_without_a_colon(name: str) -> None:
    with pytest.raises(ConfigurationError, match="colon"):
        ReminderKind(name=name, act=lambda due, work: Outcome())


def test_any_subject_names_one_reminder() -> None:
    assert records.path_of("nudge:a/b") == "reminders/nudge:a%2Fb"


def test_scheduling_over_what_nobody_can_read_begins_anew(cloud: Cloud) -> None:
    broken = {"state": "?", "mark": 3, "junk": 1}
    cloud.firestore.commit([Merge(path=PATH, fields=broken)])
    schedule(cloud)
    assert (state(cloud), "junk" in cloud.document(PATH)) == ("pending", False)
    assert reminders.get(LISTED, "s") is not None


# Moving


def test_a_moved_reminder_rings_at_its_new_time(cloud: Cloud) -> None:
    nudge, older = Nudge(), schedule(cloud, n=1)
    reschedule(cloud, 3 * DAY)
    (newer,) = cloud.tasks.take()
    assert cloud.document(PATH)["payload"] == {"n": 1}
    cloud.firestore.now += DAY
    assert ring(cloud, older, nudge) == "skipped"
    cloud.firestore.now += 2 * DAY
    assert (ring(cloud, newer, nudge), len(nudge.sent)) == ("sent", 1)


def test_moving_what_is_sent_or_was_never_there_writes_nothing(cloud: Cloud) -> None:
    reschedule(cloud, DAY, "nothing there")
    assert cloud.document(PATH) == {}
    ring(cloud, due(cloud))
    reschedule(cloud, DAY)
    assert (state(cloud), cloud.tasks.take()) == ("sent", [])


def test_moving_what_is_being_sent_makes_no_second_message(cloud: Cloud) -> None:
    nudge = Nudge(does=lambda work: reschedule(cloud, DAY))
    assert ring(cloud, due(cloud), nudge) == "sent"
    assert (state(cloud), len(nudge.sent), cloud.tasks.take()) == ("sent", 1, [])
    assert "mark" not in cloud.document(PATH)


def test_moving_what_then_could_not_be_sent_moves_it(cloud: Cloud) -> None:
    def move_and_fail(work: Work) -> None:
        reschedule(cloud, DAY)
        raise TransientError

    nudge, alarm = Nudge(does=move_and_fail), due(cloud)
    assert ring(cloud, alarm, nudge) == "waiting"
    assert (state(cloud), cloud.document(PATH)["due_at"] > cloud.now) == ("pending", True)
    assert (ring(cloud, alarm, nudge), nudge.sent) == ("skipped", [])


# Cancelling


def test_a_cancelled_reminder_is_not_sent(cloud: Cloud) -> None:
    nudge, alarm = Nudge(), due(cloud)
    cancel(cloud)
    assert (state(cloud), "overdue_at" in cloud.document(PATH)) == ("cancelled", False)
    assert (ring(cloud, alarm, nudge), nudge.sent) == ("skipped", [])


def test_there_is_nothing_to_cancel_where_nothing_is_scheduled(cloud: Cloud) -> None:
    cancel(cloud)
    assert cloud.document(PATH) == {}


def test_what_is_being_sent_may_go_out(cloud: Cloud) -> None:
    seen: list[str] = []

    def meanwhile(work: Work) -> None:
        cancel(cloud)
        seen.append(state(cloud))

    assert ring(cloud, due(cloud), Nudge(then=meanwhile)) == "sent"
    assert (set(seen), state(cloud)) == ({"sending"}, "sent")


def test_what_has_not_gone_out_yet_does_not(cloud: Cloud) -> None:
    """Its commit is refused, and the handler, called again, finds that it was cancelled."""
    sent: list[str] = []

    def only_writes(due_: Any, work: Work) -> Outcome:
        sent.append("tried")
        cancel(cloud)
        return Outcome(result="sent", writes=[Merge(path="sent/s", fields={"n": 1})])

    kinds = {"nudge": ReminderKind(name="nudge", act=only_writes)}
    alarm = due(cloud)
    assert cloud.deliver(lambda call: ringing.ring(call, kinds), alarm).status == "skipped"
    assert (sent, cloud.document("sent/s"), state(cloud)) == (["tried"], {}, "cancelled")


def test_what_waits_after_a_failure_is_cancelled(cloud: Cloud) -> None:
    nudge = Nudge(does=lambda work: _raise(TransientError()))
    alarm = due(cloud)
    assert (ring(cloud, alarm, nudge), state(cloud)) == ("waiting", "pending")
    cancel(cloud)
    nudge.does = lambda work: None
    assert (ring(cloud, alarm, nudge), nudge.sent, state(cloud)) == ("skipped", [], "cancelled")


def test_what_is_cancelled_while_it_fails_is_not_tried_again(cloud: Cloud) -> None:
    def cancel_and_fail(work: Work) -> None:
        cancel(cloud)
        raise TransientError

    nudge, alarm = Nudge(does=cancel_and_fail), due(cloud)
    assert (ring(cloud, alarm, nudge), state(cloud)) == ("waiting", "cancelled")
    assert (ring(cloud, alarm, nudge), nudge.sent) == ("skipped", [])


def test_what_is_settled_is_not_cancelled(cloud: Cloud) -> None:
    ring(cloud, due(cloud))
    cancel(cloud)
    assert state(cloud) == "sent"


def test_what_rings_between_read_and_commit_is_not_cancelled(cloud: Cloud) -> None:
    nudge, alarm = Nudge(), due(cloud)

    def handler(work: Work) -> list[Write]:
        writes = reminders.within(work).cancel(LISTED, "s")
        ring(cloud, alarm, nudge)
        return writes

    cloud.handle(handler, "cancel")
    assert (state(cloud), len(nudge.sent)) == ("sent", 1)


# While it is being sent


def test_other_content_comes_after_what_is_being_sent(cloud: Cloud) -> None:
    nudge = Nudge(does=lambda work: _again(cloud))
    assert ring(cloud, schedule(cloud, timedelta(0), n=1), nudge) == "sent"
    assert (state(cloud), cloud.document(PATH)["payload"]) == ("pending", {"n": 2})
    (alarm,) = cloud.tasks.take()
    cloud.firestore.now += DAY
    nudge.does = lambda work: None
    assert (ring(cloud, alarm, nudge), len(nudge.sent)) == ("sent", 2)
    assert [it.payload for it in nudge.sent] == [{"n": 1}, {"n": 2}]


def test_the_same_content_as_what_is_being_sent_changes_nothing(cloud: Cloud) -> None:
    alarm = schedule(cloud, timedelta(0), n=1)
    nudge = Nudge(does=lambda work: _same(cloud, alarm))
    assert (ring(cloud, alarm, nudge), state(cloud)) == ("sent", "sent")


def test_the_same_content_takes_a_cancellation_back(cloud: Cloud) -> None:
    alarm = schedule(cloud, timedelta(0), n=1)

    def meanwhile(work: Work) -> None:
        cancel(cloud)
        _same(cloud, alarm)
        raise TransientError

    assert (ring(cloud, alarm, Nudge(does=meanwhile)), state(cloud)) == ("waiting", "pending")


def test_a_cancellation_takes_back_what_was_to_come_after(cloud: Cloud) -> None:
    def meanwhile(work: Work) -> None:
        _again(cloud)
        cancel(cloud)

    assert ring(cloud, due(cloud), Nudge(then=meanwhile)) == "sent"
    assert (state(cloud), cloud.tasks.take()) == ("sent", [])


def test_what_comes_after_can_be_moved(cloud: Cloud) -> None:
    def meanwhile(work: Work) -> None:
        _again(cloud)
        reschedule(cloud, 9 * DAY)

    assert ring(cloud, due(cloud), Nudge(then=meanwhile)) == "sent"
    assert cloud.document(PATH)["due_at"] > cloud.now + 8 * DAY


def _again(cloud: Cloud) -> None:
    cloud.handle(scheduling(cloud, n=2), "again")


def _same(cloud: Cloud, alarm: Task) -> None:
    def handler(work: Work) -> list[Write]:
        return reminders.within(work).schedule(
            LISTED, "s", user_id="u", payload={"n": 1}, at=alarm.at
        )

    cloud.handle(handler, "the same")


def _raise(error: Exception) -> None:
    raise error
