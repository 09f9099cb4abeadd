"""A campaign for tests, and whoever plays Scheduler and Cloud Tasks for it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from common.cloud import firestore
from common.cloud.firestore import Create
from common.cloud.tasks import Task
from common.idempotency import Answer, Call, Outcome, Work
from common.process.tables import table
from common.scheduling import calls, campaigns
from common.scheduling.campaigns import Audience, Campaign, Edition
from common.scheduling.campaigns.working import Slices
from common.triggers.boundary import Ending
from tests.common.memory_cloud import Cloud

TICK = "2030-01-06T17:00:00+00:00"
"""A Sunday, an hour before it is Monday 8:00 in the first zone."""
NEXT = "2030-01-13T17:00:00+00:00"
RUN = f"fanouts/news:{TICK}"


@dataclass
class News:
    """A weekly campaign that keeps whom it was sent to."""

    slices: Slices = field(default_factory=lambda: Slices(page=2, reserve=0))
    result: str | None = "sent"
    sent: list[str] = field(default_factory=list)
    editions: list[Edition] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    """What the campaign declares otherwise."""

    def __post_init__(self) -> None:
        declared: dict[str, Any] = {
            "name": "news",
            "audience": Audience(collection="users", where={"wants": True}),
            "day": campaigns.coming(0),
            "period": campaigns.week,
            "queue": "digests",
            "send": self._send,
            **self.options,
        }
        self.campaign = Campaign(**declared)
        self._table = table(self.campaign)

    def start(self, call: Call) -> Answer:
        """What `fanout` does."""
        return campaigns.start(call, self._table, slices=self.slices)

    def go_on(self, call: Call) -> Answer:
        """What `fanout` does when an alarm of its own rings."""
        return calls.tick(call, self._table)

    def send(self, call: Call) -> Answer:
        """What `reminder` does."""
        return campaigns.send_to_user(call, self._table)

    def _send(self, user_id: str, edition: Edition, work: Work) -> Outcome:
        work.step("message", lambda key: self.sent.append(user_id))
        self.editions.append(edition)
        return Outcome(result=self.result)


def users(*names: str, wants: bool = True, **fields: Any) -> None:
    """Sign these users up."""
    for begin in range(0, len(names), 400):
        firestore.commit(
            [
                Create(path=f"users/{it}", fields={"user_id": it, "wants": wants, **fields})
                for it in names[begin : begin + 400]
            ]
        )


def tick(cloud: Cloud, news: News, at: str | None = TICK, **body: Any) -> Ending:
    """Fire the tick of that time."""
    return cloud.call(news.start, {"campaign": "news", **body}, tick=at)


def drained(cloud: Cloud, news: News) -> list[Task]:
    """Deliver what `fanout` has for itself until nothing is left; the tasks for users."""
    made: list[Task] = []
    while taken := cloud.tasks.take():
        made += [it for it in taken if it.queue != "fanout"]
        for task in taken:
            if "shard" in task.body:
                assert cloud.deliver(news.start, task).code == 200
            elif "reminder_id" in task.body and task.at:
                cloud.advance(seconds=max((task.at - cloud.now).total_seconds(), 0))
                assert cloud.deliver(news.go_on, task).code == 200
    return made


def run(cloud: Cloud, news: News, at: str | None = TICK, **body: Any) -> list[Task]:
    """The tasks for users that a whole run makes."""
    assert tick(cloud, news, at, **body).code == 200
    return drained(cloud, news)


def names(made: list[Task]) -> list[str]:
    """Whom the tasks are for."""
    return sorted(str(it.body["user_id"]) for it in made)


def time(text: str) -> datetime:
    """An ISO time."""
    return datetime.fromisoformat(text)
