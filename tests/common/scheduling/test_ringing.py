"""Ringing: a reminder is done once, when it is due, if that still makes sense."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from common.cloud.firestore import Delete, Merge, Write
from common.cloud.tasks import FURTHEST, Task
from common.errors import NothingToDoError, PermanentError, TransientError, UnavailableError
from common.idempotency import Answer, Call, Outcome, Work, attempt
from common.scheduling import reminders, ringing
from common.scheduling.alarms import EARLY, HOP, Alarm
from common.scheduling.kinds import Reminder, ReminderKind
from common.scheduling.transitions import GRACE
from common.triggers.boundary import Ending
from tests.common.memory_cloud import Cloud
from tests.common.scheduling.nudge import (
    DAY,
    LISTED,
    PATH,
    Nudge,
    cancel,
    due,
    failing,
    history,
    ring,
    schedule,
    scheduling,
    state,
)


def alarm_of(cloud: Cloud, generation: int) -> Task:
    """An alarm that somebody has set for now."""
    alarm = Alarm(queue="reminders", at=cloud.now, setter="somebody")
    return alarm.task("nudge:s", generation)


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
    alarm = schedule(cloud, timedelta(0), cart="c")
    ring(cloud, alarm, nudge)
    (sent,) = nudge.sent
    assert (sent.kind, sent.subject, sent.user_id) == ("nudge", "s", "u")
    assert (sent.payload, sent.due_at) == ({"cart": "c"}, alarm.at)


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


def test_what_waits_has_one_alarm_however_often_each_is_delivered(cloud: Cloud) -> None:
    """Else there would be twice as many after every pause of an outage."""
    _rings_once_after_each_pause(cloud, UnavailableError("down", retry_after=60))
    assert state(cloud) == "pending"


def test_so_has_what_may_have_been_sent(cloud: Cloud) -> None:
    lost = UnavailableError("lost", retry_after=60, outcome_unknown=True)
    _rings_once_after_each_pause(cloud, lost)
    assert state(cloud) == "sending"


def _rings_once_after_each_pause(cloud: Cloud, error: UnavailableError) -> None:
    nudge, alarms = Nudge(does=failing(error)), [due(cloud)]
    for _ in range(5):
        for alarm in [*alarms, *alarms]:
            ring(cloud, alarm, nudge)
        alarms = cloud.tasks.take()
        assert [it.at for it in alarms] == [cloud.document(PATH)["alarm"]["at"]]
        cloud.firestore.now = cloud.document(PATH)["alarm"]["at"]
    assert len(nudge.told) == 5


def test_a_replay_waits_for_no_alarm(cloud: Cloud) -> None:
    """One of two messages is given up; the other waits."""
    tried: list[str] = []

    def failed(name: str, error: Exception) -> None:
        tried.append(name)
        raise error

    def act(due: Reminder, work: Work) -> Outcome:
        work.effect("sms", lambda key: failed("sms", PermanentError("no")))
        work.effect("mail", lambda key: failed("mail", UnavailableError("down", retry_after=60)))
        return Outcome(result="sent")

    def ring_two(call: Call) -> Answer:
        return ringing.ring(call, {"nudge": ReminderKind(name="nudge", act=act)})

    alarm = due(cloud)
    cloud.deliver(ring_two, alarm)
    (letter,) = cloud.firestore.documents("dead_letters")
    cloud.deliver(ring_two, alarm, replay_of=letter.partition("/")[2])
    assert tried == ["sms", "mail", "sms"]


def test_an_early_alarm_sets_another_where_the_one_that_is_named_should_have_rung(
    cloud: Cloud,
) -> None:
    older = alarm_of(cloud, schedule(cloud, 70 * DAY).body["generation"])
    cloud.firestore.now += HOP
    ring(cloud, older)
    assert [alarm.at for alarm in cloud.tasks.take()] == [cloud.document(PATH)["alarm"]["at"]]


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
    assert (hops, HOP < FURTHEST) == (4, True)


def test_four_hundred_days_are_twenty_hops_and_one_message(cloud: Cloud) -> None:
    nudge, alarm, rung = Nudge(), schedule(cloud, 400 * DAY), []
    began = cloud.now
    while not nudge.sent:
        assert alarm.at is not None
        cloud.firestore.now = alarm.at
        rung.append(ring(cloud, alarm, nudge))
        assert ring(cloud, alarm, nudge) in ("duplicate", "enqueued")
        alarm = (cloud.tasks.take() or [alarm])[0]
    assert (len(rung), cloud.now - began < 400 * DAY + HOP) == (20, True)
    assert state(cloud) == "sent"


def test_a_hop_is_named_by_the_record(cloud: Cloud) -> None:
    alarm = schedule(cloud, 70 * DAY)
    cloud.firestore.now += HOP
    ring(cloud, alarm)
    named = cloud.document(PATH)["alarm"]
    assert cloud.tasks.exists(named["queue"], named["task"])


@pytest.mark.parametrize("at", ["as set", None, "soon", "2030-01-02", 7])
def test_a_queue_that_tries_again_names_another_time(cloud: Cloud, at: Any) -> None:
    """What the body says of it counts; where it says nothing, the queue's time."""
    alarm = alarm_of(cloud, 1)
    if at != "as set":
        alarm = replace(alarm, body={**alarm.body, "at": at})
    cloud.advance(seconds=91)
    later = cloud.call(Nudge().ring, alarm.body, due_at=cloud.now)
    assert later.code == (200 if at == "as set" else 409)


def test_no_record_yet_is_asked_again_until_a_lease_is_over(cloud: Cloud) -> None:
    """Whoever has set the alarm may be about to commit the record."""
    alarm = alarm_of(cloud, 1)
    assert cloud.deliver(Nudge().ring, alarm).code == 409
    cloud.advance(seconds=90)
    assert cloud.deliver(Nudge().ring, alarm).code == 409
    cloud.advance(seconds=1)
    assert cloud.deliver(Nudge().ring, alarm) == Ending(status="skipped")


def test_what_was_overdue_when_it_was_scheduled_is_waited_for_as_long(cloud: Cloud) -> None:
    """Its alarm rings at once, maybe before its record is there."""
    alarm = schedule(cloud, after=-timedelta(hours=12))
    assert alarm.at is not None
    assert alarm.at < cloud.now
    cloud.firestore.commit([Delete(path=PATH)])
    assert cloud.deliver(Nudge().ring, alarm).code == 409
    cloud.advance(seconds=91)
    assert cloud.deliver(Nudge().ring, alarm) == Ending(status="skipped")


def test_an_older_record_is_no_record_yet_either(cloud: Cloud) -> None:
    schedule(cloud)
    alarm = alarm_of(cloud, 2**52)
    assert cloud.deliver(Nudge().ring, alarm).code == 409


def test_a_call_by_hand_for_no_reminder_is_skipped(cloud: Cloud) -> None:
    body = {"reminder_id": "nudge:s", "generation": 1}
    assert cloud.call(Nudge().ring, body).status == "skipped"


def test_an_alarm_of_an_older_generation_finds_the_newer(cloud: Cloud) -> None:
    nudge, older = Nudge(), due(cloud)
    schedule(cloud, key="again", n=2)
    assert (ring(cloud, older, nudge), nudge.sent, state(cloud)) == ("skipped", [], "pending")


def test_what_makes_no_sense_any_more_is_skipped(cloud: Cloud) -> None:
    nudge, alarm = Nudge(makes_sense=False), due(cloud)
    assert (ring(cloud, alarm, nudge), nudge.sent, state(cloud)) == ("skipped", [], "skipped")
    assert ring(cloud, alarm, nudge) == "skipped"


def test_a_kind_without_a_check_always_makes_sense(cloud: Cloud) -> None:
    alarm = due(cloud)
    kinds = {"nudge": LISTED}
    assert cloud.deliver(lambda call: ringing.ring(call, kinds), alarm).status == "sent"


def test_what_has_begun_is_not_checked_again(cloud: Cloud) -> None:
    """A message that went out is not called skipped because of what it brought about."""
    nudge, alarm = Nudge(then=failing(TransientError())), due(cloud)
    assert ring(cloud, alarm, nudge) == "waiting"
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
    assert (ring(cloud, alarm, nudge), state(cloud)) == ("waiting", "pending")
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
    key = f"nudge:s:{alarm.body['generation']}"
    assert (letter["source"], letter["key"]) == ("reminder", key)
    assert json.loads(letter["payload"]) == alarm.body
    assert (state(cloud), "overdue_at" in cloud.document(PATH)) == ("dead", False)
    assert ring(cloud, alarm) == "dead_lettered"


def test_what_is_given_up_after_the_last_attempt_is_dead(cloud: Cloud) -> None:
    nudge, alarm = Nudge(does=failing(TransientError())), due(cloud)
    answers = []
    for _ in range(5):
        answers.append(ring(cloud, alarm, nudge))
        alarm = (cloud.tasks.take() or [alarm])[0]
        cloud.firestore.now = max(cloud.now, alarm.at or cloud.now)
    assert (answers, state(cloud)) == (["waiting"] * 4 + ["dead_lettered"], "dead")


def test_what_is_not_recorded_as_dead_is_not_acknowledged(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its alarm rings again, and finds it as it was."""
    monkeypatch.setattr(attempt, "SETTLE_PAUSE", 0)
    alarm = due(cloud)

    def fail(work: Work) -> None:
        cloud.firestore.mishaps = ["error"] * 200
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
    assert (cloud.document(PATH)["payload"], state(cloud)) == ({"n": 2}, "pending")


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
    assert cloud.deliver(lambda call: ringing.ring(call, quiet), alarm).status == "sent"
    assert state(cloud) == "sent"


def test_what_waits_goes_back_to_pending_and_is_overdue_in_time(cloud: Cloud) -> None:
    nudge = Nudge(does=failing(UnavailableError("down")))
    ring(cloud, due(cloud), nudge)
    assert (state(cloud), history(cloud)) == ("pending", ["scheduled", "sending", "waiting"])
    assert cloud.document(PATH)["overdue_at"] > cloud.now


def test_what_may_have_gone_out_stays_in_sending(cloud: Cloud) -> None:
    def lose(work: Work) -> None:
        work.step("call", lambda key: failing(UnavailableError(outcome_unknown=True))(work))

    nudge, alarm = Nudge(does=lose), due(cloud)
    assert (ring(cloud, alarm, nudge), state(cloud)) == ("waiting", "sending")
    nudge.does = failing(UnavailableError("down"))
    assert (ring(cloud, alarm, nudge), state(cloud)) == ("waiting", "sending")


def test_what_may_have_gone_out_and_was_cancelled_is_not_sent_again(cloud: Cloud) -> None:
    nudge, alarm = Nudge(does=failing(KeyboardInterrupt())), due(cloud)
    with pytest.raises(KeyboardInterrupt):
        ring(cloud, alarm, nudge)
    cancel(cloud)
    nudge.does = lambda work: None
    cloud.advance(seconds=91)
    assert (ring(cloud, alarm, nudge), nudge.sent, state(cloud)) == ("skipped", [], "cancelled")


def test_a_dead_one_that_is_cancelled_is_not_replayed(cloud: Cloud) -> None:
    nudge, alarm = Nudge(does=failing(PermanentError())), due(cloud)
    ring(cloud, alarm, nudge)
    cancel(cloud)
    (letter,) = cloud.firestore.documents("dead_letters")
    nudge.does = lambda work: None
    replayed = cloud.call(nudge.ring, alarm.body, replay_of=letter.partition("/")[2])
    assert (replayed.status, nudge.sent, state(cloud)) == ("skipped", [], "cancelled")


# Again and again


def test_a_reminder_that_schedules_itself_rings_again(cloud: Cloud) -> None:
    nudge = Nudge(again=lambda work: scheduling(cloud, n=2)(work))
    assert ring(cloud, schedule(cloud, timedelta(0), n=1), nudge) == "rescheduled"
    assert history(cloud) == ["scheduled", "sending", "sent", "rescheduled", "scheduled"]
    (alarm,) = cloud.tasks.take()
    cloud.firestore.now += DAY
    nudge.again = lambda work: []
    assert (ring(cloud, alarm, nudge), state(cloud)) == ("sent", "sent")
    assert [it.payload for it in nudge.sent] == [{"n": 1}, {"n": 2}]


def test_one_that_recurs_says_the_same_each_time(cloud: Cloud) -> None:
    nudge = Nudge(again=_daily)
    cloud.handle(_daily)
    for _ in range(5):
        (alarm,) = cloud.tasks.take()
        cloud.firestore.now += DAY
        assert ring(cloud, alarm, nudge) == "rescheduled"
        assert ring(cloud, alarm, nudge) == "skipped"
    assert (len(nudge.sent), state(cloud)) == (5, "pending")


def test_scheduling_itself_in_a_step_is_the_same(cloud: Cloud) -> None:
    nudge = Nudge(then=lambda work: work.write("again", lambda: _daily(work)))
    cloud.handle(_daily)
    (alarm,) = cloud.tasks.take()
    cloud.firestore.now += DAY
    assert (ring(cloud, alarm, nudge), state(cloud)) == ("rescheduled", "pending")
    assert (len(nudge.sent), len(cloud.tasks.take())) == (1, 1)


def test_asking_again_later_sends_nothing_now(cloud: Cloud) -> None:
    def ask_later(due_: Reminder, work: Work) -> Outcome:
        return Outcome(result="rescheduled", writes=_daily(work))

    kinds = {"nudge": ReminderKind(name="nudge", act=ask_later)}
    ending = cloud.deliver(lambda call: ringing.ring(call, kinds), due(cloud))
    assert (ending.status, state(cloud)) == ("rescheduled", "pending")
    assert history(cloud) == ["scheduled", "sending", "skipped", "rescheduled", "scheduled"]


@pytest.mark.parametrize("is_early", [True, False])
def test_a_cancellation_meanwhile_ends_the_series(cloud: Cloud, is_early: bool) -> None:
    def cancelling(work: Work) -> list[Write]:
        writes = [] if is_early else _daily(work)
        cancel(cloud)
        return _daily(work) if is_early else writes

    nudge = Nudge(again=cancelling)
    assert ring(cloud, due(cloud), nudge) == "sent"
    assert (state(cloud), len(nudge.sent)) == ("sent", 1)
    cloud.firestore.now += 2 * DAY
    assert [ring(cloud, alarm, nudge) for alarm in cloud.tasks.take()] in ([], ["skipped"])


def test_what_others_schedule_meanwhile_wins_over_its_own(cloud: Cloud) -> None:
    def meanwhile(work: Work) -> list[Write]:
        cloud.handle(scheduling(cloud, n=9), "others")
        return _daily(work)

    assert ring(cloud, due(cloud), Nudge(again=meanwhile)) == "sent"
    assert cloud.document(PATH)["payload"] == {"n": 9}


def test_one_that_fails_after_scheduling_itself_is_tried_again(cloud: Cloud) -> None:
    def fail(work: Work) -> list[Write]:
        _daily(work)
        raise TransientError

    nudge, alarm = Nudge(again=fail), due(cloud)
    assert ring(cloud, alarm, nudge) == "waiting"
    (again,) = cloud.tasks.take()
    same = {**alarm.body, "at": cloud.document(PATH)["alarm"]["at"].isoformat()}
    assert again.body == same, "it rings for the same again"
    nudge.again = _daily
    assert (ring(cloud, alarm, nudge), len(nudge.sent)) == ("rescheduled", 1)


def _daily(work: Work) -> list[Write]:
    return reminders.within(work).schedule(LISTED, "s", user_id="u", after=DAY)


# What nobody can ring

BROKEN: list[dict[str, Any]] = [
    {"state": "?"},
    {"state": 7},
    {"generation": "one"},
    {"payload": "text"},
    {"due_at": "tomorrow"},
    {"user_id": None},
    {"mark": {"does": "dance"}},
    {"alarm": 3},
    {"history": [1]},
]


@pytest.mark.parametrize("broken", BROKEN, ids=str)
def test_a_broken_record_is_dead_once(cloud: Cloud, broken: dict[str, Any]) -> None:
    nudge, alarm = Nudge(), due(cloud)
    cloud.firestore.commit([Merge(path=PATH, fields=broken)])
    assert {ring(cloud, alarm, nudge) for _ in range(3)} == {"dead_lettered"}
    (letter,) = cloud.firestore.documents("dead_letters").values()
    assert (letter["source"], letter["reason"], letter["attempts"]) == (
        "reminder", "corrupt_record", 1,
    )  # fmt: skip
    assert (state(cloud), "overdue_at" in cloud.document(PATH)) == ("dead", False)


def test_a_record_of_a_removed_kind_is_dead_once(cloud: Cloud) -> None:
    alarm = due(cloud)
    answers = {cloud.deliver(lambda call: ringing.ring(call, {}), alarm).status for _ in range(3)}
    assert (answers, state(cloud)) == ({"dead_lettered"}, "dead")
    assert len(cloud.firestore.documents("dead_letters")) == 1


def test_once_its_kind_is_back_a_replay_sends_it(cloud: Cloud) -> None:
    nudge, alarm = Nudge(), due(cloud)
    cloud.deliver(lambda call: ringing.ring(call, {}), alarm)
    (letter,) = cloud.firestore.documents("dead_letters")
    replayed = cloud.call(nudge.ring, alarm.body, replay_of=letter.partition("/")[2])
    assert (replayed.status, len(nudge.sent), state(cloud)) == ("sent", 1, "sent")


def test_a_settled_record_of_a_removed_kind_stays_as_it_is(cloud: Cloud) -> None:
    alarm = due(cloud)
    ring(cloud, alarm)
    cloud.deliver(lambda call: ringing.ring(call, {}), alarm)
    assert state(cloud) == "sent"
