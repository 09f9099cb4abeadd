"""Who runs beside whom in a process."""

import threading
from collections.abc import Callable

import pytest

from common.errors import InProgressError
from common.idempotency.exclusive import ProcessLock

PATIENCE = 10.0


def in_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_many_are_inside_at_once() -> None:
    lock = ProcessLock()
    with lock.shared(), lock.shared():
        pass


def test_nobody_comes_in_beside_one_who_is_alone() -> None:
    lock = ProcessLock()
    with lock.shared(), lock.exclusive(patience=0), pytest.raises(InProgressError), lock.shared():
        pass
    with lock.shared():
        pass


def test_it_waits_for_those_who_are_inside() -> None:
    lock, leave, entered = ProcessLock(), threading.Event(), threading.Event()
    order: list[str] = []

    def neighbour() -> None:
        with lock.shared():
            entered.set()
            leave.wait(PATIENCE)
            order.append("the neighbour left")

    thread = in_thread(neighbour)
    entered.wait(PATIENCE)
    with lock.shared():
        leave.set()
        with lock.exclusive(patience=PATIENCE):
            order.append("alone")
    thread.join()
    assert order == ["the neighbour left", "alone"]


def test_it_does_not_wait_for_ever_and_lets_others_in_again() -> None:
    lock = ProcessLock()
    with lock.shared(), lock.shared():
        with pytest.raises(InProgressError, match="free"), lock.exclusive(patience=0):
            pass
        with lock.shared():
            pass


def test_all_who_are_inside_are_alone_one_after_the_other() -> None:
    """As after a kill: all that ran in the process is taken over at the same time."""
    lock, inside = ProcessLock(), threading.Barrier(8)
    alone, most = list[int](), list[int]()

    def take_over() -> None:
        with lock.shared():
            inside.wait(PATIENCE)
            with lock.exclusive(patience=PATIENCE, turn=PATIENCE):
                alone.append(1)
                most.append(len(alone))
                alone.pop()

    threads = [in_thread(take_over) for _ in range(8)]
    for thread in threads:
        thread.join()
    assert most == [1] * 8


def test_a_turn_that_does_not_come_leaves_the_lock_as_it_was() -> None:
    lock = ProcessLock()
    with lock.shared():
        with lock.exclusive(patience=0), pytest.raises(InProgressError), lock.exclusive(patience=0):
            pass
        with lock.exclusive(patience=0):
            pass


def test_only_one_waits_to_be_alone() -> None:
    lock, others = ProcessLock(), pytest.raises(InProgressError, match="other work")
    with lock.shared(), lock.exclusive(patience=0), others, lock.exclusive(patience=0):
        pass
