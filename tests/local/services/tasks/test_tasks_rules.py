"""The rules behind the dispatcher, without a server: bucket, backoff, headers, page tokens."""

import itertools
from typing import Any

import pytest

from local.kernel import moments
from local.kernel.status import Status
from local.services.tasks import headers, pages
from local.services.tasks.backoff import Retry
from local.services.tasks.bucket import Bucket

S = moments.SECOND


def _leave(bucket: Bucket, count: int, now: int) -> None:
    """Take tokens for what leaves at once."""
    bucket.take(count)
    for _ in range(count):
        bucket.left(now)


def _take_all(bucket: Bucket, until: int) -> list[int]:
    """Dispatch as early as possible; the moments."""
    moments: list[int] = []
    now = 0
    while now < until:
        count = bucket.free(now)
        _leave(bucket, count, now)
        moments += [now] * count
        now = bucket.next_token() or now
    return moments


@pytest.mark.parametrize("rate", [0.1, 0.5, 1, 1.5, 3, 10, 499.5, 500])
def test_a_bucket_yields_its_rate_and_never_more(rate: float) -> None:
    moments = _take_all(Bucket(rate), 60 * S)
    assert abs(len(moments) - 60 * rate) <= max(rate, 1) + 1
    width = int(max(1, 1 / rate) * S)
    most = max(
        sum(t <= u < t + width for u in moments[i : i + 1100])
        for i, t in itertools.islice(enumerate(moments), 0, 1000, 7)
    )
    assert most <= max(-(-rate // 1), 1)


def test_a_token_is_there_again_exactly_one_period_later() -> None:
    bucket = Bucket(0.5)
    _leave(bucket, 1, 0)
    assert bucket.next_token() == 2 * S
    assert bucket.free(2 * S - 1) == 0
    assert bucket.free(2 * S) == 1


def test_a_token_is_counted_from_when_the_task_left_not_from_when_it_was_taken() -> None:
    bucket = Bucket(1)
    bucket.take(1)
    assert (bucket.next_token(), bucket.free(5 * S)) == (None, 0)
    bucket.left(5 * S)
    assert (bucket.next_token(), bucket.free(5 * S), bucket.free(6 * S)) == (6 * S, 0, 1)


def test_a_lower_rate_counts_what_was_taken() -> None:
    bucket = Bucket(10)
    _leave(bucket, 10, 0)
    bucket.retune(1)
    assert bucket.next_token() == S
    assert bucket.free(S) == 1


@pytest.mark.parametrize(
    ("retry", "expected"),
    [
        (Retry(min_backoff=10, max_backoff=300, max_doublings=3), [10, 20, 40, 80, 160, 240, 300]),
        (Retry(min_backoff=10, max_backoff=300, max_doublings=0), [10, 20, 30, 40, 50, 60, 70]),
        (Retry(min_backoff=10, max_backoff=25, max_doublings=16), [10, 20, 25, 25, 25, 25, 25]),
        (Retry(min_backoff=7, max_backoff=7), [7] * 7),
    ],
)
def test_the_delays(retry: Any, expected: Any) -> None:
    assert [retry.delay(n) for n in range(1, 8)] == expected


def test_a_delay_after_very_many_retries_is_the_maximum() -> None:
    assert Retry(max_doublings=10**6).delay(10**5) == moments.HOUR


def test_a_task_is_given_up_when_every_limit_there_is_has_been_reached() -> None:
    """Each limit is beside what was reached of it: attempts, then duration; -1 and 0: no limit."""
    spent = {
        ((3, 3), (0, 0)): True,
        ((3, 2), (0, 10**9)): False,
        ((3, 3), (60, 59)): False,
        ((3, 2), (60, 60)): False,
        ((3, 3), (60, 60)): True,
        ((-1, 10**6), (0, 10**15)): False,
        ((-1, 1), (60, 60)): True,
    }

    def found(attempts: tuple[int, int], duration: tuple[int, int]) -> bool:
        retry = Retry(max_attempts=attempts[0], max_duration=duration[0])
        return retry.spent(attempts[1], duration[1])

    assert {limits: found(*limits) for limits in spent} == spent


def test_retry_after_is_seconds_or_a_date_and_an_hour_at_most() -> None:
    seconds = {
        "30": 30,
        " 30 ": 30,
        "Thu, 01 Jan 1970 00:01:40 GMT": 40,
        "Thu, 01 Jan 1970 00:00:01 GMT": 0,
        "-5": 0,
        "soon": 0,
        "": 0,
        "999999999999": 3600,
        "²": 0,
    }
    found = {text: headers.retry_after({"retry-AFTER": text}, 60 * S) / S for text in seconds}
    assert found == seconds


def test_the_eta_has_six_decimals() -> None:
    sent = headers.sent(
        {},
        queue="q",
        task="t",
        eta=1_700_000_000_000_042,
        retries=0,
        executions=0,
        previous=None,
        authorization="",
    )
    assert sent["X-CloudTasks-TaskETA"] == "1700000000.000042"


def test_a_token_takes_the_place_of_the_callers_authorization() -> None:
    sent = headers.sent(
        {"authorization": "mine"},
        queue="q",
        task="t",
        eta=0,
        retries=0,
        executions=0,
        previous=None,
        authorization="Bearer x",
    )
    assert [v for n, v in sent.items() if n.lower() == "authorization"] == ["Bearer x"]


@pytest.mark.parametrize("given", ["nonsense", "ÄÖ", "bm8=", "fHg="])
def test_a_page_token_nobody_gave_is_refused(given: str) -> None:
    with pytest.raises(Status):
        pages.after(given, 0)


def test_a_page_token_gives_its_key_back() -> None:
    assert pages.after(pages.token("a|b/ü", 5), 5) == "a|b/ü"
