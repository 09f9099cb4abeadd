"""The same over the wire: the real client, a real socket, the local Firestore."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from common import idempotency
from common.cloud import firestore
from common.cloud.firestore import Create, Increment, Merge
from common.errors import (
    CorruptRecordError,
    InProgressError,
    PermanentError,
    TransientError,
)
from common.idempotency import Answer, Job, Limits, Outcome, Work
from common.idempotency.exclusive import ProcessLock
from common.idempotency.record import WHOLE, Record, State, record_id
from common.idempotency.store import EMPTY, FirestoreStore
from common.idempotency.waits import Dead, Owed
from local.kernel.faults import Plan
from tests.common.memory_store import LIMITS, job
from tests.common.wire import Wire, running

STORE = FirestoreStore()
QUICK = Limits(max_attempts=50, budget=30.0, lease=60.0)


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with running() as made:
        yield made


@pytest.fixture(autouse=True)
def _peace(wire: Wire) -> Iterator[None]:
    yield
    wire.use(Plan())


def run(handler: Callable[[Work], Outcome], given: Job, limits: Limits = LIMITS) -> Answer:
    return idempotency.run(given, handler, store=STORE, limits=limits, process_lock=ProcessLock())


def stored(key: str) -> dict[str, Any]:
    """The record's document."""
    return dict(firestore.read(f"idempotency/{record_id('tests', key)}").data)


def found(key: str) -> Record:
    """The record."""
    read = STORE.read(record_id("tests", key))
    assert read
    assert read.record
    return read.record


def effects(name: str) -> int:
    """How often an effect was committed."""
    return int(firestore.read(f"effects/{name}").data.get("times", 0))


def effect(name: str) -> Merge:
    return Merge(path=f"effects/{name}", fields={"times": Increment(1)})


class TestRecord:
    def test_it_comes_back_as_it_was_stored(self, wire: Wire) -> None:
        def handler(work: Work) -> Outcome:
            work.step("a.b/`c", lambda key: {"x": [0, None, ""]})
            work.write("__w__", lambda: [effect("write")])
            return Outcome(result=0)

        run(handler, job("round trip"))
        record = found("round trip")
        assert record.steps == {"a.b/`c": '{"x": [0, null, ""]}', "__w__": ""}
        assert (record.state, record.result) == (State.DONE, "0")

    def test_all_of_it_comes_back(self, wire: Wire) -> None:
        now = datetime(2030, 1, 1, tzinfo=UTC)
        owed = Owed(
            reason="unavailable",
            first=now,
            since=now,
            tries=2,
            until=now,
            error="e",
            unknown_since=now,
        )
        dead = Dead(reason="outage", error="e")
        run(lambda work: Outcome(), job("whole"))
        record = replace(
            found("whole"),
            accepted=("f", "g"),
            vanished=1,
            begun=frozenset({"a.b"}),
            owed={"a.b": owed, WHOLE: replace(owed, unknown_since=None)},
            dead={"/": dead},
            replays={"`": "letter"},
            salts={"__x__": "salt"},
            resume_at=now,
        )
        fence = STORE.read(record_id("tests", "whole"))
        assert fence
        written = STORE.replace(record, fence.update_time, [])
        assert found("whole") == record
        nothing = replace(
            record,
            **{name: {} for name in ("owed", "dead", "replays", "salts")},
            accepted=(),
            vanished=0,
            begun=frozenset(),
            resume_at=None,
        )
        STORE.replace(nothing, written, [])
        assert found("whole") == nothing

    def test_an_empty_field_is_not_stored(self, wire: Wire) -> None:
        run(lambda work: Outcome(), job("plain"))
        assert not EMPTY.keys() - {"result"} & stored("plain").keys()

    def test_its_times_are_the_servers(self, wire: Wire) -> None:
        run(lambda work: Outcome(result=work.now.timestamp()), job("times"))
        data = stored("times")
        first: datetime = data["first_seen"]
        assert first.timestamp() == pytest.approx(float(data["result"]), abs=0.001)
        assert data["expire_at"] > first + timedelta(seconds=LIMITS.retention - 60)

    def test_an_expired_one_is_reset_whole(self, wire: Wire) -> None:
        run(lambda work: Outcome(result=work.step("old", lambda key: 1)), job("expired"))
        before = stored("expired")["first_seen"]
        wire.advance(LIMITS.retention + 1)
        run(lambda work: Outcome(result=2), job("expired"))
        data = stored("expired")
        assert (data["steps"], data["attempts"], data["result"]) == ({}, 1, "2")
        assert data["first_seen"] > before

    @pytest.mark.parametrize("key", ["a/b", "..", "__x__", "ü" * 1000, "`", " ", "a\0b"])
    def test_any_key_has_a_record(self, wire: Wire, key: str) -> None:
        assert run(lambda work: Outcome(), job(key)).status == "done"
        assert run(lambda work: Outcome(), job(key)).status == "duplicate"

    @pytest.mark.parametrize(
        "change",
        [{"state": "unheard of"}, {"attempts": "1"}, {"steps": [1]}, {"result": "{"}, {"owner": 1}],
    )
    def test_a_corrupt_one_is_an_error_until_a_replay(
        self, wire: Wire, change: dict[str, Any]
    ) -> None:
        key = f"corrupt {change}"
        run(lambda work: Outcome(result=1), job(key))
        firestore.commit([Merge(path=f"idempotency/{record_id('tests', key)}", fields=change)])
        for _ in range(2):
            with pytest.raises(CorruptRecordError):
                run(lambda work: Outcome(), job(key))
        assert run(lambda work: Outcome(), job(key, replay_of="dead letter")).status == "done"


class TestRefusals:
    def test_what_no_document_holds_is_dead_lettered_with_its_payload(self, wire: Wire) -> None:
        large = Create(path="effects/large", fields={"x": "x" * 1_100_000})
        answer = run(lambda work: Outcome(writes=[large]), job("large", payload=b"p"))
        assert answer.status == "dead_lettered"
        dead_letter = firestore.read(f"dead_letters/{record_id('tests', 'large')}").data
        assert (dead_letter["payload"], dead_letter["state"], dead_letter["attempts"]) == (
            "p",
            "open",
            1,
        )

    def test_an_effect_is_done_again_from_its_reads(self, wire: Wire) -> None:
        firestore.commit([Merge(path="effects/contended", fields={"times": 0})])
        rivals = [1, 2]

        def handler(work: Work) -> Outcome:
            read = firestore.read("effects/contended")
            if rivals:
                firestore.commit([Merge(path=read.path, fields={"rival": rivals.pop()})])
            return Outcome(writes=[read.write({"times": read.data["times"] + 1})])

        assert run(handler, job("contended")).status == "done"
        assert effects("contended") == 1

    def test_a_replay_marks_its_dead_letter(self, wire: Wire) -> None:
        def refuse(work: Work) -> Outcome:
            raise PermanentError("no")

        run(refuse, job("replayed"))
        dead_letter = record_id("tests", "replayed")
        run(lambda work: Outcome(), job("replayed", replay_of=dead_letter))
        data = firestore.read(f"dead_letters/{dead_letter}").data
        assert (data["state"], data["reason"]) == ("replayed", "permanent")


class TestLostReplies:
    @pytest.mark.parametrize(
        "seed", [0, *(pytest.param(it, marks=pytest.mark.slow) for it in (1, 2))]
    )
    def test_every_effect_is_committed_once(self, wire: Wire, seed: int) -> None:
        """Half of all commits lose their reply, and the client library tries them again."""
        name = f"lost {seed}"

        def handler(work: Work) -> Outcome:
            work.write("first", lambda: [effect(f"{name} first")])
            work.step("mail", lambda key: Outcome(writes=[effect(f"{name} mail")]))
            return Outcome(writes=[effect(f"{name} done")])

        wire.use(Plan(seed=seed, lost_replies=0.5))
        answer = _until_acknowledged(wire, handler, job(name))
        assert wire.faults.injected["lost_replies"]
        wire.use(Plan())
        assert answer.status == "done"
        assert [effects(f"{name} {it}") for it in ("first", "mail", "done")] == [1, 1, 1]


def _until_acknowledged(wire: Wire, handler: Callable[[Work], Outcome], given: Job) -> Answer:
    for _ in range(QUICK.max_attempts):
        try:
            return run(handler, given, QUICK)
        except (InProgressError, TransientError):
            wire.advance(QUICK.lease + 1)
    raise AssertionError("never acknowledged")


class Killed(BaseException):
    """The process is gone: nothing below it runs."""


class TestChaos:
    """Keys delivered three times at once, by threads that fail and vanish, over a bad network."""

    KEYS = 12

    @pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
    def test_every_effect_is_committed_once(self, wire: Wire, seed: int) -> None:
        sent: Counter[str] = Counter()
        before = wire.faults.injected.total()
        wire.use(Plan(seed=seed, errors=0.05, lost_replies=0.1))
        deliveries = [f"chaos {seed} {number}" for number in range(self.KEYS)] * 3
        random.Random(seed).shuffle(deliveries)
        left = _Left(deliveries)
        threads = [
            threading.Thread(target=self._work, args=(left, random.Random(f"{seed} {n}"), sent))
            for n in range(6)
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            time.sleep(0.05)
            wire.advance(20)
        assert left.failures == []
        assert wire.faults.injected.total() > before + self.KEYS
        wire.use(Plan())
        for key in set(deliveries):
            assert found(key).state is State.DONE
            assert (effects(f"{key} write"), effects(f"{key} done")) == (1, 1)
            assert (effects(f"{key} mail"), sent[key] >= 1) == (1, True)

    def _work(self, left: "_Left", dice: random.Random, sent: Counter[str]) -> None:
        while (key := left.take()) is not None:
            try:
                run(lambda work: self._handle(work, key, dice, sent), job(key), QUICK)
            except (Killed, InProgressError, TransientError):
                left.put(key)
            except BaseException as error:
                left.failures.append(repr(error))
                return

    def _handle(self, work: Work, key: str, dice: random.Random, sent: Counter[str]) -> Outcome:
        self._mishap(dice)
        work.write("write", lambda: [effect(f"{key} write")])
        self._mishap(dice)

        def mail(step: str) -> Outcome:
            sent[key] += 1
            self._mishap(dice)
            return Outcome(writes=[effect(f"{key} mail")])

        work.effect("mail", mail)
        self._mishap(dice)
        return Outcome(writes=[effect(f"{key} done")])

    def _mishap(self, dice: random.Random) -> None:
        if (throw := dice.random()) < 0.05:
            raise Killed
        if throw < 0.1:
            raise TransientError("bad luck")


class _Left:
    """Deliveries to be made; what is not acknowledged comes back."""

    def __init__(self, keys: list[str]) -> None:
        self._keys = keys[:]
        self._lock = threading.Lock()
        self.failures: list[str] = []

    def take(self) -> str | None:
        with self._lock:
            return self._keys.pop(0) if self._keys else None

    def put(self, key: str) -> None:
        with self._lock:
            self._keys.append(key)
