"""Batches: many tasks by few calls, and what becomes of each."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from common.cloud import batches, tasks
from common.cloud.batches import Batches, Pace
from common.cloud.memory import MemoryTasks
from common.cloud.tasks import Failed, Result, Task
from common.errors import PermanentError, TransientError


@pytest.fixture
def service() -> Iterator[MemoryTasks]:
    with tasks.using(MemoryTasks()) as memory:
        yield memory


@dataclass
class Watch:
    """A clock that only sleeping moves."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def task(number: int, queue: str = "digests", size: int = 1) -> Task:
    return Task(
        queue=queue,
        url="https://reminder.example.com",
        body={"n": "x" * size},
        identity=(str(number),),
        audience="reminder",
    )


def created(*wanted: Task, patience: float = 60.0, watch: Watch | None = None) -> list[Result]:
    watch = watch or Watch()
    with Batches(monotonic=watch.monotonic, sleep=watch.sleep, in_flight=1) as made:
        return made.create(wanted, patience=patience)


def test_a_hundred_tasks_are_one_call(service: MemoryTasks) -> None:
    assert created(*map(task, range(201))) == ["created"] * 201
    assert (service.batches, len(service.tasks)) == (3, 201)


def test_a_call_is_for_one_queue_and_the_order_is_kept(service: MemoryTasks) -> None:
    tasks.enqueue(task(1, "b"))
    found = created(task(0, "a"), task(1, "b"), task(2, "a"))
    assert (found, service.batches) == (["created", "existed", "created"], 2)


def test_a_call_stays_below_what_a_message_holds(service: MemoryTasks) -> None:
    found = created(*(task(it, size=90_000) for it in range(30)))
    assert (found, service.batches) == (["created"] * 30, 2)


def test_what_cannot_be_created_now_is_tried_again_and_the_others_are_not(
    service: MemoryTasks,
) -> None:
    service.mishaps = ["none", "error", "none"]
    assert created(*map(task, range(3))) == ["created"] * 3
    assert service.batches == 2


def test_what_can_never_be_created_is_not_tried_again(service: MemoryTasks) -> None:
    first, never, last = created(task(0), task(1, size=110_000), task(2))
    assert isinstance(never, Failed)
    assert isinstance(never.error, PermanentError)
    assert (first, last, service.batches) == ("created", "created", 1)


def test_patience_ends(service: MemoryTasks) -> None:
    service.batch_mishaps = ["error"] * 1000
    watch = Watch()
    (failed,) = created(task(0), patience=30, watch=watch)
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, TransientError)
    assert 15 < watch.now <= 30


def test_the_pauses_between_tries_grow_to_a_limit(service: MemoryTasks) -> None:
    service.batch_mishaps = ["error"] * 12
    watch = Watch()
    created(task(0), patience=1e9, watch=watch)
    assert watch.slept[0] <= batches.FIRST_PAUSE < batches.LAST_PAUSE / 2 <= watch.slept[-1]
    assert max(watch.slept) <= batches.LAST_PAUSE


def test_a_call_whose_answer_is_lost_is_answered_as_the_first_one_was(
    service: MemoryTasks,
) -> None:
    service.batch_mishaps = ["lost"]
    assert created(task(0), task(1)) == ["created", "created"]


def test_whoever_repeats_a_call_in_another_process_is_answered_so_too(
    service: MemoryTasks,
) -> None:
    assert created(task(0), task(1)) == created(task(0), task(1)) == ["created", "created"]


def test_whoever_repeats_what_was_refused_has_another_salt(service: MemoryTasks) -> None:
    service.mishaps = ["error"]
    found = []
    for salt in ("1", "1", "2"):
        with Batches(salt=salt) as made:
            found += made.create([task(0)], patience=0)
    assert [isinstance(it, Failed) for it in found] == [True, True, False]


def test_tasks_that_were_all_refused_are_asked_for_anew(service: MemoryTasks) -> None:
    service.mishaps = ["error", "error"]
    assert created(task(0), task(1)) == ["created", "created"]


def test_several_calls_are_under_way_at_once(service: MemoryTasks) -> None:
    with Batches(in_flight=4) as made:
        results = made.create([task(it) for it in range(1000)], patience=60)
    assert (results.count("created"), service.batches) == (1000, 10)


# The pace


def taken(pace: Pace, watch: Watch, seconds: float) -> int:
    """How many tasks may be created in this time, a hundred at once."""
    end = watch.now + seconds
    for count in itertools.count():
        pace.wait(100)
        if watch.now > end:
            return 100 * count
    raise AssertionError


@pytest.mark.parametrize(("age", "rate"), [(0, 500), (299, 500), (300, 750), (601, 1125)])
def test_a_queue_is_filled_faster_every_five_minutes(age: float, rate: float) -> None:
    watch = Watch()
    pace = Pace(first=500, age=age, monotonic=watch.monotonic, sleep=watch.sleep)
    assert pace.rate() == rate


def test_a_queue_that_has_been_filled_for_a_month_has_a_rate() -> None:
    assert Pace(first=500, age=31 * 86_400.0).rate() > 1e9


def test_no_more_are_created_than_the_rate_says() -> None:
    watch = Watch()
    pace = Pace(first=500, monotonic=watch.monotonic, sleep=watch.sleep)
    assert 29_500 <= taken(pace, watch, 60) <= 30_600


def test_without_a_first_rate_there_is_none() -> None:
    watch = Watch()
    Pace(first=0, monotonic=watch.monotonic, sleep=watch.sleep).wait(1_000_000)
    assert watch.slept == []


def test_creating_keeps_the_pace(service: MemoryTasks) -> None:
    watch = Watch()
    pace = Pace(first=100, monotonic=watch.monotonic, sleep=watch.sleep)
    with Batches(pace=pace, in_flight=1, monotonic=watch.monotonic, sleep=watch.sleep) as made:
        made.create([task(it) for it in range(1000)], patience=60)
    assert 8.5 <= watch.now <= 9.5
