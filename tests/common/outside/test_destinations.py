"""Whom we call: whether they have accepted others lately, and whether they are asked at all."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest

from common.cloud import firestore
from common.cloud.memory import MemoryFirestore
from common.errors import (
    AmbiguousRefusalError,
    DeferredError,
    InProgressError,
    PermanentError,
    UnavailableError,
)
from common.outside import destinations
from common.outside.breaker import OPENS_AFTER, Moment
from common.outside.destinations import LATELY, WRITTEN_EVERY, Acceptances, named, reach

MAIL = named("https://mail.example", "http", "https://mail.example/send", "a key")
OTHER_KEY = named("https://mail.example", "http", "https://mail.example/send", "another key")


def accept() -> None:
    """A call that is accepted."""


def raising(error: Exception) -> Callable[[], None]:
    """A call that ends so."""

    def call() -> None:
        raise error

    return call


REFUSE = raising(AmbiguousRefusalError("The other side answered 422: no"))


def write_acceptances(documents: MemoryFirestore) -> int:
    """Commit what an effect's mark would; how many documents that are."""
    writes = destinations.acceptances(documents.now)
    if writes:
        firestore.commit(writes)
    return len(writes)


def test_a_destination_is_its_configuration_and_shows_none_of_it() -> None:
    assert MAIL != OTHER_KEY
    assert named("https://mail.example", "http", "https://mail.example/send", "a key") == MAIL
    assert "key" not in repr(MAIL)


def test_a_refusal_is_the_messages_fault_where_others_are_accepted() -> None:
    reach(MAIL, accept)
    with pytest.raises(PermanentError, match="422: no Others were accepted"):
        reach(MAIL, REFUSE)


def test_where_nobody_was_accepted_the_work_waits() -> None:
    with pytest.raises(AmbiguousRefusalError):
        reach(MAIL, REFUSE)


def test_what_another_key_accepted_says_nothing() -> None:
    reach(OTHER_KEY, accept)
    with pytest.raises(AmbiguousRefusalError):
        reach(MAIL, REFUSE)


def test_what_another_process_saw_accepted_counts(documents: MemoryFirestore) -> None:
    reach(MAIL, accept)
    assert write_acceptances(documents) == 1
    with destinations.fresh(), pytest.raises(PermanentError):
        reach(MAIL, REFUSE)


def test_an_acceptance_counts_for_an_hour(documents: MemoryFirestore) -> None:
    firestore.read("destinations/any")
    reach(MAIL, accept)
    write_acceptances(documents)
    documents.advance(LATELY.total_seconds() - 1)
    with destinations.fresh(), pytest.raises(PermanentError):
        reach(MAIL, REFUSE)
    documents.advance(2)
    firestore.read("destinations/any")
    with pytest.raises(AmbiguousRefusalError):
        reach(MAIL, REFUSE)
    with destinations.fresh(), pytest.raises(AmbiguousRefusalError):
        reach(MAIL, REFUSE)


def test_where_the_memory_cannot_be_read_the_work_waits() -> None:
    class Down(MemoryFirestore):
        def read_all(self, paths: object) -> list[firestore.Snapshot]:
            raise UnavailableError("down")

    with firestore.using(Down()), pytest.raises(AmbiguousRefusalError):
        reach(MAIL, REFUSE)


def test_the_document_names_nothing_secret(documents: MemoryFirestore) -> None:
    reach(MAIL, accept)
    now = documents.now
    write_acceptances(documents)
    ((path, fields),) = documents.documents("destinations").items()
    assert path == f"destinations/{MAIL.id}"
    assert fields == {
        "name": "https://mail.example",
        "accepted_at": now,
        "expire_at": now + timedelta(days=7),
    }


@dataclass
class Clock:
    """Time goes on when the test says so."""

    now: float = 0.0

    def __call__(self) -> Moment:
        return Moment(self.now)


def test_an_acceptance_is_written_once_a_minute_at_most() -> None:
    clock = Clock()
    memory = Acceptances(clock)
    memory.note(MAIL)
    assert (memory.due(), memory.due()) == ([MAIL], [])
    memory.note(MAIL)
    clock.now += WRITTEN_EVERY - 1
    assert memory.due() == []
    clock.now += 1
    assert (memory.due(), memory.due()) == ([MAIL], [])


@pytest.mark.parametrize(
    "error", [AmbiguousRefusalError(), DeferredError(), PermanentError("no such mailbox")]
)
def test_what_is_about_one_message_opens_nothing(error: Exception) -> None:
    for _ in range(OPENS_AFTER + 1):
        with pytest.raises(type(error)):
            reach(MAIL, raising(error))
    destinations.ensure_open(MAIL)


def test_a_refusal_is_no_acceptance() -> None:
    for error in (AmbiguousRefusalError(), DeferredError(), PermanentError()):
        with pytest.raises(type(error)):
            reach(MAIL, raising(error))
    assert not destinations.has_accepted_lately(MAIL)


def take_down() -> None:
    """The breaker of the destination opens."""
    firestore.read("destinations/any")
    for _ in range(OPENS_AFTER):
        with pytest.raises(UnavailableError):
            reach(MAIL, raising(UnavailableError("down")))


def test_who_is_down_is_not_asked_and_others_are() -> None:
    take_down()
    with pytest.raises(UnavailableError, match="was not asked"):
        reach(MAIL, accept)
    reach(OTHER_KEY, accept)


def test_before_a_claim_an_open_breaker_is_in_progress() -> None:
    destinations.ensure_open(MAIL)
    take_down()
    with pytest.raises(InProgressError, match=r"mail\.example is unavailable") as error:
        destinations.ensure_open(MAIL)
    assert 0 < error.value.retry_after <= 5


def test_before_a_claim_the_servers_time_is_looked_at(documents: MemoryFirestore) -> None:
    """A process all of whose work is refused would see no time pass otherwise."""
    take_down()
    documents.advance(120)
    destinations.ensure_open(MAIL)


def test_half_of_the_threads_are_one_destinations(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("THREADS", "6")
    assert destinations.gate_of(MAIL).places == 3
    assert destinations.gate_of(MAIL) is destinations.gate_of(MAIL)
    assert destinations.gate_of(MAIL) is not destinations.gate_of(OTHER_KEY)
