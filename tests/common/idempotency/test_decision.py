"""The state machine of a record: what a delivery may do about the record that it finds."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from common.idempotency.decision import (
    Acquire,
    CorruptRecord,
    DeadAlready,
    DeadLetter,
    Duplicate,
    Found,
    HandedOver,
    HandOver,
    InProgress,
    KeyReused,
    NeedsForce,
    Request,
    decide,
)
from common.idempotency.record import WHOLE, Record, State, letter_id
from common.idempotency.waits import MAX_VANISHED, Dead, Owed, Patience

NOW = datetime(2030, 1, 1, tzinfo=UTC)
PATIENCE = Patience(attempts=3)
OWED = Owed(reason="not_yet", first=NOW, since=NOW, tries=1, until=NOW, error="late")
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
    of_the_record = {name: fields.pop(name) for name in ("fingerprint",) if name in fields}
    return Request(fresh=replace(FRESH, **of_the_record), patience=PATIENCE, **fields)


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
            vanished=1,
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

    def test_what_vanished_before_waits_for_a_growing_pause(self) -> None:
        left = [decide(found(91, vanished=it), request()) for it in range(1, MAX_VANISHED - 1)]
        waits = [it.retry_after for it in left if isinstance(it, InProgress)]
        assert len(waits) == len(left)
        assert waits == sorted(waits)
        assert timedelta(seconds=sum(it + 91 for it in waits)) > PATIENCE.outage

    def test_after_its_pause_it_is_taken_alone(self) -> None:
        taken = decide(found(90 + 90 * 4 + 1, vanished=1), request())
        assert isinstance(taken, Acquire)
        assert (taken.is_exclusive, taken.record.vanished) == (True, 2)

    def test_until_then_it_is_handed_over_where_that_can_be(self) -> None:
        given = decide(found(100, vanished=1), request(may_hand_over=True))
        assert isinstance(given, HandOver)
        assert (given.record.state, given.record.vanished) == (State.WAITING, 2)
        assert given.record.resume_at == NOW + timedelta(seconds=90 + 90 * 4)

    def test_the_twelfth_time_it_is_given_up(self) -> None:
        given = decide(found(91, vanished=MAX_VANISHED - 1), request())
        assert isinstance(given, DeadLetter)
        assert given.record.dead[WHOLE].reason == "vanished"
        assert (given.record.state, given.record.owner) == ("dead", "me")
        assert given.record.steps == {"mail": "1"}

    def test_what_was_handed_over_is_for_whoever_rings(self) -> None:
        handed = found(state=State.WAITING, resume_at=NOW)
        assert decide(handed, request()) == HandedOver()
        assert isinstance(decide(handed, request(is_ringing=True)), Acquire)

    def test_what_cannot_be_read_is_left_to_a_replay(self) -> None:
        unreadable = Found(record=None, update_time=NOW, read_time=NOW)
        assert decide(unreadable, request()) == CorruptRecord()
        assert isinstance(decide(unreadable, request(replay_of="dead letter")), Acquire)


class TestReplay:
    def dead(self, *names: str, **fields: Any) -> Found:
        dead = {name: Dead(reason="permanent", error="e") for name in names}
        return found(**{"state": State.DEAD, "error": "e", "dead": dead, **fields})

    def taken(self, of: str, dead: Found, **fields: Any) -> Record:
        taken = decide(dead, request(replay_of=of, **fields))
        assert isinstance(taken, Acquire)
        return taken.record

    def test_it_takes_the_dead_with_its_steps(self) -> None:
        record = self.taken("dead letter", self.dead(WHOLE, attempts=3))
        assert (record.state, record.owner, record.attempts) == ("claimed", "me", 4)
        assert (record.steps, record.dead) == ({"mail": "1"}, {})
        own = letter_id("s", "whole", WHOLE)
        assert record.replays == {WHOLE: own, "dead letter": "dead letter"}

    def test_the_letter_of_an_effect_takes_up_just_that(self) -> None:
        of = letter_id("s", "whole", "sms")
        record = self.taken(of, self.dead("sms", "fax"))
        assert set(record.dead) == {"fax"}
        assert record.replays == {"sms": of}

    def test_it_may_be_taken_up_while_others_are_owed(self) -> None:
        owed = {"fax": OWED}
        dead = self.dead("sms", state=State.WAITING, owed=owed, resume_at=NOW)
        record = self.taken(letter_id("s", "whole", "sms"), dead)
        assert (record.dead, record.owed) == ({}, owed)

    def test_the_letter_of_what_is_done_is_a_duplicate(self) -> None:
        of = letter_id("s", "whole", "mail")
        assert decide(found(state=State.DONE, result="0"), request(replay_of=of)) == Duplicate(
            result="0"
        )
        assert decide(self.dead("fax"), request(replay_of=of)) == DeadAlready(error="e")

    def test_it_waits_for_whoever_holds_the_work(self) -> None:
        held = self.dead("sms", state=State.CLAIMED)
        given = decide(held, request(replay_of=letter_id("s", "whole", "sms")))
        assert isinstance(given, InProgress)

    def test_a_correction_is_accepted_beside_the_original(self) -> None:
        record = self.taken("dead letter", self.dead(WHOLE), fingerprint="g")
        assert (record.fingerprint, record.accepted) == ("g", ("f", "g"))
        back = self.taken(
            "dead letter",
            self.dead(WHOLE, fingerprint="g", accepted=("f", "g"), salts={WHOLE: "g"}),
            fingerprint="f",
        )
        assert (back.fingerprint, back.accepted) == ("f", ("f", "g"))
        assert back.effect_key("x") == replace(RECORD, key="whole").effect_key("x")

    def test_what_it_corrects_has_a_new_key_and_what_is_owed_keeps_its_own(self) -> None:
        before = replace(RECORD, key="whole")
        dead = self.dead("sms", state=State.WAITING, owed={"fax": OWED})
        record = self.taken(letter_id("s", "whole", "sms"), dead, fingerprint="g")
        assert record.effect_key("sms") != before.effect_key("sms")
        assert record.effect_key("fax") == before.effect_key("fax")

    def test_what_may_have_happened_is_corrected_by_force_alone(self) -> None:
        unknown = {"sms": Dead(reason="outage", error="e", unknown_since=NOW)}
        dead, of = found(state=State.DEAD, dead=unknown), letter_id("s", "whole", "sms")
        given = request(fingerprint="g", replay_of=of)
        assert decide(dead, given) == NeedsForce()
        assert isinstance(decide(dead, replace(given, is_forced=True)), Acquire)
        assert isinstance(decide(dead, request(replay_of=of)), Acquire)

    @pytest.mark.parametrize("state", [State.DONE, State.CLAIMED, State.WAITING])
    def test_it_corrects_nothing_but_the_dead(self, state: State) -> None:
        given = request(fingerprint="g", replay_of="dead letter")
        assert decide(found(state=state, steps={}), given) == KeyReused()

    def test_what_took_over_from_a_replay_is_the_replay_too(self) -> None:
        replays = {WHOLE: "dead letter"}
        taken = decide(found(state=State.WAITING, replays=replays), request())
        assert isinstance(taken, Acquire)
        assert taken.record.replays == replays

    @pytest.mark.parametrize("state", [State.DONE, State.WAITING, State.CLAIMED])
    def test_the_original_is_accepted_after_a_correction_and_is_not_run(self, state: State) -> None:
        corrected = found(91, state=state, fingerprint="g", accepted=("f", "g"), result="0")
        decision = decide(corrected, request())
        assert isinstance(decision, Duplicate if state is State.DONE else InProgress)


class TestTransitions:
    @pytest.mark.parametrize(
        "after",
        [
            RECORD.completed("0"),
            RECORD.checkpointed({"task": "2"}),
            RECORD.released(),
            RECORD.waiting({"a": OWED}, {}, resume_at=None),
            RECORD.dead_lettered({"a": Dead(reason="r", error="e")}),
        ],
    )
    def test_every_one_keeps_the_fingerprint_and_the_steps(self, after: Record) -> None:
        assert after.fingerprint == "f"
        assert after.steps.items() >= RECORD.steps.items()

    def test_what_is_released_keeps_its_alarm_and_what_has_ended_does_not(self) -> None:
        handed = replace(RECORD, resume_at=NOW, vanished=2)
        assert (handed.released().resume_at, handed.released().vanished) == (NOW, 0)
        assert handed.completed("0").resume_at is None
        assert handed.dead_lettered({"a": Dead(reason="r", error="e")}).resume_at is None

    def test_what_is_done_owes_nothing(self) -> None:
        waited = RECORD.waiting({"a": OWED}, {}, resume_at=NOW)
        assert (waited.error, waited.completed("0").owed) == ("late", {})
        assert waited.completed("0").error is None

    def test_what_is_still_to_do_of_a_replay_is_remembered(self) -> None:
        replayed = replace(RECORD, replays={"mail": "1", "a": "2", WHOLE: "3", "4": "4"})
        waited = replayed.waiting({"a": OWED}, {}, resume_at=NOW)
        assert waited.replays == {"a": "2", WHOLE: "3", "4": "4"}
