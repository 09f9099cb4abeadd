"""Tasks: what the service is asked for, and what its refusals mean."""

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.api_core import exceptions as google
from google.api_core.operation import Operation
from google.cloud import tasks_v2
from google.longrunning import operations_pb2

from common.cloud import tasks
from common.cloud.tasks import MAX_BODY, PARALLEL, Task
from common.errors import PermanentError, TransientError
from tests.common.logged import entries, entry

Log = pytest.CaptureFixture[str]
QUEUE = "projects/shop/locations/europe-west1/queues/reminders"
TASK = Task(
    queue="reminders",
    url="https://reminder.example.com/",
    body={"n": 1, "name": "ü"},
    identity=("reminders", "r-1", "7"),
    audience="https://reminder.example.com",
)


@dataclass
class Service:
    """As much of Google's client as is used: it keeps what it is asked for, or refuses it."""

    refusals: dict[str, Exception] = field(default_factory=dict)
    """By the name of the task that is refused."""
    made: list[tasks_v2.Task] = field(default_factory=list)
    options: list[dict[str, Any]] = field(default_factory=list)

    queue_path = staticmethod(tasks_v2.CloudTasksClient.queue_path)

    def create_task(self, *, parent: str, task: tasks_v2.Task, **options: Any) -> None:
        self.options.append({"parent": parent, **options})
        if error := self.refusals.get(task.name.rpartition("/")[2]):
            raise error
        self.made.append(task)

    def get_task(self, *, name: str, **options: Any) -> None:
        if error := self.refusals.get(name.rpartition("/")[2]):
            raise error
        if name not in {task.name for task in self.made}:
            raise google.NotFound("Requested entity was not found.")


@pytest.fixture(autouse=True)
def service(environment: pytest.MonkeyPatch) -> Service:
    made = Service()
    environment.setattr(tasks, "client", lambda: made)
    return made


def test_a_queue_has_the_prefix_of_its_environment(
    service: Service, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("QUEUE_PREFIX", "staging-")
    tasks.enqueue(TASK)
    assert service.options[0]["parent"] == QUEUE.replace("reminders", "staging-reminders")


def refused(service: Service, error: Exception) -> str:
    """Enqueue a task that the service refuses so; what that raises."""
    service.refusals[tasks.name(TASK.identity)] = error
    try:
        return tasks.enqueue(TASK)
    except (PermanentError, TransientError) as raised:
        return f"{type(raised).__name__}: {raised}"


def test_a_name_is_a_hash_of_what_makes_the_task_one() -> None:
    assert tasks.name(("a", "b")) == tasks.name(("a", "b"))
    names = {tasks.name(it) for it in (("a", "b"), ("ab",), ("a", "b", ""), ("b", "a"), ("a/b",))}
    assert len(names) == 5
    assert all(len(name) == 64 and name.isalnum() for name in names)


def test_a_task_is_a_post_of_json_to_its_url(service: Service) -> None:
    assert tasks.enqueue(replace(TASK, headers={"Idempotency-Key": "k"})) == "created"
    (made,) = service.made
    asked = made.http_request
    assert (asked.url, asked.http_method) == (TASK.url, tasks_v2.HttpMethod.POST)
    assert json.loads(asked.body) == TASK.body
    assert asked.headers == {"Content-Type": "application/json", "Idempotency-Key": "k"}


def test_a_task_has_its_name_on_its_queue(service: Service) -> None:
    tasks.enqueue(TASK)
    (made,) = service.made
    assert made.name == f"{QUEUE}/tasks/{tasks.name(TASK.identity)}"
    assert service.options[0]["parent"] == QUEUE


def test_a_task_is_called_with_a_token_of_the_tasks_account_for_its_audience(
    service: Service,
) -> None:
    tasks.enqueue(TASK)
    token = service.made[0].http_request.oidc_token
    assert token.service_account_email == "tasks@shop.iam.gserviceaccount.com"
    assert token.audience == "https://reminder.example.com"


def test_a_task_is_due_now_or_at_its_time(service: Service) -> None:
    at = datetime(2030, 1, 1, tzinfo=UTC)
    tasks.enqueue(TASK)
    tasks.enqueue(replace(TASK, at=at, identity=("later",)))
    now, later = service.made
    assert "schedule_time" not in now
    assert later.schedule_time == at


def test_an_attempt_has_a_minute_unless_the_task_says_otherwise(service: Service) -> None:
    tasks.enqueue(TASK)
    tasks.enqueue(replace(TASK, deadline=timedelta(minutes=10)))
    assert [made.dispatch_deadline.total_seconds() for made in service.made] == [60, 600]


def test_a_call_is_repeated_and_ends_within_its_time(service: Service) -> None:
    """A named task can be created again: the second time it exists."""
    tasks.enqueue(TASK)
    (options,) = service.options
    assert options["timeout"] == tasks.RPC_TIMEOUT
    retried = [google.ServiceUnavailable, google.TooManyRequests, google.GatewayTimeout]
    assert all(options["retry"]._predicate(error("x")) for error in retried)
    assert not options["retry"]._predicate(google.InvalidArgument("x"))


def test_a_body_of_the_largest_size_is_taken_and_a_larger_one_never(service: Service) -> None:
    tasks.enqueue(replace(TASK, body={"x": "x" * (MAX_BODY - len('{"x": ""}'))}))
    with pytest.raises(PermanentError, match="a task's body has 100001 bytes, more than 100000"):
        tasks.enqueue(replace(TASK, body={"x": "x" * (MAX_BODY - len('{"x": ""}') + 1)}))
    assert len(service.made) == 1


def test_a_task_that_exists_is_there(service: Service) -> None:
    assert refused(service, google.AlreadyExists("x")) == "existed"


@pytest.mark.parametrize(
    "error",
    [
        google.NotFound,
        google.FailedPrecondition,
        google.Forbidden,
        google.PermissionDenied,
        google.ServiceUnavailable,
        google.TooManyRequests,
        google.DeadlineExceeded,
        google.InternalServerError,
        google.Unknown,
    ],
)
def test_what_may_pass_is_worth_another_try(service: Service, error: type[Exception]) -> None:
    """A queue is missing for a while after it was made, and rights take time to spread."""

    assert refused(service, error("away")).startswith(
        "TransientError: cannot enqueue on reminders: "
    )


def test_retries_that_have_used_up_their_time_are_worth_another_try(service: Service) -> None:
    said = refused(service, google.RetryError("timeout", cause=google.ServiceUnavailable("away")))
    assert said.startswith("TransientError: cannot enqueue on reminders: timeout")


def test_only_a_task_that_is_wrong_in_itself_is_refused_for_good(service: Service) -> None:
    said = refused(service, google.InvalidArgument("no such scheme"))
    assert said == "PermanentError: cannot enqueue on reminders: 400 no such scheme"


def test_several_are_all_tried_and_the_first_error_is_raised(service: Service) -> None:
    several = [replace(TASK, identity=(str(number),)) for number in range(2 * PARALLEL)]
    service.refusals = {
        tasks.name(("3",)): google.ServiceUnavailable("third"),
        tasks.name(("5",)): google.InvalidArgument("fifth"),
    }
    with pytest.raises(TransientError, match="third"):
        tasks.enqueue_all(several)
    assert len(service.made) == 2 * PARALLEL - 2


def test_of_several_it_is_told_in_their_order_which_existed(service: Service) -> None:
    several = [replace(TASK, identity=(str(number),)) for number in range(3)]
    service.refusals = {tasks.name(("1",)): google.AlreadyExists("x")}
    assert tasks.enqueue_all(several) == ["created", "existed", "created"]


def test_the_log_says_whether_a_task_waits_and_whether_it_was_there(
    service: Service, capfd: Log
) -> None:
    tasks.enqueue(TASK)
    found = entry(capfd)
    assert (found["action"], found["queue"], found["existed"]) == ("enqueued", "reminders", False)
    service.refusals = {tasks.name(TASK.identity): google.AlreadyExists("x")}
    tasks.enqueue(replace(TASK, at=datetime(2030, 1, 1, tzinfo=UTC)))
    assert [(it["action"], it["existed"]) for it in entries(capfd)] == [("scheduled", True)]


# Looking at one


def test_a_task_is_there_until_the_service_knows_it_no_more(service: Service) -> None:
    name = tasks.name(TASK.identity)
    assert not tasks.exists("reminders", name)
    tasks.enqueue(TASK)
    assert tasks.exists("reminders", name)


@pytest.mark.parametrize("error", [google.ServiceUnavailable("down"), google.Forbidden("no")])
def test_a_task_that_cannot_be_looked_at_is_not_called_gone(
    service: Service, error: Exception
) -> None:
    service.refusals["x"] = error
    with pytest.raises(TransientError, match="cannot look at reminders"):
        tasks.exists("reminders", "x")


# Many by one call


@dataclass
class BatchService(Service):
    """A client that has batches: what it is asked for, and how that ends."""

    statuses: dict[int, Any] = field(default_factory=dict)
    """The code of each index that fails."""
    pending: int = 0
    """How often the operation is still under way when it is looked at."""
    error: Exception | None = None
    look: Exception | None = None
    """What looking at the operation raises."""
    batches: list[Any] = field(default_factory=list)

    def batch_create_tasks(self, request: Any, **options: Any) -> Operation:
        if self.error:
            raise self.error
        self.batches.append(request)
        self.options.append(options)
        return Operation(self._operation(), self._refreshed, lambda: None, None)

    def _refreshed(self, **_: Any) -> operations_pb2.Operation:
        if self.look:
            raise self.look
        self.pending -= 1
        return self._operation()

    def _operation(self) -> operations_pb2.Operation:
        found = operations_pb2.Operation(name="o", done=self.pending <= 0)
        metadata = tasks_v2.BatchCreateTasksMetadata.pb()()
        for index, code in self.statuses.items() if found.done else ():
            metadata.failed_requests[index].code = code.value[0]
        if len(self.statuses) == 3:
            found.error.code = grpc.StatusCode.ABORTED.value[0]
        found.metadata.Pack(metadata)
        return found


THREE = [replace(TASK, identity=(str(number),)) for number in range(3)]


@pytest.fixture
def batch(environment: pytest.MonkeyPatch) -> BatchService:
    made = BatchService()
    environment.setattr(tasks, "client", lambda: made)
    environment.setattr(tasks, "_backend", tasks._Google())
    environment.setattr(tasks, "_PAUSES", (0, 0, 0))
    return made


def create(*wanted: Task) -> list[str]:
    """What becomes of each."""
    made = tasks.create_batch(wanted or THREE, request_id="id")
    return [type(it.error).__name__ if isinstance(it, tasks.Failed) else it for it in made]


def test_many_are_one_call_under_its_id(batch: BatchService) -> None:
    assert create() == ["created"] * 3
    (asked,) = batch.batches
    assert (asked["parent"], asked["request_id"]) == (QUEUE, "id")
    names = [it["task"].name.rpartition("/")[2] for it in asked["requests"]]
    assert names == [tasks.name(it.identity) for it in THREE]
    assert batch.options[0]["timeout"] == tasks.RPC_TIMEOUT


def test_each_of_many_has_its_own_result(batch: BatchService) -> None:
    code = grpc.StatusCode
    batch.statuses = {0: code.ALREADY_EXISTS, 2: code.INVALID_ARGUMENT}
    assert create() == ["existed", "created", "PermanentError"]


def test_many_that_all_failed_have_their_own_results_too(batch: BatchService) -> None:
    code = grpc.StatusCode
    batch.statuses = {0: code.ALREADY_EXISTS, 1: code.RESOURCE_EXHAUSTED, 2: code.NOT_FOUND}
    assert create() == ["existed", "TransientError", "TransientError"]


def test_one_that_is_too_large_stops_none_of_its_neighbours(batch: BatchService) -> None:
    large = replace(TASK, body={"x": "x" * MAX_BODY})
    assert create(THREE[0], large, THREE[1]) == ["created", "PermanentError", "created"]
    assert len(batch.batches[0]["requests"]) == 2


def test_a_call_under_way_is_waited_for(batch: BatchService) -> None:
    batch.pending = 2
    batch.statuses = {1: grpc.StatusCode.ALREADY_EXISTS}
    assert create() == ["created", "existed", "created"]


def test_a_call_that_takes_too_long_is_worth_another_try(batch: BatchService) -> None:
    batch.pending = 100
    with pytest.raises(TransientError, match="longer than it may"):
        create()


@pytest.mark.parametrize("error", [google.ServiceUnavailable("x"), google.TooManyRequests("x")])
def test_a_call_that_is_refused_for_now_is_worth_another_try(
    batch: BatchService, error: Exception
) -> None:
    batch.error = error
    with pytest.raises(TransientError, match="cannot enqueue on reminders"):
        create()


def test_without_the_call_tasks_are_created_one_by_one_from_then_on(batch: BatchService) -> None:
    batch.error = google.MethodNotImplemented("x")
    assert create() == ["created"] * 3
    batch.error = None
    batch.refusals = {tasks.name(("1",)): google.AlreadyExists("x")}
    assert create() == ["created", "existed", "created"]
    assert (len(batch.made), batch.batches) == (5, [])


def test_an_operation_that_must_not_be_looked_at_is_as_none(batch: BatchService) -> None:
    batch.pending, batch.look = 1, google.PermissionDenied("x")
    assert create() == ["created"] * 3
    create()
    assert (len(batch.made), len(batch.batches)) == (6, 1)


def test_an_older_client_creates_one_by_one(
    service: Service, environment: pytest.MonkeyPatch
) -> None:
    environment.setattr(tasks, "_backend", tasks._Google())
    assert create() == ["created"] * 3
    assert len(service.made) == 3


def test_a_call_that_is_wrong_as_a_whole_says_which_task_is(batch: BatchService) -> None:
    batch.error = google.InvalidArgument("x")
    batch.refusals = {tasks.name(("1",)): google.InvalidArgument("x")}
    assert create() == ["created", "PermanentError", "created"]
    batch.error = None
    create()
    assert len(batch.batches) == 1
