"""Tasks: what the service is asked for, and what its refusals mean."""

import json
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.cloud import tasks_v2
from google.longrunning import operations_pb2
from msgspec.structs import replace

from common.cloud import tasks
from common.cloud.tasks import MAX_BODY, PARALLEL, Task
from common.cloud.tasks_service import AWAY, IN_HASTE, TasksService
from common.errors import PermanentError, TransientError
from common.process import settings
from tests.common.cloud.scripted import Call, Scripted, scripted
from tests.common.logged import entries, entry

Log = pytest.CaptureFixture[str]
Code = grpc.StatusCode
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
    """The service, as a server that answers: it keeps what it is asked for, or refuses it."""

    server: Scripted
    refusals: dict[str, grpc.StatusCode] = field(default_factory=dict)
    """By the name of the task that is refused."""
    made: list[tasks_v2.Task] = field(default_factory=list)
    statuses: dict[int, grpc.StatusCode] = field(default_factory=dict)
    """Of a batch: the code of each index that fails."""
    pending: int = 0
    """How often the operation of a batch is still under way when it is looked at."""
    error: grpc.StatusCode | None = None
    """What a batch is refused with."""
    look: grpc.StatusCode | None = None
    """What looking at the operation is refused with."""

    def __post_init__(self) -> None:
        self.server.calls.clear()
        self.server.answers = deque([lambda call: getattr(self, f"_{call.method}")(call)])

    @property
    def parents(self) -> list[str]:
        """The queue of each creation."""
        calls = [it for it in self.server.calls if it.method == "CreateTask"]
        return [it.read(tasks_v2.CreateTaskRequest).parent for it in calls]

    @property
    def batches(self) -> list[Any]:
        """The batches asked for."""
        calls = [it for it in self.server.calls if it.method == "BatchCreateTasks"]
        return [it.read(tasks_v2.BatchCreateTasksRequest) for it in calls]

    def _CreateTask(self, call: Call) -> Any:
        task = call.read(tasks_v2.CreateTaskRequest).task
        if code := self.refusals.get(task.name.rpartition("/")[2]):
            return code
        self.made.append(tasks_v2.Task.wrap(task))
        return task

    def _GetTask(self, call: Call) -> Any:
        name = call.read(tasks_v2.GetTaskRequest).name
        found = [task for task in self.made if task.name == name]
        missing = self.refusals.get(name.rpartition("/")[2], Code.NOT_FOUND)
        return tasks_v2.Task.pb(found[0]) if found else missing

    def _BatchCreateTasks(self, call: Call) -> Any:
        return self.error or self._operation()

    def _GetOperation(self, call: Call) -> Any:
        self.pending -= 1
        return self.look or self._operation()

    def _operation(self) -> Any:
        found = operations_pb2.Operation(name="o", done=self.pending <= 0)
        metadata = tasks_v2.BatchCreateTasksMetadata.pb()()
        for index, code in self.statuses.items() if found.done else ():
            metadata.failed_requests[index].code = code.value[0]
        if len(self.statuses) == 3:
            found.error.code = Code.ABORTED.value[0]
        found.metadata.Pack(metadata)
        return found


@pytest.fixture(scope="module")
def running() -> Iterator[Scripted]:
    with scripted() as made:
        yield made


@pytest.fixture(autouse=True)
def service(environment: pytest.MonkeyPatch, running: Scripted) -> Iterator[Service]:
    service = TasksService(running.channel, settings.current(), pauses=(0, 0, 0))
    with tasks.using(service):
        yield Service(running)


def test_a_queue_has_the_prefix_of_its_environment(
    service: Service, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("QUEUE_PREFIX", "staging-")
    settings.current.cache_clear()
    with tasks.using(TasksService(service.server.channel, settings.current())):
        tasks.enqueue(TASK)
    assert service.parents == [QUEUE.replace("reminders", "staging-reminders")]


def refused(service: Service, error: grpc.StatusCode) -> str:
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
    assert service.parents == [QUEUE]


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


@pytest.mark.parametrize(
    "code", [Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED, Code.DEADLINE_EXCEEDED]
)
def test_a_call_is_repeated(service: Service, code: grpc.StatusCode) -> None:
    """A named task can be created again: the second time it exists."""
    service.server.answers.appendleft(code)
    assert tasks.enqueue(TASK) == "created"
    assert [call.method for call in service.server.calls] == ["CreateTask"] * 2
    assert service.server.calls[0].metadata["x-goog-request-params"] == f"parent={QUEUE}"


def test_a_body_of_the_largest_size_is_taken_and_a_larger_one_never(service: Service) -> None:
    tasks.enqueue(replace(TASK, body={"x": "x" * (MAX_BODY - len('{"x": ""}'))}))
    with pytest.raises(PermanentError, match="a task's body has 100001 bytes, more than 100000"):
        tasks.enqueue(replace(TASK, body={"x": "x" * (MAX_BODY - len('{"x": ""}') + 1)}))
    assert len(service.made) == 1


def test_a_task_that_exists_is_there(service: Service) -> None:
    assert refused(service, Code.ALREADY_EXISTS) == "existed"


@pytest.mark.parametrize(
    "code",
    [
        *(Code.NOT_FOUND, Code.FAILED_PRECONDITION, Code.PERMISSION_DENIED),
        *(Code.INTERNAL, Code.UNKNOWN, Code.UNAUTHENTICATED),
    ],
)
def test_what_may_pass_is_worth_another_try(service: Service, code: grpc.StatusCode) -> None:
    """A queue is missing for a while after it was made, and rights take time to spread."""
    said = refused(service, code)
    assert said.startswith("UnavailableError: cannot enqueue on reminders: ")


def test_only_a_task_that_is_wrong_in_itself_is_refused_for_good(service: Service) -> None:
    said = refused(service, Code.INVALID_ARGUMENT)
    assert said == "PermanentError: cannot enqueue on reminders: 400 as the test says"


def test_while_the_service_is_away_it_is_not_waited_for(service: Service) -> None:
    """Ten seconds for one alarm would hold a thread for ten seconds, of every event."""
    now = 0.0

    def wait_for(task: Task) -> float:
        with suppress(TransientError):
            tasks.enqueue(task)
        return service.server.calls[-1].seconds

    gone = replace(TASK, identity=("gone",))
    service.refusals[tasks.name(gone.identity)] = Code.INTERNAL
    with tasks.using(
        TasksService(service.server.channel, settings.current(), monotonic=lambda: now)
    ):
        first = wait_for(gone)
        now += 1
        second = wait_for(gone)
        now += AWAY - 1  # since the first: who was in haste has learned nothing
        third, fourth = wait_for(gone), wait_for(TASK)
        fifth = wait_for(TASK)
    hasty = 2 * IN_HASTE  # what is sent is rounded
    assert second < hasty < first
    assert fourth < hasty < third
    assert fifth > hasty, "it has answered, and is waited for again"


def test_several_are_all_tried_and_the_first_error_is_raised(service: Service) -> None:
    several = [replace(TASK, identity=(str(number),)) for number in range(2 * PARALLEL)]
    service.refusals = {
        tasks.name(("3",)): Code.NOT_FOUND,
        tasks.name(("5",)): Code.INVALID_ARGUMENT,
    }
    with pytest.raises(TransientError, match="404"):
        tasks.enqueue_all(several)
    assert len(service.made) == 2 * PARALLEL - 2


def test_of_several_it_is_told_in_their_order_which_existed(service: Service) -> None:
    several = [replace(TASK, identity=(str(number),)) for number in range(3)]
    service.refusals = {tasks.name(("1",)): Code.ALREADY_EXISTS}
    assert tasks.enqueue_all(several) == ["created", "existed", "created"]


def test_the_log_says_whether_a_task_waits_and_whether_it_was_there(
    service: Service, capfd: Log
) -> None:
    tasks.enqueue(TASK)
    found = entry(capfd)
    assert (found["action"], found["queue"], found["existed"]) == ("enqueued", "reminders", False)
    service.refusals = {tasks.name(TASK.identity): Code.ALREADY_EXISTS}
    tasks.enqueue(replace(TASK, at=datetime(2030, 1, 1, tzinfo=UTC)))
    assert [(it["action"], it["existed"]) for it in entries(capfd)] == [("scheduled", True)]


# Looking at one


def test_a_task_is_there_until_the_service_knows_it_no_more(service: Service) -> None:
    name = tasks.name(TASK.identity)
    assert not tasks.exists("reminders", name)
    tasks.enqueue(TASK)
    assert tasks.exists("reminders", name)


@pytest.mark.parametrize("code", [Code.INTERNAL, Code.PERMISSION_DENIED])
def test_a_task_that_cannot_be_looked_at_is_not_called_gone(
    service: Service, code: grpc.StatusCode
) -> None:
    service.refusals["x"] = code
    with pytest.raises(TransientError, match="cannot look at reminders"):
        tasks.exists("reminders", "x")


# Many by one call


THREE = [replace(TASK, identity=(str(number),)) for number in range(3)]


def create(*wanted: Task) -> list[str]:
    """What becomes of each."""
    made = tasks.create_batch(wanted or THREE, request_id="id")
    return [type(it.error).__name__ if isinstance(it, tasks.Failed) else it for it in made]


def test_many_are_one_call_under_its_id(service: Service) -> None:
    assert create() == ["created"] * 3
    (asked,) = service.batches
    assert (asked.parent, asked.request_id) == (QUEUE, "id")
    names = [it.task.name.rpartition("/")[2] for it in asked.requests]
    assert names == [tasks.name(it.identity) for it in THREE]
    assert {it.parent for it in asked.requests} == {QUEUE}


def test_each_of_many_has_its_own_result(service: Service) -> None:
    service.statuses = {0: Code.ALREADY_EXISTS, 2: Code.INVALID_ARGUMENT}
    assert create() == ["existed", "created", "PermanentError"]


def test_many_that_all_failed_have_their_own_results_too(service: Service) -> None:
    service.statuses = {0: Code.ALREADY_EXISTS, 1: Code.RESOURCE_EXHAUSTED, 2: Code.NOT_FOUND}
    assert create() == ["existed", "UnavailableError", "UnavailableError"]


def test_one_that_is_too_large_stops_none_of_its_neighbours(service: Service) -> None:
    large = replace(TASK, body={"x": "x" * MAX_BODY})
    assert create(THREE[0], large, THREE[1]) == ["created", "PermanentError", "created"]
    assert len(service.batches[0].requests) == 2


def test_a_call_under_way_is_waited_for(service: Service) -> None:
    service.pending = 2
    service.statuses = {1: Code.ALREADY_EXISTS}
    assert create() == ["created", "existed", "created"]


def test_a_call_that_takes_too_long_is_worth_another_try(service: Service) -> None:
    service.pending = 100
    with pytest.raises(TransientError, match="longer than it may"):
        create()


@pytest.mark.parametrize("code", [Code.INTERNAL, Code.ABORTED])
def test_a_call_that_is_refused_for_now_is_worth_another_try(
    service: Service, code: grpc.StatusCode
) -> None:
    service.error = code
    with pytest.raises(TransientError, match="cannot enqueue on reminders"):
        create()


def test_without_the_call_tasks_are_created_one_by_one_from_then_on(service: Service) -> None:
    service.error = Code.UNIMPLEMENTED
    assert create() == ["created"] * 3
    service.error = None
    service.refusals = {tasks.name(("1",)): Code.ALREADY_EXISTS}
    assert create() == ["created", "existed", "created"]
    assert (len(service.made), len(service.batches)) == (5, 1)


def test_an_operation_that_must_not_be_looked_at_is_as_none(service: Service) -> None:
    service.pending, service.look = 1, Code.PERMISSION_DENIED
    assert create() == ["created"] * 3
    create()
    assert (len(service.made), len(service.batches)) == (6, 1)


def test_a_call_that_is_wrong_as_a_whole_says_which_task_is(service: Service) -> None:
    service.error = Code.INVALID_ARGUMENT
    service.refusals = {tasks.name(("1",)): Code.INVALID_ARGUMENT}
    assert create() == ["created", "PermanentError", "created"]
    service.error = None
    create()
    assert len(service.batches) == 2
