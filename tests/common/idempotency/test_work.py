"""Steps: done once, remembered exactly, never forgotten."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from common import idempotency
from common.cloud.firestore import Create, Merge, Update, Write
from common.cloud.memory import Mishap
from common.errors import (
    LostClaimError,
    NotYetError,
    PermanentError,
    TransientError,
    UnavailableError,
)
from common.idempotency import Answer, Job, Limits, Outcome, Work
from common.idempotency.claim import MAX_TRIES
from common.idempotency.exclusive import ProcessLock
from common.idempotency.record import State
from common.process import shutdown
from tests.common.memory_store import LIMITS, MemoryStore, job

FAILING: list[Mishap] = ["error"] * MAX_TRIES
LONG = Limits(max_attempts=3, budget=10_000.0, lease=90.0)


def run(
    store: MemoryStore,
    handler: Callable[[Work], Outcome],
    given: Job | None = None,
    limits: Limits = LIMITS,
) -> Answer:
    return idempotency.run(
        given or job(),
        handler,
        limits=limits,
        monotonic=store.monotonic,
        sleep=store.advance,
        process_lock=ProcessLock(),
    )


def never(key: str) -> None:
    raise AssertionError("the effect was repeated")


def fail(store: MemoryStore, handler: Callable[[Work], Any], **fields: Any) -> None:
    """An attempt that fails after what the handler does."""

    def failing(work: Work) -> Outcome:
        handler(work)
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        run(store, failing, job(**fields))


class TestStep:
    def test_a_retry_skips_it_and_gets_its_result(self, store: MemoryStore) -> None:
        fail(store, lambda work: work.step("a.b/c", lambda key: {"x": [0, None]}))
        answer = run(store, lambda work: Outcome(result=work.step("a.b/c", never)))
        assert answer.result == {"x": [0, None]}

    def test_it_costs_one_write_and_an_effect_none(self, store: MemoryStore) -> None:
        def handler(work: Work) -> Outcome:
            work.step("one", lambda key: 1)
            work.effect("two", lambda key: 2)
            return Outcome()

        run(store, handler)
        assert store.commits == 3
        assert store.record().steps == {"one": "1", "two": "2"}

    def test_its_key_is_its_own_and_the_same_in_every_attempt(self, store: MemoryStore) -> None:
        keys: list[str] = []

        def handler(work: Work) -> Outcome:
            keys.extend(work.step_key(name) for name in ("a", "b"))
            return Outcome()

        fail(store, handler)
        run(store, handler)
        run(store, handler, job("other"))
        assert keys[:2] == keys[2:4]
        assert len(set(keys)) == 4

    def test_its_writes_commit_with_its_mark(self, store: MemoryStore) -> None:
        outcome = Outcome(result=1, writes=[Merge(path="effects/mail")])
        fail(store, lambda work: work.step("mail", lambda key: outcome))
        assert (store.effects, store.record().steps) == (["effects/mail"], {"mail": "1"})

    def test_results_belong_to_names_whatever_the_order(self, store: MemoryStore) -> None:
        def both(work: Work) -> None:
            work.step("a", lambda key: "A")
            work.step("b", lambda key: "B")

        fail(store, both)
        answer = run(
            store, lambda work: Outcome(result=[work.step("b", never), work.step("a", never)])
        )
        assert answer.result == ["B", "A"]

    def test_a_name_twice_is_an_error_that_says_so(self, store: MemoryStore) -> None:
        def twice(work: Work) -> Outcome:
            work.step("mail", lambda key: 1)
            work.step("mail", lambda key: 2)
            return Outcome()

        assert run(store, twice).result == "StepNameUsedTwiceError: two steps are named 'mail'"

    def test_one_that_vanished_from_the_code_is_an_error(self, store: MemoryStore) -> None:
        fail(store, lambda work: work.step("mail", lambda key: 1))
        answer = run(store, lambda work: Outcome())
        assert answer.result.startswith("StepVanishedError: finished earlier")

    def test_one_that_became_a_write_is_an_error(self, store: MemoryStore) -> None:
        def changed(work: Work) -> Outcome:
            work.write("order", lambda: [])
            return Outcome()

        fail(store, lambda work: work.step("order", lambda key: 1))
        assert run(store, changed).result.startswith("StepChangedError")

    def test_a_write_that_became_a_step_is_an_error(self, store: MemoryStore) -> None:
        fail(store, lambda work: work.write("order", lambda: []))
        answer = run(store, lambda work: Outcome(result=work.step("order", never)))
        assert answer.result.startswith("StepChangedError")

    def test_a_result_that_cannot_be_stored_is_dead_lettered_by_name(
        self, store: MemoryStore
    ) -> None:
        answer = run(store, lambda work: Outcome(result=work.step("mail", lambda key: {1})))
        assert answer.status == "dead_lettered"
        assert "step 'mail' was done, but its result" in answer.result

    def test_results_that_no_document_holds_are_dead_lettered(self, store: MemoryStore) -> None:
        def large(work: Work) -> Outcome:
            for name in ("a", "b"):
                work.step(name, lambda key: "x" * 500_000)
            return Outcome()

        assert run(store, large).status == "dead_lettered"
        assert store.record().steps.keys() == {"a"}

    def test_one_inside_of_another_is_an_error(self, store: MemoryStore) -> None:
        def outer(work: Work) -> Outcome:
            return Outcome(result=work.step("a", lambda key: work.step("b", never)))

        assert run(store, outer).result == "PermanentError: step 'b' begins inside of another step"

    def test_its_writes_may_not_have_preconditions(self, store: MemoryStore) -> None:
        outcome = Outcome(writes=[Create(path="a/b", fields={})])
        answer = run(store, lambda work: Outcome(result=work.step("mail", lambda key: outcome)))
        assert "its writes have preconditions" in answer.result


class TestMarks:
    """What is known to have happened is recorded by whatever is written next."""

    def test_a_failure_records_it(self, store: MemoryStore) -> None:
        outcome = Outcome(result=7, writes=[Merge(path="effects/mail")])
        fail(store, lambda work: work.effect("mail", lambda key: outcome))
        assert (store.record().steps, store.effects) == ({"mail": "7"}, ["effects/mail"])

    def test_giving_up_records_it(self, store: MemoryStore) -> None:
        def handler(work: Work) -> Outcome:
            work.effect("mail", lambda key: 7)
            raise PermanentError

        run(store, handler)
        assert (store.record().state, store.record().steps) == (State.DEAD, {"mail": "7"})

    def test_waiting_records_it(self, store: MemoryStore) -> None:
        def handler(work: Work) -> Outcome:
            work.effect("mail", lambda key: 7)
            raise NotYetError

        with pytest.raises(NotYetError):
            run(store, handler)
        assert store.record().steps == {"mail": "7"}

    def test_a_mark_that_failed_travels_on(self, store: MemoryStore) -> None:
        store.mishaps = ["none", *FAILING]

        def handler(work: Work) -> Outcome:
            work.step("mail", lambda key: 7)
            return Outcome()

        with pytest.raises(TransientError):
            run(store, handler)
        assert (store.record().state, store.record().steps) == (State.WAITING, {"mail": "7"})

    def test_writes_that_can_never_be_stored_do_not_keep_it_from_being_given_up(
        self, store: MemoryStore
    ) -> None:
        store.mishaps = ["none", "permanent", "permanent"]

        def handler(work: Work) -> Outcome:
            work.step("mail", lambda key: Outcome(writes=[Merge(path="effects/bad")]))
            return Outcome()

        assert run(store, handler).status == "dead_lettered"
        assert "effects/bad" not in store.effects


class TestWrite:
    def test_it_is_computed_again_when_what_it_read_has_changed(self, store: MemoryStore) -> None:
        tries: list[int] = []

        def effects() -> list[Create]:
            tries.append(1)
            return [Create(path="effects/order", fields={})]

        def handler(work: Work) -> Outcome:
            work.write("order", effects)
            return Outcome()

        store.mishaps = ["none", "conflict", "conflict"]
        run(store, handler)
        assert (len(tries), store.effects) == (3, ["effects/order"])

    def test_a_retry_skips_it(self, store: MemoryStore) -> None:
        fail(store, lambda work: work.write("order", lambda: [Merge(path="effects/order")]))

        def handler(work: Work) -> Outcome:
            work.write("order", lambda: [Merge(path="effects/again")])
            return Outcome()

        run(store, handler)
        assert store.effects == ["effects/order"]


class TestTime:
    def test_now_is_the_servers_time_of_the_claim(self, store: MemoryStore) -> None:
        before = store.now
        run(store, lambda work: Outcome(result=(work.now - before).total_seconds() < 1))
        assert store.record().result == "true"

    def test_no_step_begins_when_the_budget_is_used_up(self, store: MemoryStore) -> None:
        def handler(work: Work) -> Outcome:
            store.advance(LIMITS.budget)
            work.step("mail", never)
            return Outcome()

        with pytest.raises(TransientError, match="budget"):
            run(store, handler)

    def test_the_budget_began_with_the_delivery(self, store: MemoryStore) -> None:
        def slow() -> list[Merge]:
            store.advance(20)
            return []

        answer = run(
            store, lambda work: Outcome(result=round(work.remaining())), job(writes_on_claim=slow)
        )
        assert answer.result == 30

    def test_a_lease_that_nears_its_end_is_renewed_before_a_step(self, store: MemoryStore) -> None:
        def handler(work: Work) -> Outcome:
            store.advance(70)
            work.step("mail", lambda key: store.advance(70))
            return Outcome()

        assert run(store, handler, limits=LONG).status == "done"
        assert store.commits == 4

    def test_a_step_does_not_begin_once_another_holds_the_claim(self, store: MemoryStore) -> None:
        def handler(work: Work) -> Outcome:
            store.advance(91)
            run(store, lambda work: Outcome())
            work.step("mail", never)
            return Outcome()

        with pytest.raises(LostClaimError):
            run(store, handler, limits=LONG)


class TestHold:
    def test_an_effect_that_may_have_happened_is_dead_lettered(self, store: MemoryStore) -> None:
        def charge(key: str) -> None:
            raise TransientError("no answer")

        answer = run(
            store,
            lambda work: Outcome(result=work.step("charge", charge)),
            job(on_unknown_outcome="hold"),
        )
        assert answer.status == "dead_lettered"
        assert "step 'charge' may have happened" in answer.result

    @pytest.mark.parametrize("error", [NotYetError("no"), PermanentError("no")])
    def test_one_that_surely_did_not_is_treated_as_usual(
        self, store: MemoryStore, error: Exception
    ) -> None:
        def charge(key: str) -> None:
            raise error

        def handler(work: Work) -> Outcome:
            return Outcome(result=work.step("charge", charge))

        if isinstance(error, PermanentError):
            assert (
                run(store, handler, job(on_unknown_outcome="hold")).result == "PermanentError: no"
            )
        else:
            with pytest.raises(NotYetError):
                run(store, handler, job(on_unknown_outcome="hold"))

    def test_one_whose_repeat_does_nothing_waits(self, store: MemoryStore) -> None:
        def charge(key: str) -> None:
            error = UnavailableError("no answer", outcome_unknown=True)
            error.is_repeatable = True
            raise error

        def handler(work: Work) -> Outcome:
            return Outcome(result=work.step("charge", charge))

        with pytest.raises(UnavailableError):
            run(store, handler, job(on_unknown_outcome="hold"))
        assert store.record().state is State.WAITING

    def test_what_fails_outside_of_an_effect_is_tried_again(self, store: MemoryStore) -> None:
        fail(store, lambda work: None, on_unknown_outcome="hold")
        assert store.record().state is State.WAITING


class TestRelease:
    """SIGTERM gives the work back from another thread."""

    def release(self, *, is_last_call: bool) -> bool:
        done: list[bool] = []

        def other() -> None:
            (release,) = shutdown.in_progress()
            done.append(release(is_last_call=is_last_call))

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        return done[0]

    def test_between_effects_it_is_given_back(self, store: MemoryStore) -> None:
        def handler(work: Work) -> Outcome:
            assert self.release(is_last_call=False)
            work.step("mail", never)
            return Outcome()

        with pytest.raises(LostClaimError):
            run(store, handler)
        assert (store.record().state, store.record().attempts) == (State.WAITING, 1)

    def test_it_takes_the_marks_along(self, store: MemoryStore) -> None:
        def handler(work: Work) -> Outcome:
            work.effect("mail", lambda key: 7)
            assert self.release(is_last_call=False)
            return Outcome()

        with pytest.raises(LostClaimError):
            run(store, handler)
        assert store.record().steps == {"mail": "7"}

    def test_in_an_effect_it_waits_for_the_last_call(self, store: MemoryStore) -> None:
        def effect(key: str) -> None:
            assert not self.release(is_last_call=False)

        run(store, lambda work: Outcome(result=work.step("mail", effect)))
        assert store.record().state is State.DONE

    def test_the_last_call_gives_back_what_may_be_repeated(self, store: MemoryStore) -> None:
        def effect(key: str) -> None:
            assert self.release(is_last_call=True)

        with pytest.raises(LostClaimError):
            run(store, lambda work: Outcome(result=work.step("mail", effect)))
        assert (store.record().state, store.record().attempts) == (State.WAITING, 1)

    def test_held_work_is_never_given_back_in_the_middle(self, store: MemoryStore) -> None:
        def effect(key: str) -> None:
            assert not self.release(is_last_call=True)

        run(
            store,
            lambda work: Outcome(result=work.step("mail", effect)),
            job(on_unknown_outcome="hold"),
        )
        assert store.record().state is State.DONE

    def test_what_is_settled_is_not_given_back(self, store: MemoryStore) -> None:
        run(store, lambda work: Outcome())
        assert shutdown.in_progress() == []


class TestWhatIsWrittenWithAWait:
    def wait(self, store: MemoryStore, handler: Callable[[Work], Any]) -> dict[str, Any]:
        """What the documents say after an attempt that did not finish."""
        waiting = Merge(path="things/t", fields={"state": "waiting"})
        with pytest.raises(TransientError):
            run(store, handler, job(writes_on_wait=lambda: [waiting]))
        return store.documents("things")

    @pytest.mark.parametrize("error", [TransientError, NotYetError])
    def test_a_failure_outside_of_an_effect_commits_it(
        self, store: MemoryStore, error: type[Exception]
    ) -> None:
        assert self.wait(store, lambda work: failing(error())) == {"things/t": {"state": "waiting"}}

    def test_so_does_an_effect_that_surely_did_not_happen(self, store: MemoryStore) -> None:
        refused = UnavailableError("closed for today")
        assert self.wait(store, lambda work: work.step("a", lambda key: failing(refused)))

    @pytest.mark.parametrize("error", [TransientError(), UnavailableError(outcome_unknown=True)])
    def test_an_effect_that_may_have_happened_leaves_it_out(
        self, store: MemoryStore, error: Exception
    ) -> None:
        assert not self.wait(store, lambda work: work.step("a", lambda key: failing(error)))

    def test_it_is_computed_again_when_a_document_has_changed(self, store: MemoryStore) -> None:
        commit = store.commit
        moved = [commit([Merge(path="things/t", fields={"n": n})]) for n in (1, 2)]
        stale = [moved[0], moved[1]]

        def writes() -> list[Write]:
            return [Update(path="things/t", fields={"n": 3}, update_time=stale.pop(0))]

        with pytest.raises(NotYetError):
            run(store, lambda work: failing(NotYetError()), job(writes_on_wait=writes))
        assert store.documents("things") == {"things/t": {"n": 3}}


class TestBeforeDone:
    def test_it_comes_behind_the_commit_of_a_write(self, store: MemoryStore) -> None:
        seen: list[Any] = []

        def effects(work: Work) -> list[Write]:
            work.before_done("alarm", lambda: seen.append(store.documents("things")))
            return [Merge(path="things/t", fields={"n": 1})]

        run(store, lambda work: _written(work, lambda: effects(work)))
        assert seen == [{"things/t": {"n": 1}}]

    def test_it_comes_before_a_commit_with_the_done_mark(self, store: MemoryStore) -> None:
        seen: list[Any] = []

        def handler(work: Work) -> Outcome:
            work.before_done("alarm", lambda: seen.append(store.documents("things")))
            return Outcome(writes=[Merge(path="things/t", fields={"n": 1})])

        run(store, handler)
        assert seen == [{}]

    def test_one_of_the_same_name_takes_its_place(self, store: MemoryStore) -> None:
        seen: list[int] = []

        def handler(work: Work) -> Outcome:
            for n in (1, 2):
                work.before_done("alarm", lambda n=n: seen.append(n))  # type: ignore[misc]
            return Outcome()

        run(store, handler)
        assert seen == [2]


def failing(error: Exception) -> Any:
    raise error


def _written(work: Work, effects: Callable[[], list[Write]]) -> Outcome:
    work.write("thing", effects)
    return Outcome()
