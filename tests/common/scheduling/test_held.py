"""What may have happened already is held, for reminders and campaigns that say so."""

from collections.abc import Callable
from contextlib import suppress
from typing import Literal

import pytest

from common.errors import UnavailableError
from common.idempotency import Answer, Call, Outcome, Work
from common.scheduling import campaigns, ringing
from common.scheduling.kinds import Reminder, ReminderKind
from tests.common.memory_cloud import Cloud
from tests.common.scheduling.campaigns.news import News, run, users
from tests.common.scheduling.nudge import due, state

Deliver = Callable[[], str]
Policy = Literal["rerun", "hold"]


class Killed(BaseException):
    """The process dies."""


class Bank:
    """Who is charged; what befalls the first charge, before or after it."""

    def __init__(self, befalls: BaseException, *, is_before: bool = False) -> None:
        self.charges = 0
        self._befalls = [befalls]
        self._is_before = is_before

    def charge(self, work: Work) -> Outcome:
        if self._is_before and self._befalls:
            raise self._befalls.pop()
        work.effect("charge", self._charged)
        return Outcome(result="sent")

    def _charged(self, key: str) -> str:
        self.charges += 1
        if self._befalls:
            raise self._befalls.pop()
        return "charged"


def reminding(cloud: Cloud, bank: Bank, policy: Policy) -> Deliver:
    """A reminder that charges is due; each call is a ring of it."""

    def act(reminder: Reminder, work: Work) -> Outcome:
        return bank.charge(work)

    kind = ReminderKind(name="nudge", act=act, on_unknown_outcome=policy)
    alarm = due(cloud)
    return lambda: cloud.deliver(lambda it: ringing.ring(it, {"nudge": kind}), alarm).status


def campaigning(cloud: Cloud, bank: Bank, policy: Policy) -> Deliver:
    """A campaign that charges has made the task of a user; each call is a delivery of the task."""
    users("ada")
    options = {"send": lambda user, edition, work: bank.charge(work), "on_unknown_outcome": policy}
    news = News(options=options)
    (task,) = run(cloud, news)

    def send(call: Call) -> Answer:
        return campaigns.send_to_user(call, {"news": news.campaign})

    return lambda: cloud.deliver(send, task).status


@pytest.fixture(params=[reminding, campaigning])
def delivering(request: pytest.FixtureRequest) -> Callable[[Cloud, Bank, Policy], Deliver]:
    made: Callable[[Cloud, Bank, Policy], Deliver] = request.param
    return made


Delivering = Callable[[Cloud, Bank, Policy], Deliver]


@pytest.mark.parametrize(
    ("policy", "then", "charges"), [("rerun", "sent", 2), ("hold", "dead_lettered", 1)]
)
def test_what_was_under_way_when_the_process_died_is_done_again_or_held(
    cloud: Cloud, delivering: Delivering, policy: Policy, then: str, charges: int
) -> None:
    bank = Bank(Killed())
    deliver = delivering(cloud, bank, policy)
    with suppress(Killed):
        deliver()
    cloud.advance(minutes=10)
    assert (deliver(), bank.charges) == (then, charges)


def test_what_had_not_begun_is_done(cloud: Cloud, delivering: Delivering) -> None:
    bank = Bank(Killed(), is_before=True)
    deliver = delivering(cloud, bank, "hold")
    with suppress(Killed):
        deliver()
    cloud.advance(minutes=10)
    assert (deliver(), bank.charges) == ("sent", 1)


def test_a_lost_answer_is_a_letter_that_says_so(cloud: Cloud, delivering: Delivering) -> None:
    bank = Bank(UnavailableError("no answer", outcome_unknown=True))
    deliver = delivering(cloud, bank, "hold")
    assert [deliver(), deliver()] == ["dead_lettered", "dead_lettered"]
    (letter,) = cloud.firestore.documents("dead_letters").values()
    assert (letter["reason"], bank.charges) == ("unknown_outcome", 1)


def test_a_reminder_that_is_held_is_dead(cloud: Cloud) -> None:
    deliver = reminding(cloud, Bank(UnavailableError("lost", outcome_unknown=True)), "hold")
    deliver()
    assert state(cloud) == "dead"


def test_somebody_who_surely_did_nothing_is_asked_again(
    cloud: Cloud, delivering: Delivering
) -> None:
    bank = Bank(UnavailableError("down"))
    assert delivering(cloud, bank, "hold")() == "waiting"
    assert not cloud.firestore.documents("dead_letters")
