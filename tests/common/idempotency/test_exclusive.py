"""Who runs beside whom in a process."""

import threading
from collections.abc import Callable

import pytest

from common.errors import InProgressError
from common.idempotency.exclusive import Room

PATIENCE = 10.0


def in_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_many_are_inside_at_once() -> None:
    room = Room()
    with room.enter(), room.enter():
        pass


def test_nobody_comes_in_beside_one_who_is_alone() -> None:
    room = Room()
    with room.enter(), room.alone(patience=0), pytest.raises(InProgressError), room.enter():
        pass
    with room.enter():
        pass


def test_it_waits_for_those_who_are_inside() -> None:
    room, leave, entered = Room(), threading.Event(), threading.Event()
    order: list[str] = []

    def neighbour() -> None:
        with room.enter():
            entered.set()
            leave.wait(PATIENCE)
            order.append("the neighbour left")

    thread = in_thread(neighbour)
    entered.wait(PATIENCE)
    with room.enter():
        leave.set()
        with room.alone(patience=PATIENCE):
            order.append("alone")
    thread.join()
    assert order == ["the neighbour left", "alone"]


def test_it_does_not_wait_for_ever_and_lets_others_in_again() -> None:
    room = Room()
    with room.enter(), room.enter():
        with pytest.raises(InProgressError, match="free"), room.alone(patience=0):
            pass
        with room.enter():
            pass


def test_only_one_waits_to_be_alone() -> None:
    room, others = Room(), pytest.raises(InProgressError, match="other work")
    with room.enter(), room.alone(patience=0), others, room.alone(patience=0):
        pass
