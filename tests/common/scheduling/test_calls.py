"""What a call is about: a reminder, a campaign's user, a campaign's tick, or the sweep's."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from common.cloud import firestore
from common.cloud.firestore import Create
from common.errors import InProgressError, UnavailableError
from common.idempotency import Call, Outcome, Work
from common.process.tables import table
from common.scheduling import calls, campaigns, reminders
from common.scheduling.campaigns import Audience, Campaign
from common.scheduling.reminders import Reminder, ReminderKind
from tests.common.memory_cloud import Cloud

KINDS = table(ReminderKind(name="nudge", act=lambda due, work: Outcome(result="sent")))
TICK = "2030-01-07T08:00:00+00:00"
CAMPAIGNS = table(
    Campaign(
        name="news",
        audience=Audience(collection="people"),
        period=campaigns.week,
        queue="news",
        send=lambda user_id, edition, work: Outcome(result="skipped"),
    )
)


def due(call: Call) -> object:
    return calls.due(call, KINDS, CAMPAIGNS, {}).result


def tick(call: Call) -> object:
    return calls.tick(call, CAMPAIGNS).result


def schedule(cloud: Cloud) -> int:
    """The generation of a reminder that is due in a minute; its alarm is lost."""
    reminders.schedule(KINDS["nudge"], "s", user_id="u", after=timedelta(minutes=1))
    (alarm,) = cloud.tasks.take()
    return int(alarm.body["generation"])


def test_a_task_that_names_a_campaign_is_one_of_the_campaign(cloud: Cloud) -> None:
    body = {"campaign": "news", "period": "2030-W02", "user_id": "u", "run": TICK}
    assert due(Call(body=body, raw=b"{}")) == "skipped"


def test_any_other_task_is_the_alarm_of_a_reminder(cloud: Cloud) -> None:
    generation = schedule(cloud)
    cloud.advance(minutes=2)
    body = {"reminder_id": "nudge:s", "generation": generation}
    assert due(Call(body=body, raw=b"{}")) == "sent"


def test_while_somebody_it_needs_is_unavailable_a_reminder_claims_nothing(cloud: Cloud) -> None:
    generation = schedule(cloud)
    cloud.advance(minutes=2)

    def refuse() -> None:
        raise InProgressError("mail.example is unavailable", retry_after=7)

    kinds = table(replace(KINDS["nudge"], needs=refuse))
    body = {"reminder_id": "nudge:s", "generation": generation}
    with pytest.raises(InProgressError, match="unavailable"):
        calls.due(Call(body=body, raw=b"{}"), kinds, CAMPAIGNS, {})
    assert not list(firestore.query("idempotency"))
    assert due(Call(body=body, raw=b"{}")) == "sent"


def test_so_does_the_message_of_a_campaign(cloud: Cloud) -> None:
    def refuse() -> None:
        raise InProgressError("mail.example is unavailable", retry_after=7)

    body = {"campaign": "news", "period": "2030-W02", "user_id": "u"}
    needy = table(replace(CAMPAIGNS["news"], needs=refuse))
    with pytest.raises(InProgressError, match="unavailable"):
        calls.due(Call(body=body, raw=b"{}"), KINDS, needy, {})
    assert not list(firestore.query("idempotency"))


def test_what_has_been_refused_often_enough_is_claimed_and_waits(cloud: Cloud) -> None:
    """Its patience has begun, and its next try is due then, whoever is the breaker's probe."""

    def refuse() -> None:
        raise InProgressError("mail.example is unavailable", retry_after=7)

    def send(reminder: Reminder, work: Work) -> Outcome:
        raise UnavailableError("mail.example is unavailable")

    generation = schedule(cloud)
    cloud.advance(minutes=2)
    kinds = table(replace(KINDS["nudge"], needs=refuse, act=send))
    body = {"reminder_id": "nudge:s", "generation": generation}

    def codes(tries: int) -> int:
        return cloud.call(lambda it: calls.due(it, kinds, CAMPAIGNS, {}), body, tries=tries).code

    assert [codes(tries) for tries in range(calls.REFUSALS + 1)] == [409, 409, 409, 200]
    (record,) = firestore.query("idempotency")
    assert record.data["state"] == "waiting"
    (alarm,) = cloud.tasks.take()
    assert alarm.at is not None
    assert alarm.at > cloud.now


def test_the_tick_of_a_campaign_makes_the_tasks_of_the_campaign(cloud: Cloud) -> None:
    firestore.commit([Create(path="people/a", fields={})])
    assert tick(Call(body={"campaign": "news"}, raw=b"{}", tick=TICK))
    (shard, _) = cloud.tasks.take()
    assert tick(Call(body=shard.body, raw=b"{}")) == "enqueued"
    assert [task.queue for task in cloud.tasks.take()] == ["news"]


def test_the_tick_of_the_sweep_rings_what_is_overdue(cloud: Cloud) -> None:
    schedule(cloud)
    cloud.advance(hours=1)
    assert tick(Call(body={"campaign": "reminder_sweep"}, raw=b"{}", tick="t"))
    assert [task.queue for task in cloud.tasks.take()] == ["reminders"]
