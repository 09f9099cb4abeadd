"""Marks of erased people: who is marked, what they refuse, and what lifts them."""

from datetime import timedelta

import pytest

from common.cloud import firestore
from common.cloud.firestore import Create, Merge
from common.cloud.memory import MemoryFirestore
from common.errors import NothingToDoError, RefusedError
from common.people import marks

pytestmark = pytest.mark.usefixtures("documents")
ADDRESS = "ada@example.com"


def test_nobody_is_erased_before_the_first_erasure(documents: MemoryFirestore) -> None:
    assert not marks.is_erased("u-1")
    assert not marks.read(addresses=[ADDRESS]).is_erased
    assert documents.documents() == {}


def test_an_erased_user_is_known_by_id_and_by_address() -> None:
    assert marks.mark("u-1", [ADDRESS]) == 2
    assert marks.is_erased("u-1")
    assert not marks.is_erased("u-2")
    assert not marks.read(addresses=["bob@example.com"]).is_erased


@pytest.mark.parametrize("written", [ADDRESS, " Ada@Example.COM\n"])
def test_an_address_is_the_same_however_its_letters_are_written(written: str) -> None:
    marks.mark("u-1", [ADDRESS])
    assert marks.read(addresses=[written]).is_erased


def test_a_user_is_not_an_address() -> None:
    marks.mark(ADDRESS, [])
    assert not marks.read(addresses=[ADDRESS]).is_erased


def test_nothing_in_a_mark_leads_to_a_person(documents: MemoryFirestore) -> None:
    marks.mark("u-1", [ADDRESS])
    assert not any(name in repr(documents.documents()) for name in ("u-1", "@", "example.com"))


def test_the_marks_of_two_databases_have_nothing_in_common() -> None:
    marks.mark("u-1", [])
    with firestore.using(MemoryFirestore()) as other:
        assert not marks.is_erased("u-1")
        marks.mark("u-1", [])
        assert marks.is_erased("u-1")
        paths = set(other.documents())
    marked = {it.path for it in firestore.query("erased")}
    assert marked & paths == {marks.KEY}
    assert marks.is_erased("u-1")


def test_one_read_is_enough_once_the_key_is_known(documents: MemoryFirestore) -> None:
    marks.mark("u-1", [])
    marks.is_erased("u-1")
    before = documents.reads
    found = marks.read(users=["u-1"], addresses=[ADDRESS], others=["users/u-1"])
    assert (documents.reads - before, found.is_erased) == (1, True)
    assert [it.path for it in found.others] == ["users/u-1"]


@pytest.mark.parametrize("earlier", [[], ["u-2"]])
def test_what_was_computed_before_an_erasure_is_not_written_after(
    documents: MemoryFirestore, earlier: list[str]
) -> None:
    for user_id in earlier:
        marks.mark(user_id, [])
    writes = [Create(path="users/u-1", fields={}), *marks.unless_erased("u-1")]
    marks.mark("u-1", [])
    with pytest.raises(RefusedError):
        firestore.commit(writes)
    assert documents.documents("users") == {}


def test_of_whom_nobody_has_erased_it_is_written(documents: MemoryFirestore) -> None:
    marks.mark("u-2", [])
    firestore.commit([Create(path="users/u-1", fields={}), *marks.unless_erased("u-1")])
    assert documents.documents("users") == {"users/u-1": {}}


def test_of_whom_is_erased_nothing_is_computed() -> None:
    marks.mark("u-1", [])
    with pytest.raises(NothingToDoError, match="this user is erased") as raised:
        marks.unless_erased("u-1")
    assert raised.value.status == "skipped"


class TestLifting:
    def test_a_sign_up_after_the_erasure_lifts_the_marks_of_both(
        self, documents: MemoryFirestore
    ) -> None:
        marks.mark("u-1", [ADDRESS])
        since = documents.now + timedelta(seconds=1)
        firestore.commit(marks.lift("u-1", ADDRESS, since))
        assert list(documents.documents("erased")) == [marks.KEY]

    @pytest.mark.parametrize("age", [timedelta(0), timedelta(days=60), None])
    def test_an_older_one_lifts_nothing(
        self, documents: MemoryFirestore, age: timedelta | None
    ) -> None:
        marks.mark("u-1", [ADDRESS])
        since = None if age is None else documents.now - age
        documents.advance(3600)
        with pytest.raises(NothingToDoError):
            marks.lift("u-1", ADDRESS, since)

    def test_one_that_was_read_before_another_erasure_lifts_nothing(
        self, documents: MemoryFirestore
    ) -> None:
        marks.mark("u-1", [])
        writes = marks.lift("u-1", ADDRESS, documents.now + timedelta(days=1))
        documents.advance(60)
        marks.mark("u-1", [])
        with pytest.raises(RefusedError):
            firestore.commit(writes)
        assert marks.is_erased("u-1")

    def test_of_somebody_who_is_not_erased_there_is_nothing_to_lift(
        self, documents: MemoryFirestore
    ) -> None:
        firestore.commit([Merge(path="users/u-1"), *marks.lift("u-1", ADDRESS, None)])
        assert list(documents.documents()) == ["users/u-1"]
