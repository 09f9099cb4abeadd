"""The state machine of a record: what a delivery may do about the record that it finds."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.idempotency.record import (
    Acquire,
    CorruptRecord,
    DeadAlready,
    DeadLetter,
    Duplicate,
    Found,
    InProgress,
    KeyReused,
    Record,
    Request,
    State,
    decide,
)

NOW = datetime(2030, 1, 1, tzinfo=UTC)
RECORD = Record(
    scope="s",
    key="cut",
    fingerprint="f",
    owner="another",
    write_id="w1",
    lease_seconds=90.0,
    retention_seconds=86400.0,
    steps={"mail": "1"},
    first_seen=NOW,
)
FRESH = Record(
    scope="s",
    key="whole",
    fingerprint="f",
    owner="me",
    write_id="w2",
    lease_seconds=60.0,
    retention_seconds=100.0,
)


def found(age: float = 0.0, **fields: Any) -> Found:
    """The record, last written so many seconds ago."""
    record = replace(RECORD, **fields)
    return Found(record=record, update_time=NOW, read_time=NOW + timedelta(seconds=age))


def request(**fields: Any) -> Request:
    on_unknown_outcome = fields.pop("on_unknown_outcome", "rerun")
    return Request(
        fresh=replace(FRESH, **fields), max_attempts=3, on_unknown_outcome=on_unknown_outcome
    )


class TestDecide:
    def test_what_is_absent_is_created(self) -> None:
        assert decide(None, request()) == Acquire(record=FRESH)

    def test_what_has_expired_is_reset_whole(self) -> None:
        assert decide(found(86400.1), request()) == Acquire(record=FRESH, fence=NOW)

    @pytest.mark.parametrize("state", State)
    def test_an_expired_record_may_be_anything(self, state: State) -> None:
        decision = decide(found(86400.1, state=state, fingerprint="other"), request())
        assert decision == Acquire(record=FRESH, fence=NOW)

    def test_at_the_very_end_of_its_retention_it_is_remembered(self) -> None:
        assert isinstance(decide(found(86400.0, state=State.DONE), request()), Duplicate)

    @pytest.mark.parametrize("state", State)
    def test_another_payload_is_refused_in_every_state(self, state: State) -> None:
        assert decide(found(100, state=state), request(fingerprint="g")) == KeyReused()

    def test_done_gives_its_result(self) -> None:
        assert decide(found(state=State.DONE, result="0"), request()) == Duplicate(result="0")

    def test_dead_gives_its_error(self) -> None:
        assert decide(found(state=State.DEAD, error="e"), request()) == DeadAlready(error="e")

    def test_a_lease_is_the_holders_own_and_ends_after_its_last_moment(self) -> None:
        assert decide(found(90.0), request()) == InProgress(retry_after=0.0)
        assert isinstance(decide(found(90.001), request()), Acquire)

    def test_a_takeover_goes_on_where_the_record_is(self) -> None:
        taken = decide(found(91, attempts=1), request())
        assert isinstance(taken, Acquire)
        assert (taken.is_exclusive, taken.fence) == (True, NOW)
        assert taken.record == replace(
            RECORD,
            key="whole",
            owner="me",
            write_id="w2",
            attempts=2,
            lease_seconds=60.0,
            retention_seconds=100.0,
        )

    def test_what_waits_is_taken_among_others(self) -> None:
        taken = decide(found(state=State.WAITING, attempts=1), request())
        assert isinstance(taken, Acquire)
        assert (taken.is_exclusive, taken.record.attempts, taken.record.state) == (
            False,
            2,
            "claimed",
        )

    @pytest.mark.parametrize(
        ("state", "reason"),
        [(State.CLAIMED, "vanished"), (State.WAITING, "attempts_used_up")],
    )
    def test_at_the_cap_it_is_given_up(self, state: State, reason: str) -> None:
        given = decide(found(91, state=state, attempts=3), request())
        assert isinstance(given, DeadLetter)
        assert (given.reason, given.record.state, given.record.owner) == (reason, "dead", "me")
        assert (given.record.attempts, given.record.steps) == (3, {"mail": "1"})

    def test_held_work_is_given_up_when_it_vanished_and_goes_on_when_it_waits(self) -> None:
        given = decide(found(91), request(on_unknown_outcome="hold"))
        assert isinstance(given, DeadLetter)
        assert given.reason == "unknown_outcome"
        assert isinstance(
            decide(found(0, state=State.WAITING), request(on_unknown_outcome="hold")), Acquire
        )

    def test_what_cannot_be_read_is_left_to_a_replay(self) -> None:
        unreadable = Found(record=None, update_time=NOW, read_time=NOW)
        assert decide(unreadable, request()) == CorruptRecord()
        assert isinstance(decide(unreadable, request(replay_of="dead letter")), Acquire)


class TestReplay:
    def test_it_takes_the_dead_with_steps_and_attempts_anew(self) -> None:
        taken = decide(
            found(state=State.DEAD, attempts=3, error="e"), request(replay_of="dead letter")
        )
        assert isinstance(taken, Acquire)
        assert taken.record == replace(
            FRESH, steps={"mail": "1"}, first_seen=NOW, replay_of="dead letter", attempts=1
        )

    def test_a_correction_needs_a_record_without_steps(self) -> None:
        given = request(fingerprint="g", replay_of="dead letter")
        assert isinstance(decide(found(state=State.DEAD, steps={}), given), Acquire)
        assert decide(found(state=State.DEAD), given) == KeyReused()

    @pytest.mark.parametrize("state", [State.DONE, State.CLAIMED, State.WAITING])
    def test_it_corrects_nothing_but_the_dead(self, state: State) -> None:
        given = request(fingerprint="g", replay_of="dead letter")
        assert decide(found(state=state, steps={}), given) == KeyReused()

    def test_what_took_over_from_a_replay_is_the_replay_too(self) -> None:
        taken = decide(found(state=State.WAITING, attempts=1, replay_of="dead letter"), request())
        assert isinstance(taken, Acquire)
        assert taken.record.replay_of == "dead letter"


class TestTransitions:
    @pytest.mark.parametrize(
        "after",
        [
            RECORD.completed("0"),
            RECORD.checkpointed({"task": "2"}),
            RECORD.failed("e"),
            RECORD.released(),
            RECORD.waiting("e", NOW),
            RECORD.dead_lettered("e"),
        ],
    )
    def test_every_one_keeps_the_fingerprint_and_the_steps(self, after: Record) -> None:
        assert after.fingerprint == "f"
        assert after.steps.items() >= RECORD.steps.items()

    def test_a_failure_counts_and_a_release_does_not(self) -> None:
        record = replace(RECORD, attempts=2)
        assert record.failed("e").attempts == 2
        assert record.released().attempts == 1

    def test_waiting_remembers_since_when(self) -> None:
        first = RECORD.waiting("e", NOW)
        later = first.waiting("e", NOW + timedelta(hours=1))
        assert later.waiting_since == NOW

    def test_what_is_done_waits_no_more(self) -> None:
        waited = RECORD.waiting("e", NOW)
        assert waited.completed("0").waiting_since is None
        assert waited.completed("0").error is None
