"""Shards: whoever works on a part of an audience, and whoever goes on after that was killed."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest

from common.cloud import firestore
from common.cloud.batches import Pace
from common.cloud.firestore import Create, Delete, Query, Snapshot
from common.cloud.memory import Mishap
from common.cloud.memory.mishaps import TaskMishap
from common.cloud.tasks import Result, Task
from common.errors import InProgressError, MalformedError
from common.idempotency.waits import MAX_VANISHED
from common.process import settings
from common.scheduling import campaigns
from common.scheduling.campaigns import shards, ticking, working
from common.scheduling.campaigns.runs import Run
from common.scheduling.campaigns.working import Slices
from tests.common.memory_cloud import Cloud
from tests.common.scheduling.campaigns.news import (
    RUN,
    TICK,
    News,
    drained,
    names,
    run,
    tick,
    users,
)

EVERYBODY = [f"u{it:02}" for it in range(11)]


NOTHING: list[Mishap] = ["none"]
FAILING: list[TaskMishap] = ["error"] * 99


class Killed(BaseException):
    """The process is no more."""


@contextmanager
def killed(cloud: Cloud, after: int) -> Iterator[None]:
    """The process dies right after so many commits."""
    commit, left = cloud.firestore.commit, iter(range(after))

    def dying(writes: Any) -> datetime:
        time = commit(writes)
        if next(left, None) is None:
            raise Killed
        return time

    cloud.firestore.commit = dying  # type: ignore[method-assign]
    try:
        with pytest.raises(Killed):
            yield
    finally:
        del cloud.firestore.commit


def first_shard(cloud: Cloud, news: News) -> Task:
    """The task of the only shard, after the tick."""
    tick(cloud, news)
    (task,) = [it for it in cloud.tasks.take() if "shard" in it.body]
    return task


def shard(cloud: Cloud, number: int = 0) -> Any:
    return cloud.document(f"{RUN}/shards/{number}")


# Splitting


def test_a_small_audience_is_one_shard_and_a_large_one_is_cut(cloud: Cloud) -> None:
    users(*EVERYBODY)
    whole = Run(campaign=News().campaign, name=TICK)
    assert [part.estimate for part in shards.split(whole)] == [11]
    parts = shards.split(whole, size=3)
    assert [part.estimate for part in parts] == [3, 3, 3, 2]
    assert [part.before for part in parts[:-1]] == [part.first for part in parts[1:]]
    assert (parts[0].first, parts[-1].before) == (None, None)
    assert [part.first for part in parts[1:]] == ["u03", "u06", "u09"]


def test_there_are_no_more_shards_than_can_be_worked_on(cloud: Cloud) -> None:
    users(*EVERYBODY)
    whole = Run(campaign=News().campaign, name=TICK)
    assert len(shards.split(whole, size=1, most=4)) <= 4


@pytest.mark.parametrize("size", [1, 2, 3, 5, 11, 12])
@pytest.mark.parametrize("page", [1, 2, 3, 11, 100])
def test_every_user_has_one_task_whatever_the_shards_and_pages(
    cloud: Cloud, size: int, page: int
) -> None:
    users(*EVERYBODY)
    users("u03x", "zz", wants=False)
    news = News(slices=Slices(page=page, shard=size, reserve=0))
    assert names(run(cloud, news)) == EVERYBODY
    found = cloud.document(RUN)
    assert (found["enqueued"], found["expected"], found["duplicate"]) == (11, 11, 0)


def test_users_who_come_and_go_meanwhile_have_one_task_or_none(cloud: Cloud) -> None:
    users(*EVERYBODY)
    news = News(slices=Slices(page=2, reserve=1e9))
    task = first_shard(cloud, news)
    cloud.deliver(news.start, task)
    firestore.commit([Delete(path="users/u05"), Delete(path="users/u00")])
    users("u05x", "u00x")
    made = names(drained(cloud, news))
    assert made == sorted({*EVERYBODY, "u05x"} - {"u05"})
    found = cloud.document(RUN)
    assert (found["state"], found["enqueued"], found["expected"]) == ("complete", 11, 11)


# Continuations


def test_a_shard_is_handed_on_before_the_budget_ends(cloud: Cloud) -> None:
    users(*EVERYBODY)
    news = News(slices=Slices(page=2, reserve=1e9))
    assert cloud.deliver(news.start, first_shard(cloud, news)).status == "enqueued"
    *_, following = cloud.tasks.take()
    body = {"campaign": "news", "run": TICK, "shard": 0, "format": 1}
    assert (following.body, following.queue) == (body, "fanout")
    assert (following.deadline, following.audience) == (ticking.DEADLINE, "fanout")
    assert (shard(cloud)["cursor"], shard(cloud)["owner"]) == ("u01", None)


def test_each_hand_over_has_a_task_of_its_own(cloud: Cloud) -> None:
    users(*EVERYBODY)
    news = News(slices=Slices(page=2, reserve=1e9))
    assert names(run(cloud, news)) == EVERYBODY
    assert shard(cloud)["part"] == 5


def test_a_continuation_that_cannot_be_enqueued_is_tried_again(cloud: Cloud) -> None:
    users(*EVERYBODY)
    news = News(slices=Slices(page=2, reserve=1e9))
    task = first_shard(cloud, news)
    cloud.tasks.mishaps = ["none", "none", "error"]
    assert cloud.deliver(news.start, task).code == 500
    cloud.deliver(news.start, task)
    assert names(drained(cloud, news)) == EVERYBODY
    assert cloud.document(RUN)["enqueued"] == 11


# Killed, doubled, overtaken


@pytest.mark.parametrize("after", range(14))
def test_a_shard_that_is_killed_after_any_write_goes_on(cloud: Cloud, after: int) -> None:
    """The lease, six pages, the run: after each of these writes the process may die."""
    users(*EVERYBODY)
    news = News()
    task = first_shard(cloud, news)
    if after < 8:
        with killed(cloud, after):
            cloud.deliver(news.start, task)
    assert cloud.deliver(news.start, task).code in (200, 409)
    cloud.advance(seconds=31)
    assert cloud.deliver(news.start, task).code == 200
    assert names(drained(cloud, news)) == EVERYBODY
    found = cloud.document(RUN)
    assert (found["state"], found["enqueued"]) == ("complete", 11)


def test_a_killed_shard_is_taken_over_after_its_short_lease_and_not_before(cloud: Cloud) -> None:
    users(*EVERYBODY)
    news = News()
    task = first_shard(cloud, news)
    with killed(cloud, 1):
        cloud.deliver(news.start, task)
    ending = cloud.deliver(news.start, task)
    assert ending.status == "in_progress"
    assert ending.retry_after == pytest.approx(30, abs=0.1)
    cloud.advance(seconds=29.9)
    assert cloud.deliver(news.start, task).status == "in_progress"
    cloud.advance(seconds=0.2)
    assert cloud.deliver(news.start, task).status == "enqueued"


def test_whoever_was_overtaken_changes_nothing(cloud: Cloud) -> None:
    users(*EVERYBODY)
    news = News()
    first_shard(cloud, news)
    whole = Run(campaign=news.campaign, name=TICK)
    slow = shards.leased(whole, 0)
    cloud.advance(seconds=31)
    quick = shards.leased(whole, 0)
    quick.turned(cursor="u05", counts={"enqueued": 6})
    with pytest.raises(InProgressError):
        slow.turned(cursor="u01", counts={"enqueued": 2})
    assert (shard(cloud)["cursor"], shard(cloud)["enqueued"]) == ("u05", 6)


@pytest.mark.parametrize("number", range(1, 9))
@pytest.mark.parametrize("mishap", ["lost", "echo", "error", "conflict"])
def test_whatever_becomes_of_a_write_the_numbers_add_up(
    cloud: Cloud, number: int, mishap: Any
) -> None:
    users(*EVERYBODY)
    news = News()
    task = first_shard(cloud, news)
    cloud.firestore.mishaps = [*NOTHING * number, mishap]
    while cloud.deliver(news.start, task).code != 200:
        cloud.advance(seconds=31)
    assert names(drained(cloud, news)) == EVERYBODY
    found = cloud.document(RUN)
    assert found["state"] == "complete"
    assert (found["enqueued"] + found["duplicate"], found["expected"]) == (11, 11)


def test_a_finished_shard_is_a_duplicate(cloud: Cloud) -> None:
    users("a")
    news = News()
    task = first_shard(cloud, news)
    answers = [cloud.deliver(news.start, task).status for _ in range(2)]
    assert (answers, len(cloud.tasks.take())) == (["enqueued", "duplicate"], 1)


def test_a_page_that_cannot_be_enqueued_is_given_back_and_comes_again(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    users(*EVERYBODY)
    news = News()
    task = first_shard(cloud, news)
    cloud.tasks.mishaps = ["none", "none", "none", "error"]
    with monkeypatch.context() as patch:
        patch.setattr(working, "PATIENCE", 0.0)
        patch.setattr(working, "BEGUN", 1)  # so that the fourth task is one of the second page
        assert cloud.deliver(news.start, task).code == 500
    assert (shard(cloud)["cursor"], shard(cloud)["owner"]) == ("u01", None)
    assert cloud.deliver(news.start, task).status == "enqueued"
    assert names(drained(cloud, news)) == EVERYBODY
    assert shard(cloud)["failures"] == 0


def test_the_next_page_begins_before_one_is_finished(cloud: Cloud) -> None:
    users("a", "b", "c")
    task = first_shard(cloud, news := News())
    together = threading.Barrier(2, timeout=10)
    create = cloud.tasks.create_batch

    def waiting(tasks: Sequence[Task], *, request_id: str) -> list[Result]:
        together.wait()
        return create(tasks, request_id=request_id)

    cloud.tasks.create_batch = waiting  # type: ignore[method-assign]
    assert cloud.deliver(news.start, task).code == 200
    assert names(drained(cloud, news)) == ["a", "b", "c"]


def test_what_has_begun_when_a_run_is_cancelled_is_counted(cloud: Cloud) -> None:
    users(*EVERYBODY)
    task = first_shard(cloud, news := News())
    create = cloud.tasks.create_batch

    def cancelling(tasks: Sequence[Task], *, request_id: str) -> list[Result]:
        campaigns.cancel(f"news:{TICK}")
        return create(tasks, request_id=request_id)

    cloud.tasks.create_batch = cancelling  # type: ignore[method-assign]
    cloud.deliver(news.start, task)
    made = names(drained(cloud, news))
    found = shard(cloud)
    assert (found["state"], found["enqueued"], found["cursor"]) == (
        "cancelled",
        len(made),
        made[-1],
    )
    assert len(made) < len(EVERYBODY)


# Given up


def broken(news: News, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Whoever asks for a page meets a mistake of ours."""

    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(type(news.campaign.audience), "page", fail)


def test_a_mistake_of_ours_is_given_up_after_some_attempts_with_a_letter(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    users(*EVERYBODY)
    news = News()
    task = first_shard(cloud, news)
    with monkeypatch.context() as patch:
        broken(news, patch, KeyError("x"))
        codes = [cloud.deliver(news.start, task).code for _ in range(5)]
        assert codes == [500, 500, 500, 500, 200]
        assert cloud.deliver(news.start, task).status == "dead_lettered"
    ((path, letter),) = cloud.firestore.documents("dead_letters").items()
    assert (letter["source"], letter["reason"]) == ("fanout", "attempts_used_up")
    assert cloud.document(RUN)["state"] == "running"
    ending = cloud.deliver(news.start, task, replay_of=path.rpartition("/")[2])
    assert ending.status == "enqueued"
    assert names(drained(cloud, news)) == EVERYBODY
    assert cloud.document(path)["state"] == "replayed"
    assert cloud.document(RUN)["state"] == "complete"


def test_a_query_that_no_server_answers_is_given_up_at_once(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    users(*EVERYBODY)
    news = News()
    task = first_shard(cloud, news)
    broken(news, monkeypatch, MalformedError("no such field"))
    assert cloud.deliver(news.start, task).status == "dead_lettered"
    assert shard(cloud)["state"] == "dead"


def test_an_outage_is_not_counted(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    users(*EVERYBODY)
    news = News()
    task = first_shard(cloud, news)
    cloud.tasks.is_unreachable = True
    with monkeypatch.context() as patch:
        patch.setattr(working, "PATIENCE", 0.0)
        assert {cloud.deliver(news.start, task).code for _ in range(20)} == {500}
    cloud.tasks.is_unreachable = False
    assert cloud.deliver(news.start, task).status == "enqueued"
    assert names(drained(cloud, news)) == EVERYBODY


def test_an_outage_of_a_week_is_given_up_with_a_letter_and_replayed(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    users(*EVERYBODY)
    task = first_shard(cloud, news := News())
    monkeypatch.setattr(working, "PATIENCE", 0.0)
    cloud.tasks.is_unreachable = True
    codes = []
    for _ in range(9):
        codes.append(cloud.deliver(news.start, task).code)
        cloud.advance(hours=24)
    (path,) = cloud.firestore.documents("dead_letters")
    assert (codes, cloud.document(path)["reason"]) == ([500] * 7 + [200] * 2, "outage")
    ending = cloud.deliver(news.start, task, replay_of=path.rpartition("/")[2])
    assert (ending.code, shard(cloud)["state"]) == (500, "running"), "it has another week"
    cloud.tasks.is_unreachable = False
    assert cloud.deliver(news.start, task).status == "enqueued"
    assert names(drained(cloud, news)) == EVERYBODY


def test_a_page_that_is_made_ends_an_outage(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    users(*EVERYBODY)
    task = first_shard(cloud, news := News())
    monkeypatch.setattr(working, "PATIENCE", 0.0)
    for _ in range(4):
        cloud.tasks.mishaps = ["none", "none", *FAILING]
        assert cloud.deliver(news.start, task).code == 500
        cloud.tasks.mishaps = []
        cloud.advance(hours=6 * 24)
    assert cloud.deliver(news.start, task).status == "enqueued"
    assert names(drained(cloud, news)) == EVERYBODY


# Killed again and again


def vanishing(cloud: Cloud, news: News, task: Task, times: int, *, after: int = 0) -> list[float]:
    """So many deliveries are killed, each after so many commits and its lease; what each next one
    has to wait for, in seconds."""
    waits = []
    for _ in range(times):
        with killed(cloud, after):
            cloud.deliver(news.start, task)
        waits.append(cloud.deliver(news.start, task).retry_after or 0.0)
        cloud.advance(seconds=waits[-1] + 0.1)
    return waits


def test_a_shard_whose_process_is_killed_a_dozen_times_has_a_letter(cloud: Cloud) -> None:
    users(*EVERYBODY)
    task = first_shard(cloud, news := News())
    vanishing(cloud, news, task, 1, after=1)
    waits = vanishing(cloud, news, task, MAX_VANISHED - 1)
    assert waits[-1] == pytest.approx(30, abs=1), "nobody else is at work"
    assert cloud.deliver(news.start, task).status == "dead_lettered"
    ((path, letter),) = cloud.firestore.documents("dead_letters").items()
    assert (letter["reason"], letter["attempts"]) == ("vanished", MAX_VANISHED)
    before = shard(cloud)["cursor"]
    assert (before, shard(cloud)["state"]) == ("u01", "dead")
    ending = cloud.deliver(news.start, task, replay_of=path.rpartition("/")[2])
    assert ending.status == "enqueued"
    assert names(drained(cloud, news)) == EVERYBODY
    assert (shard(cloud)["read"], cloud.document(path)["state"]) == (11, "replayed")


def test_who_vanishes_again_and_again_is_taken_over_later_and_later(cloud: Cloud) -> None:
    users(*EVERYBODY)
    task = first_shard(cloud, news := News())
    waits = vanishing(cloud, news, task, MAX_VANISHED - 1)
    assert waits[:3] == pytest.approx([30, 30 + 4 * 30, 30 + 16 * 30], abs=1)
    assert sum(waits) > settings.current().outage_patience.total_seconds()


def test_a_page_ends_the_count_of_holders_that_vanish(cloud: Cloud) -> None:
    users(*EVERYBODY)
    task = first_shard(cloud, news := News())
    vanishing(cloud, news, task, 2)
    assert vanishing(cloud, news, task, 1, after=1) == pytest.approx([30], abs=1)


def test_an_end_that_is_written_ends_the_count_of_holders_that_vanish(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    users(*EVERYBODY)
    task = first_shard(cloud, news := News())
    vanishing(cloud, news, task, 2)
    with monkeypatch.context() as patch:
        broken(news, patch, KeyError("x"))
        assert cloud.deliver(news.start, task).code == 500
    assert vanishing(cloud, news, task, 1) == pytest.approx([30], abs=1)


# The size of a page


class Slow(Pace):
    """A slow pace that nobody waits for."""

    def wait(self, count: int) -> None:
        """Nobody waits."""


def test_the_default_pages_carry_2300_users(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLD_QUEUE_RATE", "0")
    settings.current.cache_clear()
    everybody = [f"u{it:04}" for it in range(2300)]
    users(*everybody)
    news = News(slices=Slices())
    assert names(run(cloud, news)) == everybody
    assert cloud.tasks.batches == 10 + 10 + 3


def test_a_page_is_so_small_that_its_lease_outlasts_a_slow_pace(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLD_QUEUE_RATE", "40")
    settings.current.cache_clear()
    users(*[f"u{it:04}" for it in range(210)])
    task = first_shard(cloud, news := News(slices=Slices()))
    asked: list[int | None] = []
    query = cloud.firestore.query

    def watching(query_: Query) -> Iterator[Snapshot]:
        if query_.collection == "users":
            asked.append(query_.limit)
        return query(query_)

    cloud.firestore.query = watching  # type: ignore[assignment, method-assign]
    monkeypatch.setattr(working, "Pace", lambda **given: Slow(**given))
    cloud.deliver(news.start, task)
    assert set(asked) == {200}


def test_a_user_s_document_may_lack_the_field_of_the_id(cloud: Cloud) -> None:
    firestore.commit([Create(path="users/a%2Fb", fields={"wants": True})])
    assert names(run(cloud, News())) == ["a/b"]
