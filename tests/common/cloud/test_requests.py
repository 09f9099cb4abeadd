"""What Google's services are asked, and what becomes of their answers: without a socket."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.api_core import exceptions as google
from google.api_core.retry import Retry

from common.cloud import firestore, tasks
from common.cloud.firestore import Create, Delete, Merge, Snapshot, Update
from common.cloud.tasks import MAX_BODY, Task
from common.errors import PermanentError, RefusedError, TransientError
from common.process import logs, settings
from tests.common.memory_cloud import CONFIG

AT = datetime(2030, 1, 1, tzinfo=UTC)
TASK = Task(
    queue="q", url="https://f.example.com", body={"n": 1}, identity=("a", "b"), audience="f"
)


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """A client that connects to nobody, as long as nobody calls."""
    with clients():
        yield


@contextmanager
def clients() -> Iterator[None]:
    """Settings and clients of their own, for the length of the block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:1")
        patch.setattr(settings, "current", lambda: CONFIG)
        patch.setattr(logs, "_log", lambda *record: None)
        firestore._make_client.cache_clear()
        yield
    firestore._make_client.cache_clear()


# Firestore


def read(update_time: datetime | None) -> Snapshot:
    return Snapshot(path="c/d", data={}, update_time=update_time, read_time=AT)


def test_what_was_read_is_written_only_if_it_is_still_the_same() -> None:
    write = read(AT).write({"n": 1})
    assert write == Update(path="c/d", fields={"n": 1}, update_time=AT)


def test_what_was_not_there_is_written_only_if_it_still_is_not() -> None:
    assert read(None).write({"n": 1}) == Create(path="c/d", fields={"n": 1})


def precondition(write: firestore.Write) -> Any:
    """What the service is asked to check."""
    batch = firestore.client().batch()
    firestore._add(batch, write)
    (asked,) = batch._write_pbs
    return asked.current_document


def test_a_create_is_refused_where_the_document_exists() -> None:
    assert precondition(Create(path="c/d", fields={"n": 1})).exists is False
    assert "exists" in precondition(Create(path="c/d", fields={"n": 1}))


def test_an_update_is_refused_where_the_document_has_changed() -> None:
    asked = precondition(Update(path="c/d", fields={"n": 1}, update_time=AT))
    assert asked.update_time == AT


@pytest.mark.parametrize("write", [Merge(path="c/d", fields={"n": 1}), Delete(path="c/d")])
def test_a_merge_and_a_delete_ask_for_nothing(write: firestore.Write) -> None:
    asked = precondition(write)
    assert "exists" not in asked
    assert "update_time" not in asked


def test_a_merge_leaves_the_other_fields() -> None:
    batch = firestore.client().batch()
    firestore._add(batch, Merge(path="c/d", fields={"n": 1}))
    (asked,) = batch._write_pbs
    assert list(asked.update_mask.field_paths) == ["n"]


class Batch:
    """A batch whose commit fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def commit(self, **how: Any) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("error", "translated"),
    [
        (google.AlreadyExists("a"), RefusedError),
        (google.FailedPrecondition("a"), RefusedError),
        (google.NotFound("a"), RefusedError),
        (google.InvalidArgument("a"), PermanentError),
        (ValueError("a"), PermanentError),
        (google.DeadlineExceeded("a"), TransientError),
        (google.PermissionDenied("a"), TransientError),
    ],
)
def test_an_error_of_a_commit_says_whether_it_was_applied(
    monkeypatch: pytest.MonkeyPatch, error: Exception, translated: type[Exception]
) -> None:
    monkeypatch.setattr(firestore.client(), "batch", lambda: Batch(error))
    with pytest.raises(translated) as raised:
        firestore.commit([])
    assert type(raised.value) is translated


# Cloud Tasks


@dataclass
class Service:
    """A client of Cloud Tasks: the next calls fail like this, and it tries again if it may."""

    errors: list[Exception] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)

    def queue_path(self, project: str, location: str, queue: str) -> str:
        return f"projects/{project}/locations/{location}/queues/{queue}"

    def create_task(self, *, parent: str, task: Any, retry: Retry | None, timeout: float) -> None:
        self.asked.append((parent, task))
        while self.errors:
            error = self.errors.pop(0)
            if retry is None or not retry._predicate(error):
                raise error


@contextmanager
def service(*errors: Exception) -> Iterator[Service]:
    """Cloud Tasks answers like this."""
    made = Service(list(errors))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "_make_client", lambda: made)
        yield made


def enqueued(*errors: Exception) -> str:
    """What becomes of a task when the service answers like this."""
    with service(*errors):
        return tasks.enqueue(TASK)


def test_a_task_names_its_identity_its_time_and_its_caller() -> None:
    with service() as made:
        assert tasks.enqueue(TASK) == "created"
    ((queue, asked),) = made.asked
    assert queue == "projects/shop/locations/europe-west1/queues/q"
    assert asked.name == f"{queue}/tasks/{tasks.name(('a', 'b'))}"
    assert asked.http_request.body == b'{"n": 1}'
    assert asked.http_request.oidc_token.audience == "f"


def test_names_of_two_identities_differ_and_of_one_do_not() -> None:
    assert tasks.name(("a", "b")) == tasks.name(("a", "b"))
    assert tasks.name(("a", "b")) != tasks.name(("ab",))


def test_a_name_that_was_used_means_that_the_task_is_there() -> None:
    assert enqueued(google.AlreadyExists("a")) == "existed"


def test_a_create_is_repeated_because_its_name_makes_that_safe() -> None:
    assert enqueued(google.ServiceUnavailable("a")) == "created"


def test_a_repeat_that_finds_the_name_has_succeeded() -> None:
    assert enqueued(google.ServiceUnavailable("a"), google.AlreadyExists("a")) == "existed"


@pytest.mark.parametrize(
    ("error", "translated"),
    [
        (google.InvalidArgument("a"), PermanentError),
        (google.NotFound("a"), TransientError),
        (google.FailedPrecondition("a"), TransientError),
        (google.Forbidden("a"), TransientError),
        (google.InternalServerError("a"), TransientError),
    ],
)
def test_only_what_is_wrong_with_the_task_itself_is_permanent(
    error: Exception, translated: type[Exception]
) -> None:
    with pytest.raises(translated) as raised:
        enqueued(error)
    assert type(raised.value) is translated


def test_a_task_that_is_too_large_is_refused_before_it_is_sent() -> None:
    large = Task(queue="q", url="u", body={"n": "x" * MAX_BODY}, identity=("a",), audience="f")
    with service() as made, pytest.raises(PermanentError, match="100009 bytes"):
        tasks.enqueue(large)
    assert made.asked == []


def test_the_first_error_of_many_is_raised_after_all_were_tried() -> None:
    with service(google.InternalServerError("a")) as made, pytest.raises(TransientError):
        tasks.enqueue_all([TASK] * 5)
    assert len(made.asked) == 5


def test_a_task_is_due_when_it_says_and_may_take_as_long() -> None:
    later = Task(
        queue="q",
        url="u",
        body={},
        identity=("a",),
        audience="f",
        at=AT,
        deadline=timedelta(minutes=10),
    )
    with service() as made:
        tasks.enqueue(later)
    ((_, asked),) = made.asked
    assert (asked.schedule_time, asked.dispatch_deadline) == (AT, timedelta(minutes=10))
