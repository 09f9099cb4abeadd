"""Whatever kind of id is asked for, what belongs to it is found, in the order of events."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from common.cloud import firestore
from common.cloud.firestore import Merge, Query, Snapshot
from common.cloud.memory import MemoryFirestore
from common.idempotency.record import record_id
from operations.errors import NotFoundError
from operations.things import finding, timeline
from operations.things.finding import Question


def write(path: str, **fields: Any) -> None:
    firestore.commit([Merge(path=path, fields=fields)])


@pytest.fixture
def cloud(memory: MemoryFirestore) -> MemoryFirestore:
    """An event of ada's that caused a message and a reminder, which rang and caused another."""
    start = memory.now
    event = f"idempotency/{record_id('consumer', 'e-1')}"
    write(event, scope="consumer", key="e-1", state="done", first_seen=start, about=["o-1", "c-1"])
    write(
        "messages/m-1", template="welcome", cause="e-1", user_id="ada", state="sent", sent_at=start
    )
    history = [{"at": start, "what": "scheduled"}]
    reminder = {"reminder_id": "cart:c-1", "state": "sent", "cause": "e-1", "generation": 7}
    write("reminders/cart:c-1", **reminder, history=history, user_id="ada", alarm={"task": "t-1"})
    memory.advance(7200)
    ring = f"idempotency/{record_id('reminder', 'cart:c-1:7')}"
    later = start + timedelta(hours=2)
    write(ring, scope="reminder", key="cart:c-1:7", state="done", first_seen=later)
    fields = {"cause": "cart:c-1:7", "user_id": "ada", "state": "sent", "sent_at": later}
    write("messages/m-2", template="cart", **fields)
    write("users/ada", email="ada@shop.example", signed_up_at=start)
    return memory


def told(asked: str) -> list[str]:
    return [f"{entry.what} {entry.id}" for entry in timeline.of(asked).timeline]


ALL = {"message welcome m-1", "reminder scheduled cart:c-1", "message cart m-2"}


LATE = {"message cart m-2"}


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ("e-1", ALL),
        ("o-1", ALL),
        ("c-1", ALL),
        ("ada", ALL),
        ("cart:c-1", LATE),
        ("m-2", LATE),
        ("t-1", LATE),
        ("cart:c-1:7", LATE),
    ],
)
def test_any_id_leads_to_all_that_belongs_to_it(
    cloud: MemoryFirestore, asked: str, wanted: set[str]
) -> None:
    assert wanted <= set(told(asked))


def test_it_is_told_in_the_order_in_which_it_happened(cloud: MemoryFirestore) -> None:
    entries = timeline.of("e-1").timeline
    assert entries[0].what == "came to consumer"
    seconds = [int(entry.at.timestamp()) for entry in entries]
    assert seconds == sorted(seconds)


def test_what_has_the_id_comes_first(cloud: MemoryFirestore) -> None:
    assert timeline.of("ada").things[0].kind == "user"
    assert timeline.of("e-1").things[0].kind == "work of consumer"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Query]:
    """Every question that is asked from now on."""
    questions: list[Query] = []
    query = MemoryFirestore.query

    def counted(self: MemoryFirestore, given: Query) -> Iterator[Snapshot]:
        questions.append(given)
        return query(self, given)

    monkeypatch.setattr(MemoryFirestore, "query", counted)
    return questions


def test_no_collection_is_read_whole(cloud: MemoryFirestore, asked: list[Query]) -> None:
    timeline.of("e-1")
    operators = {operator for question in asked for _, operator, _ in question.filters}
    assert operators == {"==", "array_contains", "in"}
    assert all(question.filters and question.limit for question in asked)


def test_much_work_of_one_person_takes_few_questions(
    memory: MemoryFirestore, asked: list[Query]
) -> None:
    for number in range(100):
        key = f"e-{number}"
        path = f"idempotency/{record_id('consumer', key)}"
        write(path, scope="consumer", key=key, state="done", user_id="ada", first_seen=memory.now)
        write(f"messages/m-{number}", cause=key, state="sent", sent_at=memory.now)
    assert len(timeline.of("ada").things) == 200
    assert len(asked) < 50


def test_the_documents_of_the_bundle_that_an_event_is_about_are_shown(
    memory: MemoryFirestore,
) -> None:
    path = f"idempotency/{record_id('consumer', 'e-1')}"
    write(path, scope="consumer", key="e-1", state="done", user_id="ada", about=["o-1", "c/1"])
    write("carts/c%2F1", state="purchased", user_id="ada", purchased_at=memory.now)
    write("users/ada/orders/o-1", total=5, user_id="ada", placed_at=memory.now)
    found = timeline.of("o-1")
    assert {(it.kind, it.id, it.state) for it in found.things} == {
        ("work of consumer", "e-1", "done"),
        ("cart", "c/1", "purchased"),
        ("order", "o-1", ""),
    }
    assert {entry.what for entry in found.timeline} >= {"cart purchased", "order placed"}


def test_what_is_owed_is_what_happens_next(memory: MemoryFirestore) -> None:
    until = memory.now + timedelta(minutes=5)
    owed = {"name": "mail", "reason": "unavailable", "tries": 3, "until": until, "error": "503"}
    path = f"idempotency/{record_id('consumer', 'e-1')}"
    write(path, scope="consumer", key="e-1", state="waiting", owed={"a": owed})
    found = timeline.of("e-1")
    assert found.things[0].now == "mail waits: unavailable, 3 tries, 503"
    assert [(each.what, each.at) for each in found.next] == [("mail is tried again", until)]


def test_an_open_letter_waits_for_somebody(memory: MemoryFirestore) -> None:
    write(
        "dead_letters/d-1", state="open", reason="permanent", event_id="e-1", last_seen=memory.now
    )
    (ahead,) = timeline.of("e-1").next
    assert "dead-letters replay d-1" in ahead.what


def test_an_id_that_leads_nowhere_is_said_so(memory: MemoryFirestore) -> None:
    with pytest.raises(NotFoundError, match="nothing is known of x"):
        timeline.of("x")


@pytest.mark.parametrize("asked", ["a/b", "..", "__x__", "x" * 3000, "日本", "a\nb", "*"])
def test_any_text_may_be_asked_for(memory: MemoryFirestore, asked: str) -> None:
    with pytest.raises(NotFoundError):
        timeline.of(asked)


def test_a_document_that_is_not_as_it_should_be_is_shown_all_the_same(
    memory: MemoryFirestore,
) -> None:
    strange: dict[str, Any] = {"state": 7, "history": "none", "owed": [1], "steps": {"a": 1}}
    for collection in ("reminders", "messages", "dead_letters", "fanouts", "carts", "users"):
        write(f"{collection}/x", **strange)
    write(f"idempotency/{record_id('consumer', 'x')}", **strange)
    assert len(timeline.of("x").things) == 7


def test_for_a_person_it_is_printed_in_lines(
    cloud: MemoryFirestore, capsys: pytest.CaptureFixture[str]
) -> None:
    timeline.tell(timeline.of("e-1"))
    printed = capsys.readouterr().out
    assert printed.startswith("work of consumer e-1  done\n")
    assert "message welcome m-1 sent" in printed


def test_what_leads_back_is_followed_once(
    cloud: MemoryFirestore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message leads to its cause, and that to the message."""
    seen = [thing.id for thing in timeline.of("e-1").things]
    assert len(seen) == len(set(seen))
    followed = list[str]()
    leads = finding._leads

    def follow(found: Snapshot) -> Iterator[str | Question]:
        followed.append(found.path)
        return leads(found)

    monkeypatch.setattr(finding, "_leads", follow)
    timeline.of("e-1")
    assert len(followed) == len(set(followed))


def test_a_message_leads_to_its_cause(cloud: MemoryFirestore) -> None:
    assert "work of consumer" in {thing.kind for thing in timeline.of("m-1").things}
