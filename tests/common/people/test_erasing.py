"""Erasing a person: what is deleted, what is stripped, and what is left alone."""

from typing import Any

import pytest

from common import idempotency
from common.cloud import firestore
from common.cloud.firestore import Create, Merge
from common.cloud.memory import MemoryFirestore
from common.errors import LostClaimError, PermanentError, TransientError
from common.idempotency import Job, Outcome, Work
from common.idempotency.origin import Origin
from common.people import marks
from common.people.erasing import PAGE, Report, erase
from common.people.personal_data import Held, PersonalData, of_everybody

pytestmark = pytest.mark.usefixtures("documents")
CLINIC = PersonalData(
    name="clinic",
    document=lambda user_id: f"patients/{user_id}",
    addresses=lambda user_id: [f"{user_id}@example.com"],
    held=(
        of_everybody("visits"),
        Held(name="notes", collection=lambda user_id: f"patients/{user_id}/notes", user_field=None),
    ),
)
SECRET = "everything about ada"
KEPT: dict[str, dict[str, Any]] = {
    "reminders/checkup:ada": {"state": "pending", "payload": {"text": SECRET}, "generation": 1},
    "sends/k-1": {"content": SECRET.encode()},
    "messages/k-2": {"to": SECRET, "subject": SECRET, "text": SECRET, "more": SECRET},
    "dead_letters/d-1": {"payload": SECRET, "error": SECRET, "state": "open", "more": SECRET},
    "visits/v-1": {"why": SECRET},
    "idempotency/i-1": {"state": "done", "result": SECRET, "error": SECRET, "more": SECRET},
}  # fmt: skip


def store(user_id: str = "ada") -> None:
    """A person of whom everything is kept."""
    writes = [
        Create(path=f"{path}{user_id}", fields={**it, "user_id": user_id})
        for path, it in KEPT.items()
    ]
    notes = Create(path=f"patients/{user_id}/notes/1", fields={"text": SECRET})
    patient = Create(path=f"patients/{user_id}", fields={"name": SECRET})
    firestore.commit([*writes, notes, patient])


def erased(user_id: str = "ada") -> Report:
    return erase(user_id, CLINIC, wait=lambda seconds: None)


def job(**fields: Any) -> Job:
    about: dict[str, Any] = {"scope": "consumer", "key": "e-1", "identity": 1, "payload": b"{}"}
    return Job(**about, origin=Origin(user_id="ada"), **fields)


def test_nothing_that_is_known_of_a_person_is_left(documents: MemoryFirestore) -> None:
    store()
    erased()
    assert SECRET not in repr(documents.documents())
    assert SECRET.encode() not in repr(documents.documents()).encode()
    left = {path.partition("/")[0] for path in documents.documents()}
    assert left == {"messages", "dead_letters", "idempotency", "erased"}


def test_what_others_have_is_left_as_it_is(documents: MemoryFirestore) -> None:
    store("bob")
    before = documents.documents()
    store()
    erased()
    after = documents.documents()
    assert {path: after[path] for path in before} == before


def test_the_mark_is_there_before_anything_is_deleted_and_a_lease_passes(
    documents: MemoryFirestore,
) -> None:
    store()
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        assert marks.is_erased("ada")
        assert marks.read(addresses=["ada@example.com"]).is_erased
        assert "patients/ada" in documents.documents()

    erase("ada", CLINIC, pause=90, wait=wait)
    assert waited == [90]


def test_a_report_says_what_was_found_and_a_second_run_finds_nothing_more() -> None:
    store()
    first = erased()
    assert first.deleted == {"reminders": 1, "sends": 1, "visits": 1, "notes": 1, "user": 1}
    assert first.stripped == {"messages": 1, "dead_letters": 1, "idempotency": 1}
    second = erased()
    assert set(second.deleted.values()) | set(second.stripped.values()) == {0}
    assert first.marks == second.marks == 2


def test_a_letter_is_discarded_and_cannot_be_replayed(documents: MemoryFirestore) -> None:
    store()
    erased()
    letter = documents.documents()["dead_letters/d-1ada"]
    assert (letter["state"], letter["payload_truncated"]) == ("discarded", True)


def test_more_than_a_page_is_found(documents: MemoryFirestore) -> None:
    for number in range(2 * PAGE + 1):
        fields = {"user_id": "ada", "text": SECRET}
        path = f"messages/{number:04}"
        firestore.commit([Create(path=path, fields=fields)])
    assert erased().stripped["messages"] == 2 * PAGE + 1


def test_a_field_of_any_name_is_removed(documents: MemoryFirestore) -> None:
    firestore.commit([Create(path="messages/1", fields={"user_id": "ada", "a.b `c`": SECRET})])
    erased()
    assert documents.documents()["messages/1"].keys() == {"user_id", "to", "subject", "text"}


def test_what_changes_meanwhile_is_erased_as_it_is_then(documents: MemoryFirestore) -> None:
    store()
    documents.mishaps = ["none", "none", "conflict", "none", "conflict"]
    erased()
    assert SECRET not in repr(documents.documents())


def test_a_handler_that_is_under_way_can_write_nothing_any_more(
    documents: MemoryFirestore,
) -> None:
    """Also one that was paused for longer than its lease."""

    def handler(work: Work) -> Outcome:
        documents.advance(1000)
        erased()
        return Outcome(writes=[Merge(path="messages/m-1", fields={"text": SECRET})])

    with pytest.raises(LostClaimError):
        idempotency.run(job(), handler)
    assert "messages/m-1" not in documents.documents()
    assert idempotency.run(job(), never).status == "duplicate"


def test_work_that_waits_is_settled(documents: MemoryFirestore) -> None:
    def failing(work: Work) -> Outcome:
        raise TransientError(SECRET)

    with pytest.raises(TransientError):
        idempotency.run(job(), failing)
    erased()
    assert SECRET not in repr(documents.documents())
    assert idempotency.run(job(), never).status == "duplicate"


def test_work_that_was_given_up_stays_given_up(documents: MemoryFirestore) -> None:
    def failing(work: Work) -> Outcome:
        raise PermanentError(SECRET)

    idempotency.run(job(), failing)
    erased()
    assert SECRET not in repr(documents.documents())
    assert idempotency.run(job(), never).status == "dead_lettered"


def never(work: Work) -> Outcome:
    raise AssertionError("the handler ran")


def test_a_record_stays_that_of_whatever_was_accepted_for_it(documents: MemoryFirestore) -> None:
    """Else a late original would be another's input, and its letter would hold it again."""
    kept = {"state": "done", "fingerprint": "1", "accepted": ["2"], "part_of": "e-0"}
    firestore.commit([Create(path="idempotency/i-1", fields={"user_id": "ada", **kept})])
    erased()
    assert (
        documents.documents()["idempotency/i-1"] | kept == documents.documents()["idempotency/i-1"]
    )
