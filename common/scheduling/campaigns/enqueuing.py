"""Enqueuing: from a page of the audience to a task for each user, and what became of each.

    user ─┬─ the day is over in the user's zone ──▶ too_late
          └─ task, on one of the queues ─┬─ created ──▶ enqueued
                                         ├─ existed ──▶ duplicate
                                         └─ never ────▶ failed, with a dead letter

Whatever cannot be enqueued for good stops nobody else. What cannot be enqueued now raises: the page
is made again, and the tasks that are there already exist.
"""

import json
import zlib
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from msgspec import Struct
from msgspec.structs import replace

from common.cloud import firestore
from common.cloud.batches import Batches, Begun
from common.cloud.firestore import Snapshot, Write
from common.cloud.tasks import Failed, Result, Task
from common.errors import PermanentError, TransientError
from common.idempotency import dead_letters
from common.idempotency.origin import Origin
from common.idempotency.record import record_id
from common.idempotency.waits import MAX_ERROR
from common.process import logs, settings
from common.process.times import zone_of
from common.scheduling.campaigns import periods
from common.scheduling.campaigns.runs import FORMAT, Run
from common.scheduling.campaigns.sending import FUNCTION, key_of

LETTERS = 10
"""Dead letters in one commit: a commit takes 10 MiB, and a letter may have almost one."""


class Page(Struct, frozen=True, kw_only=True):
    """A page whose tasks are being made."""

    cursor: str | None
    """The id of its last document; None: it has none."""
    made: Sequence[Task]
    begun: Begun
    counts: Counter[str]
    """What is known already."""
    last_due: datetime | None
    """When the last of its tasks is due; None: all are due now."""


class Enqueuer:
    """Makes the tasks of one run."""

    def __init__(self, run: Run, batches: Batches, *, force: bool) -> None:
        self._run = run
        self._batches = batches
        self._force = force
        self._config = settings.current()
        self._edition = edition = run.edition
        self._body = {
            "campaign": edition.campaign,
            "period": edition.period,
            "run": edition.run,
            "format": FORMAT,
        }
        """What all tasks of the run say."""
        self._encoded = json.dumps(self._body).encode()[:-1]
        self._like = Task(
            queue=run.campaign.queue,
            url=self._config.reminder_url,
            body=self._body,
            identity=(),
            audience=self._config.reminder_audience,
        )
        self._queues = self._config.queues_of(run.campaign.queue).count
        self._due: dict[str, datetime | None] = {}
        """When it is the campaign's time in each zone; None: the day is over there."""

    def begin(self, page: Sequence[Snapshot], *, patience: float) -> "Page":
        """Begin to make the tasks of a page; each is made, or not, within so many seconds."""
        counts: Counter[str] = Counter(read=len(page))
        self._due.clear()
        made = [task for user in page if (task := self._task(user, counts)) is not None]
        cursor = page[-1].path.rpartition("/")[2] if page else None
        begun = self._batches.begin(made, patience=patience)
        last_due = max((task.at for task in made if task.at), default=None)
        return Page(cursor=cursor, made=made, begun=begun, counts=counts, last_due=last_due)

    def finish(self, page: "Page") -> Counter[str]:
        """Wait for the tasks of a page; how many there are of each kind.

        Raises TransientError when one of them cannot be made now.
        """
        results = page.begun.results()
        page.counts["enqueued"] = results.count("created")
        page.counts["duplicate"] = results.count("existed")
        self._fail(_failures(page.made, results), page.counts)
        return page.counts

    def _task(self, user: Snapshot, counts: Counter[str]) -> Task | None:
        due = self._due_of(user, counts)
        if due is None:
            counts["too_late"] += 1
            return None
        user_id = self._run.campaign.audience.user_id(user)
        edition = self._edition
        return replace(
            self._like,
            queue=self._queue(user_id),
            body={**self._body, "user_id": user_id},
            encoded=b'%b, "user_id": %b}' % (self._encoded, _json(user_id).encode()),
            identity=(edition.campaign, edition.period, user_id, edition.run),
            at=due if due > user.read_time else None,
        )

    def _due_of(self, user: Snapshot, counts: Counter[str]) -> datetime | None:
        at, now = self._run.campaign.at, user.read_time.astimezone(UTC)
        if at is None:
            return now
        name = str(user.data.get(self._run.campaign.audience.zone_field) or "")
        zone = zone_of(name) if name else None
        if zone is None:
            counts["unknown_zone"] += 1
            name, zone = "", self._config.default_timezone
        if name not in self._due:
            self._due[name] = periods.due(self._edition.day, at, zone, now)
        return self._due[name]

    def _queue(self, user_id: str) -> str:
        queue = self._run.campaign.queue
        if self._queues == 1:
            return queue
        return f"{queue}-{1 + zlib.crc32(user_id.encode()) % self._queues}"

    def _fail(self, failures: Sequence[tuple[Task, PermanentError]], counts: Counter[str]) -> None:
        counts["failed"] = len(failures)
        letters = [self._letter(task, error) for task, error in failures]
        for begin in range(0, len(letters), LETTERS):
            firestore.commit(letters[begin : begin + LETTERS])

    def _letter(self, task: Task, error: PermanentError) -> Write:
        """It is that of the message, which `reminder` sends when it is replayed."""
        user_id = str(task.body["user_id"])
        key = key_of(self._edition, user_id, force=self._force)
        shown = user_id[:MAX_ERROR]
        logs.error("dead_lettered", str(error), user_id=shown)
        return dead_letters.opened(
            record_id(FUNCTION, key),
            source=FUNCTION,
            reason="permanent",
            error=str(error),
            payload=task.encoded,
            attempts=1,
            now=firestore.latest_time(),
            key=key,
            origin=Origin(user_id=shown),
        )


_json = json.JSONEncoder().encode


def _failures(made: Sequence[Task], results: Sequence[Result]) -> list[tuple[Task, PermanentError]]:
    """The tasks that can never be made. Raises the error of one that cannot be made now."""
    failures = []
    for task, result in zip(made, results, strict=True):
        if isinstance(result, Failed):
            if isinstance(result.error, TransientError):
                raise result.error
            failures.append((task, result.error))
    return failures
