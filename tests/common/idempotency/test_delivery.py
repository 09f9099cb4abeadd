"""One delivery after another, through `idempotency.run`, against a store in memory."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest

from common import idempotency
from common.cloud import firestore
from common.cloud.firestore import Create, Merge
from common.cloud.memory import Mishap
from common.errors import (
    CorruptRecordError,
    InProgressError,
    KeyReusedError,
    LostClaimError,
    MalformedError,
    NothingToDoError,
    NotYetError,
    PermanentError,
    TransientError,
    UnavailableError,
)
from common.idempotency import Answer, Job, Limits, Outcome, Work
from common.idempotency.claim import MAX_TRIES
from common.idempotency.exclusive import ProcessLock
from common.idempotency.record import State, record_id
from common.idempotency.waits import MAX_VANISHED
from tests.common.memory_store import LIMITS, MemoryStore, job

Handler = Callable[[Work], Outcome]
FAILING: list[Mishap] = ["error"] * MAX_TRIES
CONFLICTS: list[Mishap] = ["conflict"] * MAX_TRIES


def run(
    store: MemoryStore,
    handler: Handler,
    given: Job | None = None,
    limits: Limits = LIMITS,
    process_lock: ProcessLock | None = None,
) -> Answer:
    """Each delivery in a process of its own, unless a lock says otherwise."""
    return idempotency.run(
        given or job(),
        handler,
        limits=limits,
        monotonic=store.monotonic,
        sleep=store.advance,
        process_lock=process_lock or ProcessLock(),
    )


def done(work: Work) -> Outcome:
    return Outcome(result="done")


def never(work: Work) -> Outcome:
    raise AssertionError("the handler ran")


def raising(error: BaseException) -> Handler:
    def handler(work: Work) -> Outcome:
        raise error

    return handler


def effect(name: str) -> Merge:
    """An effect that never fails."""
    return Merge(path=f"effects/{name}")


def creation(name: str) -> Create:
    """An effect with a precondition."""
    return Create(path=f"effects/{name}", fields={})


def vanish(store: MemoryStore, given: Job | None = None, limits: Limits = LIMITS) -> None:
    """An attempt that is killed in its handler, and its lease."""
    with pytest.raises(KeyboardInterrupt):
        run(store, raising(KeyboardInterrupt()), given, limits)
    store.advance(limits.lease + 1)


class TestDone:
    def test_the_claim_is_durable_before_the_handler_runs(self, store: MemoryStore) -> None:
        run(store, lambda work: Outcome(result=store.record().state.value))
        assert store.record().result == '"claimed"'

    def test_a_first_delivery_costs_two_writes_and_no_read(self, store: MemoryStore) -> None:
        run(store, done)
        assert (store.commits, store.reads) == (2, 0)

    @pytest.mark.parametrize("result", [0, "", False, [], {}, None, 0.0, "x", {"a": [1]}])
    def test_a_duplicate_gets_the_same_value(self, store: MemoryStore, result: Any) -> None:
        first = run(store, lambda work: Outcome(result=result))
        again = run(store, never)
        assert (first.status, again.status) == ("done", "duplicate")
        assert (again.result, type(again.result)) == (result, type(result))

    def test_a_duplicate_costs_a_refused_create_and_a_read(self, store: MemoryStore) -> None:
        run(store, done)
        store.commits = store.reads = 0
        run(store, never)
        assert (store.commits, store.reads) == (1, 1)

    def test_two_functions_may_each_do_it(self, store: MemoryStore) -> None:
        run(store, done, job(scope="one"))
        assert run(store, done, job(scope="two")).status == "done"

    @pytest.mark.parametrize("result", [(1, 2), {1: "a"}, {1, 2}, float("nan"), object()])
    def test_a_result_that_would_not_come_back_is_dead_lettered(
        self, store: MemoryStore, result: Any
    ) -> None:
        assert run(store, lambda work: Outcome(result=result)).status == "dead_lettered"
        assert run(store, never).status == "dead_lettered"

    def test_work_without_a_key_is_refused(self) -> None:
        with pytest.raises(MalformedError):
            job("")

    def test_a_result_too_large_for_a_document_is_dead_lettered(self, store: MemoryStore) -> None:
        answer = run(store, lambda work: Outcome(result="x" * 1_000_000))
        assert answer.status == "dead_lettered"
        assert "more than 900000" in answer.result

    def test_a_handler_may_find_that_there_is_nothing_to_do(self, store: MemoryStore) -> None:
        with pytest.raises(NothingToDoError):
            run(store, raising(NothingToDoError("skipped")))
        assert run(store, never) == Answer(status="duplicate", result="skipped")

    def test_a_record_removed_by_hand_lets_it_run_again(self, store: MemoryStore) -> None:
        run(store, done)
        store.clear()
        assert run(store, done).status == "done"


class TestInProgress:
    def test_another_delivery_is_sent_away_with_the_time_that_is_left(
        self, store: MemoryStore
    ) -> None:
        def handler(work: Work) -> Outcome:
            store.advance(30)
            with pytest.raises(InProgressError) as error:
                run(store, never)
            return Outcome(result=error.value.retry_after)

        assert 60 <= run(store, handler).result <= 75  # those of equals are spread

    def test_at_the_very_end_of_its_lease_a_claim_still_holds(self, store: MemoryStore) -> None:
        def handler(work: Work) -> Outcome:
            store.advance(LIMITS.lease)
            with pytest.raises(InProgressError):
                run(store, never)
            return Outcome()

        run(store, handler)

    def test_a_late_finisher_learns_that_it_lost(self, store: MemoryStore) -> None:
        def late(work: Work) -> Outcome:
            store.advance(LIMITS.lease + 1)
            run(store, done)
            return Outcome(result="late", writes=[effect("late")])

        with pytest.raises(LostClaimError):
            run(store, late)
        assert (store.record().result, store.effects) == ('"done"', [])

    def test_a_late_failer_does_not_free_the_new_owners_claim(self, store: MemoryStore) -> None:
        def late(work: Work) -> Outcome:
            store.advance(LIMITS.lease + 1)
            run(store, owner)
            raise ValueError

        def owner(work: Work) -> Outcome:
            return Outcome(result=store.record().owner)

        with pytest.raises(LostClaimError):
            run(store, late)
        assert store.record().state is State.DONE

    def test_a_loser_that_compensates_begins_nothing(self, store: MemoryStore) -> None:
        begun: list[str] = []

        def late(work: Work) -> Outcome:
            store.advance(LIMITS.lease + 1)
            run(store, done)
            try:
                work.write("order", lambda: [effect("order")])
            except Exception:
                work.step("undo", begun.append)
            return Outcome()

        with pytest.raises(LostClaimError):
            run(store, late, limits=Limits(max_attempts=3, budget=1000, lease=90))
        assert begun == []


class TestFailure:
    def test_it_is_raised_and_the_next_delivery_runs(self, store: MemoryStore) -> None:
        with pytest.raises(ValueError, match="oops"):
            run(store, raising(ValueError("oops")))
        assert store.record().state is State.WAITING
        assert run(store, done).status == "done"

    def test_after_the_last_attempt_it_is_dead_lettered(self, store: MemoryStore) -> None:
        for _ in range(2):
            with pytest.raises(ValueError, match="oops"):
                run(store, raising(ValueError("oops")))
        assert run(store, raising(ValueError("oops"))).status == "dead_lettered"
        assert store.effects == [f"dead_letters/{record_id('tests', 'k')}"]
        assert run(store, never).status == "dead_lettered"

    def test_a_permanent_error_costs_one_attempt(self, store: MemoryStore) -> None:
        assert run(store, raising(PermanentError("bad"))).result == "PermanentError: bad"
        assert (store.record().state, store.record().attempts) == (State.DEAD, 1)

    def test_what_gives_up_writes_what_the_job_adds(self, store: MemoryStore) -> None:
        run(store, raising(PermanentError()), job(writes_on_dead_letter=lambda: [effect("dead")]))
        assert store.effects[1:] == ["effects/dead"]

    @pytest.mark.parametrize("error", [NotYetError(), UnavailableError()])
    def test_what_waits_uses_up_no_attempt(self, store: MemoryStore, error: Exception) -> None:
        for _ in range(LIMITS.max_attempts + 2):
            with pytest.raises(type(error)):
                run(store, raising(error))
        assert run(store, done).status == "done"

    def test_not_yet_is_given_up_after_half_a_day(self, store: MemoryStore) -> None:
        with pytest.raises(NotYetError):
            run(store, raising(NotYetError()))
        store.advance(12 * 3600 + 1)
        answer = run(store, raising(NotYetError("no user")))
        assert answer.result == "waited 12:00:00 for this: no user"

    def test_sys_exit_is_a_failure_that_spares_the_process(self, store: MemoryStore) -> None:
        with pytest.raises(TransientError, match=r"sys\.exit"):
            run(store, raising(SystemExit(1)))
        assert (store.record().state, store.record().attempts) == (State.WAITING, 1)

    def test_a_failure_that_cannot_be_recorded_keeps_its_cause(self, store: MemoryStore) -> None:
        store.mishaps = ["none", *FAILING * MAX_TRIES]
        with pytest.raises(TransientError) as error:
            run(store, raising(ValueError("oops")))
        assert isinstance(error.value.__context__, ValueError)

    def test_a_failure_is_recorded_once_the_store_is_back(self, store: MemoryStore) -> None:
        store.mishaps = ["none", *FAILING, *FAILING]
        with pytest.raises(ValueError, match="oops"):
            run(store, raising(ValueError("oops")))
        assert store.record().state is State.WAITING

    def test_an_uncertain_completion_that_was_applied_wins(self, store: MemoryStore) -> None:
        store.mishaps = ["none", "lost"]
        store.failing_reads = 1
        assert run(store, done).status == "done"

    def test_in_progress_elsewhere_uses_up_no_attempt(self, store: MemoryStore) -> None:
        for _ in range(LIMITS.max_attempts + 2):
            with pytest.raises(InProgressError):
                run(store, raising(InProgressError("elsewhere")))
        assert store.record().state is State.WAITING


class Meeting(ProcessLock):
    """A lock that so many ask for at the same moment."""

    def __init__(self, many: int) -> None:
        super().__init__()
        self._meeting = threading.Barrier(many)

    @contextmanager
    def exclusive(self, *, patience: float, turn: float = 0.0) -> Iterator[None]:
        self._meeting.wait(10)
        with super().exclusive(patience=patience, turn=turn):
            yield


class TestVanished:
    def test_it_is_taken_over_after_its_lease(self, store: MemoryStore) -> None:
        vanish(store)
        assert run(store, lambda work: Outcome(result=work.attempt)).result == 2

    def test_whoever_takes_it_over_says_so(
        self, store: MemoryStore, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """The process that died wrote no line."""
        vanish(store)
        run(store, done)
        first, second = [json.loads(line) for line in capfd.readouterr().out.splitlines()][:2]
        assert (first["attempt"], first.get("vanished")) == (1, None)
        assert (second["attempt"], second["vanished"], second["severity"]) == (2, 1, "WARNING")

    def test_it_is_given_up_at_last(self, store: MemoryStore) -> None:
        for _ in range(MAX_VANISHED):
            vanish(store)
            store.advance(86_400 * 2)
        assert run(store, never).result == f"the last {MAX_VANISHED} attempts vanished"

    def test_the_second_time_it_has_to_wait(self, store: MemoryStore) -> None:
        vanish(store)
        vanish(store)
        with pytest.raises(InProgressError):
            run(store, never)
        store.advance(LIMITS.lease * 4)
        assert run(store, done).status == "done"

    def test_an_attempt_whose_end_is_recorded_starts_the_count_again(
        self, store: MemoryStore
    ) -> None:
        vanish(store)
        with pytest.raises(NotYetError):
            run(store, raising(NotYetError()))
        vanish(store)
        assert run(store, done).status == "done"

    def test_held_work_that_had_not_begun_its_effect_is_run_again(self, store: MemoryStore) -> None:
        vanish(store, job(on_unknown_outcome="hold"))
        assert run(store, done, job(on_unknown_outcome="hold")).status == "done"

    def test_it_runs_alone_in_its_process(self, store: MemoryStore) -> None:
        vanish(store)
        process_lock = ProcessLock()

        def handler(work: Work) -> Outcome:
            with pytest.raises(InProgressError):
                run(store, never, job("another"), process_lock=process_lock)
            return Outcome()

        run(store, handler, process_lock=process_lock)
        assert run(store, done, job("another"), process_lock=process_lock).status == "done"

    def test_all_that_vanished_with_a_process_is_done_by_one_delivery_each(
        self, store: MemoryStore
    ) -> None:
        """Whoever is refused because another one is alone uses up deliveries."""
        jobs, process_lock = [job(f"k-{number}") for number in range(8)], Meeting(8)
        for it in jobs:
            vanish(store, it)
        with ThreadPoolExecutor(len(jobs)) as pool:
            again = list(pool.map(lambda it: run(store, done, it, process_lock=process_lock), jobs))
        assert [answer.status for answer in again] == ["done"] * 8

    def test_a_take_over_that_is_tried_twice_is_alone_once(self, store: MemoryStore) -> None:
        vanish(store)
        store.mishaps = ["none", "error"]
        assert run(store, done).status == "done"


class TestStore:
    @pytest.mark.parametrize("mishap", ["error", "lost", "echo"])
    def test_a_first_claim_survives_a_mishap(self, store: MemoryStore, mishap: Mishap) -> None:
        store.mishaps = [mishap]
        assert run(store, done).status == "done"
        assert store.record().attempts == 1

    @pytest.mark.parametrize("mishap", ["error", "lost", "echo", "conflict"])
    def test_effects_are_committed_once(self, store: MemoryStore, mishap: Mishap) -> None:
        store.mishaps = ["none", mishap]
        writes = [creation("e")]
        assert run(store, lambda work: Outcome(result=1, writes=writes)).result == 1
        assert store.effects == ["effects/e"]

    def test_a_claim_that_cannot_be_looked_at_runs_nothing(self, store: MemoryStore) -> None:
        run(store, done)
        store.failing_reads = 1
        with pytest.raises(TransientError):
            run(store, never)

    def test_a_store_that_keeps_failing_runs_nothing(self, store: MemoryStore) -> None:
        store.mishaps = [*FAILING]
        with pytest.raises(TransientError, match="keeps changing"):
            run(store, never)
        assert store.commits == MAX_TRIES

    def test_a_conflict_runs_the_handler_again_with_its_steps_kept(
        self, store: MemoryStore
    ) -> None:
        sent: list[str] = []
        store.mishaps = ["none", "conflict"]

        def handler(work: Work) -> Outcome:
            work.effect("mail", sent.append)
            return Outcome(writes=[creation("e")])

        run(store, handler)
        assert (len(sent), store.effects) == (1, ["effects/e"])

    def test_conflicts_without_end_are_a_failure(self, store: MemoryStore) -> None:
        store.mishaps = ["none", *CONFLICTS]
        with pytest.raises(TransientError, match="this work reads keep changing"):
            run(store, lambda work: Outcome(writes=[creation("e")]))
        assert store.record().state is State.WAITING

    def test_no_retry_begins_when_the_budget_is_used_up(self, store: MemoryStore) -> None:
        store.mishaps = ["none", "error", "error", "none"]

        def handler(work: Work) -> Outcome:
            store.advance(LIMITS.budget + 1)
            return Outcome()

        with pytest.raises(TransientError):
            run(store, handler)
        assert store.commits == 3  # the claim, the completion once, the failure once

    def test_effects_that_can_never_be_stored_are_dead_lettered(self, store: MemoryStore) -> None:
        store.mishaps = ["none", "permanent"]
        assert run(store, done).status == "dead_lettered"

    def test_threads_with_keys_of_their_own_all_finish(self, store: MemoryStore) -> None:
        answers: list[str] = []

        def deliver(number: int) -> None:
            answers.append(run(store, done, job(f"k{number}")).status)

        threads = [threading.Thread(target=deliver, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == ["done"] * 20


class TestOtherPayload:
    def test_it_is_refused_and_the_original_untouched(self, store: MemoryStore) -> None:
        run(store, done)
        before = store.documents()
        with pytest.raises(KeyReusedError):
            run(store, never, job(identity={"n": 2}))
        assert store.documents() == before

    def test_that_goes_before_in_progress(self, store: MemoryStore) -> None:
        def handler(work: Work) -> Outcome:
            with pytest.raises(KeyReusedError):
                run(store, never, job(identity={"n": 2}))
            return Outcome()

        run(store, handler)

    def test_a_nested_difference_counts_and_the_order_of_fields_does_not(
        self, store: MemoryStore
    ) -> None:
        run(store, done, job(identity={"a": {"b": 1}, "c": 2}))
        assert run(store, never, job(identity={"c": 2.0, "a": {"b": 1}})).status == "duplicate"
        with pytest.raises(KeyReusedError):
            run(store, never, job(identity={"a": {"b": 2}, "c": 2}))


class TestReplay:
    def test_it_alone_takes_over_the_dead_and_keeps_its_steps(self, store: MemoryStore) -> None:
        def handler(work: Work) -> Outcome:
            work.step("mail", sent.append)
            if work.attempt and len(store.effects) == 0:
                raise PermanentError
            return Outcome(result="mended")

        sent: list[str] = []
        run(store, handler)
        assert run(store, never).status == "dead_lettered"
        replay = run(store, handler, job(replay_of="dead letter"))
        assert (replay.result, len(sent)) == ("mended", 1)
        assert store.effects[-1] == "dead_letters/dead letter"

    def test_twice_it_is_harmless(self, store: MemoryStore) -> None:
        run(store, raising(PermanentError()))
        run(store, done, job(replay_of="dead letter"))
        assert run(store, never, job(replay_of="dead letter")).status == "duplicate"

    def test_its_attempts_begin_anew(self, store: MemoryStore) -> None:
        for _ in range(3):
            with suppress(ValueError):
                run(store, raising(ValueError("oops")))
        for _ in range(2):
            with pytest.raises(ValueError, match="oops"):
                run(store, raising(ValueError("oops")), job(replay_of="dead letter"))
        assert run(store, done).status == "done"

    def test_it_may_correct_the_payload(self, store: MemoryStore) -> None:
        run(store, raising(PermanentError()))
        corrected = job(identity={"n": 2}, replay_of="dead letter")
        assert run(store, done, corrected).status == "done"

    def test_what_has_finished_stays_as_it_was(self, store: MemoryStore) -> None:
        def handler(work: Work) -> Outcome:
            work.effect("mail", sent.append)
            if len(sent) + store.record().attempts == 2:
                raise PermanentError
            return Outcome()

        sent: list[str] = []
        run(store, handler)
        corrected = job(identity={"n": 2}, replay_of="dead letter")
        assert (run(store, handler, corrected).status, len(sent)) == ("done", 1)

    def test_the_original_is_still_this_work_and_another_payload_is_not(
        self, store: MemoryStore
    ) -> None:
        run(store, raising(PermanentError()))
        run(store, done, job(identity={"n": 2}, replay_of="dead letter"))
        assert run(store, never).status == "duplicate"
        with pytest.raises(KeyReusedError):
            run(store, never, job(identity={"n": 3}))

    def test_only_the_newest_payload_is_run(self, store: MemoryStore) -> None:
        run(store, raising(PermanentError()))
        corrected = job(identity={"n": 2}, replay_of="dead letter")
        with pytest.raises(ValueError, match="oops"):
            run(store, raising(ValueError("oops")), corrected)
        with pytest.raises(InProgressError):
            run(store, never)
        assert run(store, done, corrected).status == "done"

    def test_what_it_corrects_is_sent_under_a_new_key(self, store: MemoryStore) -> None:
        keys: list[str] = []

        def handler(work: Work) -> Outcome:
            keys.append(work.step_key("mail"))
            if len(keys) < 3:
                raise PermanentError
            return Outcome()

        run(store, handler)
        run(store, handler, job(replay_of="dead letter"))
        run(store, handler, job(identity={"n": 2}, replay_of="dead letter"))
        assert keys[0] == keys[1] != keys[2]


class TestExpiry:
    def test_an_expired_record_is_as_if_absent(self, store: MemoryStore) -> None:
        run(store, done)
        store.advance(LIMITS.retention + 1)
        assert run(store, done).status == "done"
        assert (store.record().attempts, store.record().steps) == (1, {})

    def test_its_key_may_have_another_payload(self, store: MemoryStore) -> None:
        run(store, done)
        store.advance(LIMITS.retention + 1)
        assert run(store, done, job(identity={"n": 2})).status == "done"

    def test_at_the_very_end_it_is_remembered(self, store: MemoryStore) -> None:
        run(store, done)
        store.advance(LIMITS.retention)
        assert run(store, never).status == "duplicate"


class TestCorrupt:
    def test_it_is_an_error_that_no_delivery_repairs(self, store: MemoryStore) -> None:
        store.corrupt()
        with pytest.raises(CorruptRecordError):
            run(store, never)

    def test_a_replay_resets_it(self, store: MemoryStore) -> None:
        store.corrupt()
        assert run(store, done, job(replay_of="dead letter")).status == "done"


class TestFirst:
    """On a delivery that the platform calls the first, the claim waits for what needs it."""

    FIRST = job(is_first=True)

    def test_firestore_effects_alone_are_one_write(self, store: MemoryStore) -> None:
        firestore.read("warm/up")
        answer = run(store, lambda work: Outcome(result=0, writes=[effect("e")]), self.FIRST)
        assert answer == Answer(status="done", result=0)
        assert (store.commits, store.reads, store.effects) == (1, 1, ["effects/e"])
        assert run(store, never) == Answer(status="duplicate", result=0)

    def test_a_process_that_does_it_first_learns_the_time_for_the_collector(
        self, store: MemoryStore
    ) -> None:
        run(store, done, self.FIRST)
        (record,) = store.documents("idempotency").values()
        assert record["expire_at"] - store.now > timedelta(seconds=LIMITS.retention - 60)

    def test_what_is_written_before_an_effect_commits_with_the_claim(
        self, store: MemoryStore
    ) -> None:
        seen: list[Any] = []

        def handler(work: Work) -> Outcome:
            work.write("order", lambda: [creation("order")])
            seen.append((store.commits, store.effects))
            work.effect("mail", lambda key: seen.append((store.commits, store.effects)))
            return Outcome(writes=[effect("done")])

        run(store, handler, self.FIRST)
        assert seen == [(0, []), (1, ["effects/order"])]
        assert (store.commits, store.effects) == (2, ["effects/order", "effects/done"])

    def test_two_writes_are_two_commits(self, store: MemoryStore) -> None:
        def handler(work: Work) -> Outcome:
            work.write("one", lambda: [effect("one")])
            work.write("two", lambda: [effect(f"after {len(store.effects)}")])
            return Outcome()

        run(store, handler, self.FIRST)
        assert store.effects == ["effects/one", "effects/after 1"]

    def test_two_writes_of_one_document_are_two_commits(self, store: MemoryStore) -> None:
        def handler(work: Work) -> Outcome:
            work.write("one", lambda: [effect("e")])
            return Outcome(writes=[effect("e")])

        run(store, handler, self.FIRST)
        assert (store.commits, store.effects) == (2, ["effects/e", "effects/e"])

    def test_now_is_the_time_of_what_was_read(self, store: MemoryStore) -> None:
        times: list[Any] = []

        def handler(work: Work) -> Outcome:
            times.append(firestore.read("some/thing").read_time)
            store.advance(5)
            times.append(work.now)
            return Outcome()

        run(store, handler, self.FIRST)
        assert (times[0], store.reads) == (times[1], 1)

    def test_where_nothing_was_read_the_server_is_asked(self, store: MemoryStore) -> None:
        firestore.read("an/hour ago")
        store.advance(3600)
        before = store.now
        times: list[Any] = []

        def handler(work: Work) -> Outcome:
            times.extend([work.now, work.now])
            return Outcome()

        run(store, handler, self.FIRST)
        assert times[0] == times[1] >= before

    @pytest.mark.parametrize("fields", [{"is_first": False}, {"replay_of": "dead letter"}])
    def test_on_others_the_claim_comes_first(self, store: MemoryStore, fields: Any) -> None:
        given = job(**{"is_first": True, **fields})
        assert run(store, lambda work: Outcome(result=store.commits), given).result == 1

    @pytest.mark.parametrize("mishap", ["lost", "echo"])
    def test_its_lost_reply_is_found(self, store: MemoryStore, mishap: Mishap) -> None:
        store.mishaps = [mishap]
        answer = run(store, lambda work: Outcome(result=0, writes=[effect("e")]), self.FIRST)
        assert (answer, store.effects) == (Answer(status="done", result=0), ["effects/e"])

    @pytest.mark.parametrize("mishap", ["conflict", "error", "permanent"])
    def test_refused_it_is_claimed_first(self, store: MemoryStore, mishap: Mishap) -> None:
        store.mishaps = [mishap]
        assert run(store, done, self.FIRST).result == "done"

    def test_what_fails_before_it_is_claimed_fails_again_and_is_recorded(
        self, store: MemoryStore
    ) -> None:
        assert run(store, raising(PermanentError("bad")), self.FIRST).status == "dead_lettered"
        assert store.record().state is State.DEAD

    def test_a_duplicate_is_one(self, store: MemoryStore) -> None:
        run(store, done)
        assert run(store, done, self.FIRST).status == "duplicate"

    def test_a_duplicate_that_comes_to_an_effect_begins_none(self, store: MemoryStore) -> None:
        def handler(work: Work) -> Outcome:
            work.effect("mail", sent.append)
            return Outcome()

        sent: list[str] = []
        run(store, handler)
        assert (run(store, handler, self.FIRST).status, len(sent)) == ("duplicate", 1)

    def test_writes_with_the_claim_do_not_wait(self, store: MemoryStore) -> None:
        given = job(is_first=True, writes_on_claim=lambda: [creation("begun")])
        assert run(store, lambda work: Outcome(result=store.commits), given).result == 1


class TestWithClaim:
    def test_it_is_computed_again_for_every_try(self, store: MemoryStore) -> None:
        tries: list[int] = []

        def begin() -> list[Create]:
            tries.append(1)
            return [creation("begun")]

        store.mishaps = ["conflict", "error"]
        run(store, done, job(writes_on_claim=begin))
        assert (len(tries), store.effects) == (3, ["effects/begun"])

    def test_what_it_raises_leaves_no_claim(self, store: MemoryStore) -> None:
        def begin() -> list[Merge]:
            raise NothingToDoError("skipped")

        with pytest.raises(NothingToDoError):
            run(store, never, job(writes_on_claim=begin))
        assert store.documents("idempotency") == {}
