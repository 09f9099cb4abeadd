"""Everything there is to see in a running cloud, as one JSON document."""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from local.http import documents
from local.kernel import fault_plans
from local.kernel.clock import Clock
from local.kernel.delivery import Deliverer
from local.kernel.faults import Faults
from local.kernel.rpc import Service
from local.services.functions.catalog import Entry
from local.services.functions.service import Functions
from local.services.tasks.service import Summary, Tasks

JSON = dict[str, Any]
RECENT = 8
"""Lines of output, and dead letters, shown of each."""

MOST = 5_000
"""Messages that are read to be counted by template."""


class Backlogs(Protocol):
    """The Pub/Sub service, as far as the report needs it."""

    def backlog(self) -> dict[str, int]:
        """Messages not yet acknowledged, by subscription name."""


@dataclass(kw_only=True)
class Report:
    """Reads what there is in the services and the functions."""

    project: str
    clock: Clock
    faults: Faults
    deliverer: Deliverer
    functions: Functions
    firestore: Service
    tasks: Tasks
    backlogs: Backlogs
    jobs: Callable[[], list[JSON]]
    """Every scheduler job, as `Job` JSON."""

    async def read(self) -> JSON:
        """Return the whole report. Names are ids (the last part) where those are unique by
        themselves."""
        return {
            "project": self.project,
            "clock": self.time(),
            "functions": self._functions(),
            "queues": [_queue(summary) for summary in self.tasks.summaries()],
            "jobs": [_job(job) for job in self.jobs()],
            "subscriptions": [
                {"name": _id(name), "backlog": count}
                for name, count in self.backlogs.backlog().items()
            ],
            "messages": await self._messages(),
            "dead_letters": await self._dead_letters(),
            "ignored_events": self.functions.ignored(),
            "deliveries": dict(self.deliverer.counts),
            "attempts": dict(self.deliverer.attempts),
            "faults": {
                "plan": fault_plans.document(self.faults.plan),
                "injected": {kind: n for kind, n in self.faults.injected.items() if n},
            },
            "calls": {
                f"{service.rpartition('.')[2]}.{method}": count
                for (service, method), count in sorted(self.faults.counts.items())
            },
        }

    def topics(self) -> list[str]:
        """Return the full names of the topics that feed functions, sorted."""
        triggers = (entry.body.get("eventTrigger") or {} for entry in self.functions.catalog.all())
        return sorted({trigger["pubsubTopic"] for trigger in triggers if trigger})

    def database(self) -> str:
        """Return the full name of the Firestore database that the functions use."""
        for entry in self.functions.catalog.all():
            variables = entry.body.get("serviceConfig", {}).get("environmentVariables", {})
            database = variables.get("FIRESTORE_DATABASE", "(default)")
            return f"projects/{entry.name.split('/')[1]}/databases/{database}"
        return f"projects/{self.project}/databases/(default)"

    def time(self) -> JSON:
        """Return what the clock says: the time, its lead on real time, what is in flight and what
        is due."""
        due = self.clock.next_due()
        return {
            "now": self.clock.now().isoformat(),
            "ahead_seconds": self.clock.ahead().total_seconds(),
            "in_flight": self.deliverer.in_flight,
            "next_due": due.isoformat() if due else None,
        }

    def _functions(self) -> list[JSON]:
        return [
            {
                "name": entry.id,
                "state": self._state(entry),
                "url": entry.body["url"],
                "topic": _id((entry.body.get("eventTrigger") or {}).get("pubsubTopic", "")),
                "log": self.functions.log(entry.name, RECENT),
            }
            for entry in self.functions.catalog.all()
        ]

    def _state(self, entry: Entry) -> str:
        """The state of the function's process, or, if it has none, the one in which it was left."""
        state = self.functions.state(entry.name)
        return str(entry.body["state"]).lower() if state == "stopped" else state

    async def _messages(self) -> dict[str, int]:
        """The number of messages by template, unless reading them would hold everybody up."""
        total = await documents.count(self.firestore, self.database(), "messages", MOST + 1)
        if total > MOST:
            return {f"more than {MOST}, of all templates": total}
        found = await documents.read(self.firestore, self.database(), "messages", ["template"])
        return dict(sorted(Counter(one.get("template", "?") for one in found).items()))

    async def _dead_letters(self) -> JSON:
        total = await documents.count(self.firestore, self.database(), "dead_letters", MOST + 1)
        if total > MOST:
            return {"states": {f"more than {MOST}": total}, "recent": []}
        fields = ["source", "reason", "error", "state", "last_seen"]
        found = await documents.read(self.firestore, self.database(), "dead_letters", fields)
        found.sort(key=lambda one: one.get("last_seen", ""))
        states = Counter(one.get("state", "?") for one in found)
        return {"states": dict(states), "recent": found[-RECENT:]}


def _queue(summary: Summary) -> JSON:
    due = summary.next_due
    return {
        **asdict(summary),
        "name": _id(summary.name),
        "next_due": due.isoformat() if due else None,
    }


def _job(job: JSON) -> JSON:
    shown = ("schedule", "timeZone", "state", "scheduleTime")
    return {"name": _id(job["name"]), **{key: job[key] for key in shown if key in job}}


def _id(name: str) -> str:
    return name.rpartition("/")[2]
