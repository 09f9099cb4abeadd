"""The state machine by itself: what a delivery may do about what it finds."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.idempotency import record as claims
from common.idempotency.record import (
    Ask,
    Busy,
    Corrupt,
    Dead,
    Duplicate,
    Found,
    GiveUp,
    Record,
    Reused,
    State,
    Take,
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


def ask(**fields: Any) -> Ask:
    on_unknown_outcome = fields.pop("on_unknown_outcome", "rerun")
    return Ask(
        fresh=replace(FRESH, **fields), max_attempts=3, on_unknown_outcome=on_unknown_outcome
    )


class TestDecide:
    def test_what_is_absent_is_created(self) -> None:
        assert decide(None, ask()) == Take(record=FRESH)

    def test_what_has_expired_is_reset_whole(self) -> None:
        assert decide(found(86400.1), ask()) == Take(record=FRESH, fence=NOW)

    @pytest.mark.parametrize("state", State)
    def test_an_expired_record_may_be_anything(self, state: State) -> None:
        decision = decide(found(86400.1, state=state, fingerprint="other"), ask())
        assert decision == Take(record=FRESH, fence=NOW)

    def test_at_the_very_end_of_its_retention_it_is_remembered(self) -> None:
        assert isinstance(decide(found(86400.0, state=State.DONE), ask()), Duplicate)

    @pytest.mark.parametrize("state", State)
    def test_another_payload_is_refused_in_every_state(self, state: State) -> None:
        assert decide(found(100, state=state), ask(fingerprint="g")) == Reused()

    def test_done_gives_its_result(self) -> None:
        assert decide(found(state=State.DONE, result="0"), ask()) == Duplicate(result="0")

    def test_dead_gives_its_error(self) -> None:
        assert decide(found(state=State.DEAD, error="e"), ask()) == Dead(error="e")

    def test_a_lease_is_the_holders_own_and_ends_after_its_last_moment(self) -> None:
        assert decide(found(90.0), ask()) == Busy(retry_after=0.0)
        assert isinstance(decide(found(90.001), ask()), Take)

    def test_a_takeover_goes_on_where_the_record_is(self) -> None:
        taken = decide(found(91, attempts=1), ask())
        assert isinstance(taken, Take)
        assert (taken.alone, taken.fence) == (True, NOW)
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
        taken = decide(found(state=State.WAITING, attempts=1), ask())
        assert isinstance(taken, Take)
        assert (taken.alone, taken.record.attempts, taken.record.state) == (False, 2, "claimed")

    @pytest.mark.parametrize(
        ("state", "reason"),
        [(State.CLAIMED, "vanished"), (State.WAITING, "attempts_used_up")],
    )
    def test_at_the_cap_it_is_given_up(self, state: State, reason: str) -> None:
        given = decide(found(91, state=state, attempts=3), ask())
        assert isinstance(given, GiveUp)
        assert (given.reason, given.record.state, given.record.owner) == (reason, "dead", "me")
        assert (given.record.attempts, given.record.steps) == (3, {"mail": "1"})

    def test_held_work_is_given_up_when_it_vanished_and_goes_on_when_it_waits(self) -> None:
        given = decide(found(91), ask(on_unknown_outcome="hold"))
        assert isinstance(given, GiveUp)
        assert given.reason == "unknown_outcome"
        assert isinstance(
            decide(found(0, state=State.WAITING), ask(on_unknown_outcome="hold")), Take
        )

    def test_what_cannot_be_read_is_left_to_a_replay(self) -> None:
        unreadable = Found(record=None, update_time=NOW, read_time=NOW)
        assert decide(unreadable, ask()) == Corrupt()
        assert isinstance(decide(unreadable, ask(replay_of="letter")), Take)


class TestReplay:
    def test_it_takes_the_dead_with_steps_and_attempts_anew(self) -> None:
        taken = decide(found(state=State.DEAD, attempts=3, error="e"), ask(replay_of="letter"))
        assert isinstance(taken, Take)
        assert taken.record == replace(
            FRESH, steps={"mail": "1"}, first_seen=NOW, replay_of="letter", attempts=1
        )

    def test_a_correction_needs_a_record_without_steps(self) -> None:
        given = ask(fingerprint="g", replay_of="letter")
        assert isinstance(decide(found(state=State.DEAD, steps={}), given), Take)
        assert decide(found(state=State.DEAD), given) == Reused()

    @pytest.mark.parametrize("state", [State.DONE, State.CLAIMED, State.WAITING])
    def test_it_corrects_nothing_but_the_dead(self, state: State) -> None:
        given = ask(fingerprint="g", replay_of="letter")
        assert decide(found(state=state, steps={}), given) == Reused()

    def test_what_took_over_from_a_replay_is_the_replay_too(self) -> None:
        taken = decide(found(state=State.WAITING, attempts=1, replay_of="letter"), ask())
        assert isinstance(taken, Take)
        assert taken.record.replay_of == "letter"


class TestTransitions:
    @pytest.mark.parametrize(
        "after",
        [
            claims.completed(RECORD, "0"),
            claims.checkpointed(RECORD, {"task": "2"}),
            claims.failed(RECORD, "e"),
            claims.released(RECORD),
            claims.waiting(RECORD, "e", NOW),
            claims.dead(RECORD, "e"),
        ],
    )
    def test_every_one_keeps_the_fingerprint_and_the_steps(self, after: Record) -> None:
        assert after.fingerprint == "f"
        assert after.steps.items() >= RECORD.steps.items()

    def test_a_failure_counts_and_a_release_does_not(self) -> None:
        record = replace(RECORD, attempts=2)
        assert claims.failed(record, "e").attempts == 2
        assert claims.released(record).attempts == 1

    def test_waiting_remembers_since_when(self) -> None:
        first = claims.waiting(RECORD, "e", NOW)
        later = claims.waiting(first, "e", NOW + timedelta(hours=1))
        assert later.waiting_since == NOW

    def test_what_is_done_waits_no_more(self) -> None:
        waited = claims.waiting(RECORD, "e", NOW)
        assert claims.completed(waited, "0").waiting_since is None
        assert claims.completed(waited, "0").error is None
