"""A reminder: its record is the truth, its alarm rings once it is due, and it is sent once."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from common.cloud import firestore
from common.cloud.firestore import Delete, Merge, Write
from common.cloud.tasks import FURTHEST, Task
from common.errors import (
    ConfigurationError,
    NothingToDoError,
    PermanentError,
    TransientError,
)
from common.idempotency import Answer, Call, Outcome, Work
from common.process.tables import table
from common.scheduling import reminders
from common.scheduling.reminders import EARLY, GRACE, HOP, RETENTION, Reminder, ReminderKind
from common.triggers.boundary import Ending
from tests.common.memory_cloud import Cloud

DAY = timedelta(days=1)
PATH = "reminders/nudge:s"
LISTED = ReminderKind(name="nudge", act=lambda due, work: Outcome(result="sent"))
table(LISTED)


@dataclass
class Nudge:
    """A kind of reminder that keeps what it sends, and does what a test says."""

    sent: list[Reminder] = field(default_factory=list)
    told: list[Mapping[str, Any]] = field(default_factory=list)
    """The payload of each call."""
    does: Callable[[Work], None] = lambda work: None
    """Before the message is sent."""
    then: Callable[[Work], None] = lambda work: None
    """After that."""
    makes_sense: bool = True
    asked: int = 0

    def ring(self, call: Call) -> Answer:
        kind = ReminderKind(name="nudge", act=self._act, check=self._check)
        return reminders.ring(call, {"nudge": kind})

    def _act(self, due: Reminder, work: Work) -> Outcome:
        self.told.append(due.payload)
        self.does(work)
        work.step("message", lambda key: self.sent.append(due))
        self.then(work)
        return Outcome(result="sent")

    def _check(self, due: Reminder) -> bool:
        self.asked += 1
        return self.makes_sense


def failing(error: BaseException) -> Callable[[Work], None]:
    def fail(work: Work) -> None:
        raise error

    return fail


def scheduling(
    cloud: Cloud, after: timedelta = DAY, **payload: Any
) -> Callable[[Work], list[Write]]:
    """A handler that schedules the reminder, due so long after now."""
    at = cloud.now + after
    return lambda work: [reminders.schedule(work, LISTED, "s", user_id="u", payload=payload, at=at)]


def schedule(cloud: Cloud, after: timedelta = DAY, key: str = "event", **payload: Any) -> Task:
    """The alarm of a reminder that has been scheduled."""
    cloud.handle(scheduling(cloud, after, **payload), key)
    return cloud.tasks.take()[-1]


def cancel(cloud: Cloud, key: str = "cancel") -> None:
    cloud.handle(lambda work: reminders.cancel(LISTED, "s"), key)


def due(cloud: Cloud) -> Task:
    """The alarm of a reminder that is due now."""
    alarm = schedule(cloud)
    cloud.firestore.now += DAY
    return alarm


def ring(cloud: Cloud, alarm: Task, nudge: Nudge | None = None) -> str:
    return cloud.deliver((nudge or Nudge()).ring, alarm).status


def state(cloud: Cloud) -> str:
    return str(cloud.document(PATH)["state"])


# Scheduling


def test_scheduling_sets_one_alarm_for_the_time_it_is_due(cloud: Cloud) -> None:
    at = cloud.now + DAY
    alarm = schedule(cloud)
    assert (alarm.queue, alarm.at) == ("reminders", at)
    assert (alarm.url, alarm.audience) == ("https://reminder.example.com", "reminder")
    assert alarm.body == {"reminder_id": "nudge:s", "generation": 1}


def test_a_time_without_a_zone_is_refused_and_sets_no_alarm(cloud: Cloud) -> None:
    at = cloud.now.replace(tzinfo=None)

    def handler(work: Work) -> list[Write]:
        return [reminders.schedule(work, LISTED, "s", user_id="u", payload={}, at=at)]

    assert cloud.handle(handler).status == "dead_lettered"
    assert (cloud.document(PATH), cloud.tasks.take()) == ({}, [])


def test_the_record_says_what_is_due_and_when(cloud: Cloud) -> None:
    at = cloud.now + DAY
    schedule(cloud, cart="c", odd=[[1]])
    record = cloud.document(PATH)
    assert (record["state"], record["generation"], record["due_at"]) == ("pending", 1, at)
    assert (record["overdue_at"], record["expire_at"]) == (at + GRACE, at + RETENTION)
    assert (record["kind"], record["reminder_id"]) == ("nudge", "nudge:s")
    assert (record["user_id"], record["payload"]) == ("u", {"cart": "c", "odd": "[[1]]"})


def test_an_overdue_reminder_is_rung_no_sooner_than_its_lease_is_over() -> None:
    assert timedelta(seconds=90) < GRACE


def test_without_an_alarm_there_is_no_record(cloud: Cloud) -> None:
    cloud.tasks.mishaps = ["error"]
    with pytest.raises(TransientError):
        schedule(cloud)
    assert not cloud.document(PATH)


def test_the_alarm_is_set_before_the_record_is_committed(cloud: Cloud) -> None:
    seen: list[Any] = []

    def handler(work: Work) -> list[Write]:
        writes = scheduling(cloud)(work)
        seen.append((len(cloud.tasks.tasks), cloud.document(PATH)))
        return writes

    cloud.handle(handler)
    assert seen == [(1, {})]


def test_scheduling_again_starts_a_new_generation(cloud: Cloud) -> None:
    schedule(cloud)
    alarm = schedule(cloud, key="again", n=2)
    assert alarm.body["generation"] == 2
    assert (cloud.document(PATH)["generation"], cloud.document(PATH)["payload"]) == (2, {"n": 2})


def test_what_was_settled_can_be_scheduled_again(cloud: Cloud) -> None:
    nudge = Nudge()
    ring(cloud, due(cloud), nudge)
    ring(cloud, schedule(cloud, timedelta(0), key="again"), nudge)
    assert len(nudge.sent) == 2


def test_every_attempt_at_an_event_sets_an_alarm_of_its_own(cloud: Cloud) -> None:
    """The alarm of the first one may have rung, and gone, before there was a record."""
    handler = scheduling(cloud)

    def fail(work: Work) -> list[Write]:
        handler(work)
        raise TransientError

    with pytest.raises(TransientError):
        cloud.handle(fail)
    cloud.tasks.take()
    cloud.handle(handler)
    assert len(cloud.tasks.tasks) == 1


def test_a_handler_that_is_called_again_sets_an_alarm_of_its_own(cloud: Cloud) -> None:
    """Its first one may have rung, and gone, while nobody could find the record."""
    handler, meanwhile = scheduling(cloud), [Merge(path="users/u", fields={"n": 1})]

    def conflicting(work: Work) -> list[Write]:
        user = firestore.read("users/u")
        writes = [*handler(work), user.write({"n": 2})]
        if meanwhile:
            cloud.tasks.take()
            cloud.firestore.commit([meanwhile.pop()])
        return writes

    cloud.handle(conflicting)
    assert len(cloud.tasks.tasks) == 1


def test_scheduling_where_nothing_was_relies_on_that(cloud: Cloud) -> None:
    assert _generation_after_another_event_meanwhile(cloud, False) == 2


def test_scheduling_again_relies_on_what_it_replaces(cloud: Cloud) -> None:
    assert _generation_after_another_event_meanwhile(cloud, True) == 3


def _generation_after_another_event_meanwhile(cloud: Cloud, is_there: bool) -> int:
    if is_there:
        schedule(cloud)
    others = ["other"]

    def handler(work: Work) -> list[Write]:
        writes = scheduling(cloud)(work)
        while others:
            schedule(cloud, key=others.pop())
        return writes

    cloud.handle(handler, "this")
    return int(cloud.document(PATH)["generation"])


def test_a_kind_that_no_function_lists_is_refused(cloud: Cloud) -> None:
    stray = ReminderKind(name="stray", act=lambda due, work: Outcome())

    def handler(work: Work) -> list[Write]:
        return [reminders.schedule(work, stray, "s", user_id="u", payload={}, at=work.now)]

    with pytest.raises(ConfigurationError, match="stray"):
        cloud.handle(handler)


def test_any_subject_names_one_reminder() -> None:
    assert reminders.path_of("nudge:a/b") == "reminders/nudge:a%2Fb"


def test_alarms_of_two_setters_have_two_names(cloud: Cloud) -> None:
    one, other = (reminders.alarm("nudge:s", 1, cloud.now, setter).identity for setter in "ab")
    assert one != other


# Cancelling


def test_a_cancelled_reminder_is_not_sent(cloud: Cloud) -> None:
    nudge, alarm = Nudge(), due(cloud)
    cancel(cloud)
    assert (state(cloud), "overdue_at" in cloud.document(PATH)) == ("cancelled", False)
    assert (ring(cloud, alarm, nudge), nudge.sent) == ("skipped", [])


def test_there_is_nothing_to_cancel_where_nothing_is_scheduled(cloud: Cloud) -> None:
    assert reminders.cancel(LISTED, "s") == []


def test_what_is_being_sent_is_not_cancelled(cloud: Cloud) -> None:
    seen: list[str] = []

    def meanwhile(work: Work) -> None:
        cancel(cloud)
        seen.append(state(cloud))

    assert ring(cloud, due(cloud), Nudge(does=meanwhile)) == "sent"
    assert (seen, state(cloud)) == (["sending"], "sent")


def test_what_is_settled_is_not_cancelled(cloud: Cloud) -> None:
    ring(cloud, due(cloud))
    cancel(cloud)
    assert state(cloud) == "sent"


def test_what_rings_between_read_and_commit_is_not_cancelled(cloud: Cloud) -> None:
    nudge, alarm = Nudge(), due(cloud)

    def handler(work: Work) -> list[Write]:
        writes = reminders.cancel(LISTED, "s")
        ring(cloud, alarm, nudge)
        return writes

    cloud.handle(handler, "cancel")
    assert (state(cloud), len(nudge.sent)) == ("sent", 1)


# Ringing


def test_a_ring_reads_its_record_once(cloud: Cloud) -> None:
    alarm = due(cloud)
    reads, commits = cloud.firestore.reads, cloud.firestore.commits
    ring(cloud, alarm)
    assert (cloud.firestore.reads - reads, cloud.firestore.commits - commits) == (1, 3)


def test_what_is_due_is_sent_once_and_then_a_duplicate(cloud: Cloud) -> None:
    nudge, alarm = Nudge(), due(cloud)
    assert [ring(cloud, alarm, nudge) for _ in range(3)] == ["sent", "duplicate", "duplicate"]
    assert len(nudge.sent) == 1


def test_a_reminder_knows_what_it_was_scheduled_with(cloud: Cloud) -> None:
    nudge = Nudge()
    ring(cloud, schedule(cloud, timedelta(0), cart="c"), nudge)
    expected = Reminder(kind="nudge", subject="s", user_id="u", payload={"cart": "c"})
    assert nudge.sent == [expected]


def test_a_settled_reminder_is_overdue_no_more(cloud: Cloud) -> None:
    ring(cloud, due(cloud))
    assert (state(cloud), "overdue_at" in cloud.document(PATH)) == ("sent", False)


def test_who_sends_has_moved_the_record_and_is_found_by_a_sweep_if_he_vanishes(
    cloud: Cloud,
) -> None:
    seen: list[Mapping[str, Any]] = []
    alarm = due(cloud)
    rung = cloud.now
    ring(cloud, alarm, Nudge(does=lambda work: seen.append(cloud.document(PATH))))
    (record,) = seen
    assert (record["state"], record["overdue_at"]) == ("sending", rung + GRACE)


def test_an_alarm_that_rings_a_little_early_counts_as_due(cloud: Cloud) -> None:
    alarm = schedule(cloud)
    cloud.firestore.now += DAY - EARLY
    assert ring(cloud, alarm) == "sent"


def test_an_alarm_that_rings_too_early_sets_the_next_one(cloud: Cloud) -> None:
    nudge, alarm = Nudge(), schedule(cloud)
    cloud.firestore.now += DAY - EARLY - timedelta(seconds=1)
    assert (ring(cloud, alarm, nudge), nudge.sent) == ("enqueued", [])
    (following,) = cloud.tasks.take()
    assert (following.at, following.identity != alarm.identity) == (alarm.at, True)
    assert (state(cloud), following.body) == ("pending", alarm.body)


def test_an_alarm_that_cannot_be_set_anew_rings_again(cloud: Cloud) -> None:
    alarm = schedule(cloud)
    cloud.tasks.mishaps = ["error"]
    assert cloud.deliver(Nudge().ring, alarm).code == 500


def test_a_long_delay_travels_in_hops(cloud: Cloud) -> None:
    nudge, alarm, hops = Nudge(), schedule(cloud, 70 * DAY), 0
    while not nudge.sent:
        assert alarm.at is not None
        assert alarm.at - cloud.now <= HOP
        cloud.firestore.now, hops = alarm.at, hops + 1
        ring(cloud, alarm, nudge)
        (alarm,) = cloud.tasks.take() or [alarm]
    assert (hops, HOP < FURTHEST) == (3, True)


def test_no_record_yet_is_asked_again_until_a_lease_is_over(cloud: Cloud) -> None:
    """Whoever has set the alarm may be about to commit the record."""
    alarm = reminders.alarm("nudge:s", 1, cloud.now, "somebody")
    assert cloud.deliver(Nudge().ring, alarm).code == 409
    cloud.advance(seconds=90)
    assert cloud.deliver(Nudge().ring, alarm).code == 409
    cloud.advance(seconds=1)
    assert cloud.deliver(Nudge().ring, alarm) == Ending(status="skipped")


def test_an_older_record_is_no_record_yet_either(cloud: Cloud) -> None:
    schedule(cloud)
    alarm = reminders.alarm("nudge:s", 2, cloud.now, "somebody")
    assert cloud.deliver(Nudge().ring, alarm).code == 409


def test_a_call_by_hand_for_no_reminder_is_skipped(cloud: Cloud) -> None:
    body = {"reminder_id": "nudge:s", "generation": 1}
    assert cloud.call(Nudge().ring, body).status == "skipped"


def test_an_alarm_of_an_older_generation_finds_the_newer(cloud: Cloud) -> None:
    nudge, older = Nudge(), due(cloud)
    schedule(cloud, key="again")
    assert (ring(cloud, older, nudge), nudge.sent, state(cloud)) == ("skipped", [], "pending")


def test_what_makes_no_sense_any_more_is_skipped(cloud: Cloud) -> None:
    nudge, alarm = Nudge(makes_sense=False), due(cloud)
    assert (ring(cloud, alarm, nudge), nudge.sent, state(cloud)) == ("skipped", [], "skipped")
    assert ring(cloud, alarm, nudge) == "skipped"


def test_a_kind_without_a_check_always_makes_sense(cloud: Cloud) -> None:
    alarm = due(cloud)
    kinds = {"nudge": LISTED}
    assert cloud.deliver(lambda call: reminders.ring(call, kinds), alarm).status == "sent"


def test_what_has_begun_is_not_checked_again(cloud: Cloud) -> None:
    """A message that went out is not called skipped because of what it brought about."""
    nudge, alarm = Nudge(then=failing(TransientError())), due(cloud)
    assert ring(cloud, alarm, nudge) == "error"
    nudge.then, nudge.makes_sense = lambda work: None, False
    assert (ring(cloud, alarm, nudge), state(cloud)) == ("sent", "sent")
    assert (nudge.asked, len(nudge.sent)) == (1, 1)


def test_what_finds_nothing_to_do_is_skipped(cloud: Cloud) -> None:
    nudge = Nudge(does=failing(NothingToDoError("ignored")))
    alarm = due(cloud)
    assert (ring(cloud, alarm, nudge), state(cloud)) == ("skipped", "skipped")
    assert "overdue_at" not in cloud.document(PATH)


def test_what_fails_is_tried_again(cloud: Cloud) -> None:
    nudge, alarm = Nudge(does=failing(TransientError())), due(cloud)
    assert (ring(cloud, alarm, nudge), state(cloud)) == ("error", "sending")
    nudge.does = lambda work: None
    assert ring(cloud, alarm, nudge) == "sent"


def test_what_is_being_sent_by_another_is_asked_again(cloud: Cloud) -> None:
    alarm, answers = due(cloud), []
    ring(cloud, alarm, Nudge(does=lambda work: answers.append(ring(cloud, alarm))))
    assert answers == ["in_progress"]


def test_what_can_never_succeed_is_dead_with_its_dead_letter(cloud: Cloud) -> None:
    alarm = due(cloud)
    assert ring(cloud, alarm, Nudge(does=failing(PermanentError("no")))) == "dead_lettered"
    (letter,) = cloud.firestore.documents("dead_letters").values()
    assert (letter["state"], letter["error"]) == ("open", "PermanentError: no")
    assert (letter["source"], letter["key"]) == ("reminder", "nudge:s:1")
    assert json.loads(letter["payload"]) == alarm.body
    assert (state(cloud), "overdue_at" in cloud.document(PATH)) == ("dead", False)
    assert ring(cloud, alarm) == "dead_lettered"


def test_what_is_given_up_after_the_last_attempt_is_dead(cloud: Cloud) -> None:
    nudge, alarm = Nudge(does=failing(TransientError())), due(cloud)
    answers = [ring(cloud, alarm, nudge) for _ in range(5)]
    assert (answers, state(cloud)) == (["error"] * 4 + ["dead_lettered"], "dead")


def test_what_is_not_recorded_as_dead_is_not_acknowledged(cloud: Cloud) -> None:
    """Its alarm rings again, and finds it as it was."""
    alarm = due(cloud)

    def fail(work: Work) -> None:
        cloud.firestore.mishaps = ["error"] * 20
        raise PermanentError

    assert cloud.deliver(Nudge(does=fail).ring, alarm).code == 500
    assert cloud.firestore.documents("dead_letters") == {}


def test_a_replay_sends_what_was_dead(cloud: Cloud) -> None:
    nudge, alarm = Nudge(does=failing(PermanentError())), due(cloud)
    ring(cloud, alarm, nudge)
    (letter,) = cloud.firestore.documents("dead_letters")
    nudge.does = lambda work: None
    replayed = cloud.call(nudge.ring, alarm.body, replay_of=letter.partition("/")[2])
    assert (replayed.status, state(cloud), len(nudge.sent)) == ("sent", "sent", 1)
    assert cloud.document(letter)["state"] == "replayed"


def test_a_newer_generation_is_not_settled_by_an_older_ring(cloud: Cloud) -> None:
    nudge = Nudge(then=lambda work: _again(cloud))
    assert ring(cloud, due(cloud), nudge) == "sent"
    assert (cloud.document(PATH)["generation"], state(cloud)) == (2, "pending")


def test_what_was_replaced_while_it_was_sent_keeps_its_payload(cloud: Cloud) -> None:
    nudge = Nudge(then=lambda work: _again(cloud))
    ring(cloud, schedule(cloud, timedelta(0), n=1), nudge)
    assert nudge.told == [{"n": 1}, {"n": 1}]


def _again(cloud: Cloud) -> None:
    cloud.handle(scheduling(cloud, n=2), "again")


def test_a_newer_generation_is_not_buried_with_an_older_ring(cloud: Cloud) -> None:
    def give_up(work: Work) -> None:
        _again(cloud)
        raise PermanentError

    assert ring(cloud, due(cloud), Nudge(does=give_up)) == "dead_lettered"
    assert state(cloud) == "pending"


def test_a_duplicate_is_told_for_longer_than_a_task_is_delivered(cloud: Cloud) -> None:
    nudge, alarm = Nudge(), due(cloud)
    ring(cloud, alarm, nudge)
    cloud.firestore.commit([Merge(path=PATH, fields={"state": "sending"})])
    cloud.firestore.now += 31 * DAY
    assert (ring(cloud, alarm, nudge), len(nudge.sent)) == ("duplicate", 1)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"reminder_id": "nudge:s"},
        {"reminder_id": "nudge:s", "generation": 0},
        {"reminder_id": "nudge:s", "generation": -1},
        {"reminder_id": "nudge:s", "generation": "1"},
        {"reminder_id": "nudge:s", "generation": True},
        {"reminder_id": "other:s", "generation": 1},
        {"reminder_id": "nudge:", "generation": 1},
        {"reminder_id": "nudge", "generation": 1},
    ],
)
def test_what_is_no_reminder_is_dead_lettered(cloud: Cloud, body: Any) -> None:
    assert cloud.call(Nudge().ring, body).status == "dead_lettered"


def test_one_malformed_call_has_one_dead_letter_however_often_it_comes(cloud: Cloud) -> None:
    for _ in range(3):
        cloud.call(Nudge().ring, {"reminder_id": "other:s", "generation": 1})
    (letter,) = cloud.firestore.documents("dead_letters").values()
    assert (letter["attempts"], letter["reason"]) == (3, "malformed")


def test_a_malformed_call_that_cannot_be_recorded_is_not_acknowledged(cloud: Cloud) -> None:
    cloud.firestore.mishaps = ["error"]
    assert cloud.call(Nudge().ring, {}).code == 500


def test_a_reminder_deleted_by_hand_is_not_brought_back(cloud: Cloud) -> None:
    def forget(work: Work) -> None:
        cloud.firestore.commit([Delete(path=PATH)])

    ring(cloud, due(cloud), Nudge(does=forget))
    assert cloud.document(PATH) == {}


def test_a_kind_that_says_nothing_of_its_result_has_sent(cloud: Cloud) -> None:
    alarm = due(cloud)
    quiet = {"nudge": ReminderKind(name="nudge", act=lambda due, work: Outcome())}
    assert cloud.deliver(lambda call: reminders.ring(call, quiet), alarm).status == "sent"
    assert state(cloud) == "sent"
