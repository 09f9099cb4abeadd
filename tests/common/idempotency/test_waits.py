"""What is waited for, how long, and with what pauses."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from common.errors import (
    KeyReusedError,
    NotYetError,
    PermanentError,
    TransientError,
    UnavailableError,
    UnknownOutcomeError,
)
from common.idempotency.waits import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    LONGEST_RETRY_AFTER,
    MAX_ERROR,
    MAX_VANISHED,
    SPREAD,
    Dead,
    Owed,
    Patience,
    judge,
    spread,
    vanished_pause,
    word,
)

NOW = datetime(2030, 1, 1, tzinfo=UTC)
PATIENCE = Patience(attempts=3)
DOWN, EARLY, OOPS = UnavailableError("down"), NotYetError("early"), TransientError("oops")


def after(*errors: tuple[float, BaseException], name: str = "mail") -> Owed | Dead:
    """What becomes of something that failed so, each error at so many seconds."""
    verdict: Owed | Dead | None = None
    for seconds, error in errors:
        assert not isinstance(verdict, Dead)
        now = NOW + timedelta(seconds=seconds)
        verdict = judge(error, verdict, now=now, patience=PATIENCE, name=name)
    assert verdict
    return verdict


def owed(*errors: tuple[float, BaseException], name: str = "mail") -> Owed:
    verdict = after(*errors, name=name)
    assert isinstance(verdict, Owed)
    return verdict


def test_what_can_never_succeed_is_given_up_at_once() -> None:
    assert after((0, PermanentError("no"))) == Dead(reason="permanent", error="PermanentError: no")


@pytest.mark.parametrize(
    ("error", "reason", "hours"), [(DOWN, "outage", 7 * 24), (EARLY, "waited_too_long", 12)]
)
def test_others_are_waited_for_until_patience_ends(
    error: Exception, reason: str, hours: int
) -> None:
    last = hours * 3600
    assert isinstance(after((0, error), (last / 2, error), (last, error)), Owed)
    dead = after((0, error), (last + 1, error))
    assert isinstance(dead, Dead)
    assert dead.reason == reason
    assert dead.error.startswith("waited ")


def test_our_own_failures_are_counted() -> None:
    assert isinstance(after((0, OOPS), (1, OOPS)), Owed)
    dead = after((0, OOPS), (1, OOPS), (2, ValueError("x")))
    assert dead == Dead(reason="attempts_used_up", error="ValueError: x")


def test_another_answer_clears_the_clock_and_the_count() -> None:
    week = 7 * 86_400
    assert owed((0, DOWN), (week - 1, EARLY), (week + 1, DOWN)).since == NOW + timedelta(
        seconds=week + 1
    )
    assert owed((0, OOPS), (1, OOPS), (2, DOWN), (3, OOPS)).tries == 1


def test_what_changes_for_ever_is_given_up_too() -> None:
    fortnight = 14 * 86_400
    dead = after((0, DOWN), (1, EARLY), (fortnight + 1, DOWN))
    assert isinstance(dead, Dead)
    assert dead.reason == "outage"


def test_pauses_grow_up_to_half_an_hour() -> None:
    verdicts = [owed(*[(0, DOWN)] * tries) for tries in range(1, 20)]
    pauses = [(it.until - NOW).total_seconds() for it in verdicts]
    assert FIRST_PAUSE <= pauses[0] <= FIRST_PAUSE * (1 + SPREAD)
    assert all(later > pause for pause, later in itertools.pairwise(pauses[:8]))
    assert all(LONGEST_PAUSE <= it <= LONGEST_PAUSE * (1 + SPREAD) for it in pauses[8:])


@pytest.mark.parametrize(
    ("asked", "given"), [(90, 90), (0, 1), (-5, 1), (10**9, LONGEST_RETRY_AFTER)]
)
def test_who_says_when_to_come_again_is_heeded(asked: float, given: float) -> None:
    pause = owed((0, UnavailableError("later", retry_after=asked))).until - NOW
    assert given <= pause.total_seconds() <= given * (1 + SPREAD)


def test_equals_do_not_come_at_the_same_moment() -> None:
    assert len({owed((0, DOWN), name=f"mail {n}").until for n in range(50)}) == 50
    assert owed((0, DOWN), name="a") == owed((0, DOWN), name="a")


def test_since_when_it_may_have_happened_is_remembered() -> None:
    unknown = UnavailableError("lost", outcome_unknown=True)
    assert owed((0, DOWN)).unknown_since is None
    assert owed((0, DOWN), (5, unknown), (9, DOWN)).unknown_since == NOW + timedelta(seconds=5)
    dead = after((5, UnknownOutcomeError("held")))
    assert dead.unknown_since == NOW + timedelta(seconds=5)


@pytest.mark.parametrize("lease", [30.0, 90.0, 600.0])
def test_the_pauses_of_what_vanishes_outlast_an_outage_and_the_first_is_the_lease(
    lease: float,
) -> None:
    pauses = [vanished_pause(it, lease, PATIENCE.outage) for it in range(1, MAX_VANISHED)]
    assert pauses[0] == lease
    assert pauses == sorted(pauses)
    assert sum(pauses) > PATIENCE.outage.total_seconds()


def test_a_pause_is_never_shorter_than_asked() -> None:
    spreads = [spread(100, str(n)) for n in range(200)]
    assert min(spreads) >= 100
    assert max(spreads) <= 125


def test_what_may_have_happened_is_told_when_patience_ends() -> None:
    unknown = UnavailableError("lost", outcome_unknown=True)
    assert after((0, unknown), (8 * 86_400, DOWN)) == Dead(
        reason="outage", error="waited 7 days, 0:00:00 for this: down", unknown_since=NOW
    )


def test_no_more_of_an_error_is_kept_than_a_record_has_room_for() -> None:
    long = UnavailableError("x" * 10_000)
    assert len(owed((0, long)).error) == MAX_ERROR
    assert len(after((0, long), (8 * 86_400, long)).error) == MAX_ERROR


def test_a_reason_is_named_as_its_error() -> None:
    assert word(KeyReusedError("k")) == "key_reused"


def test_a_pause_has_an_end_however_many_tries_there_were() -> None:
    often = replace(owed((0, DOWN)), tries=2000)
    verdict = judge(DOWN, often, now=NOW, patience=PATIENCE, name="mail")
    assert isinstance(verdict, Owed)
    assert verdict.until - NOW <= timedelta(seconds=LONGEST_PAUSE * (1 + SPREAD))


def test_nobody_is_late_each_time() -> None:
    """Which of two is the later one changes from try to try."""
    late = [[owed(*[(0, DOWN)] * tries, name=it).until for it in "ab"] for tries in range(1, 20)]
    assert len({a > b for a, b in late}) == 2


def test_what_vanished_waits_for_its_lease_whatever_the_patience() -> None:
    assert [vanished_pause(it, 90.0, timedelta(0)) for it in (1, 2, 5)] == [90, 180, 180]
    assert vanished_pause(2, 90.0, PATIENCE.outage) == 90 + 4 * 90
