"""What is asked of Google's client, and what its refusals mean; names as ids, JSON as fields."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from google.api_core import exceptions as google
from hypothesis import given
from hypothesis import strategies as st

from common.cloud import firestore
from common.cloud.firestore import (
    MAX_ID_BYTES,
    Create,
    Delete,
    Merge,
    Snapshot,
    Update,
    Write,
    document_id,
    original_name,
    storable,
    storable_fields,
)
from common.errors import BundleError, PermanentError, RefusedError, TransientError

NOW = datetime(2030, 1, 1, tzinfo=UTC)
LATER = datetime(2030, 1, 2, tzinfo=UTC)


@dataclass
class Client:
    """As much of the client as is used: it keeps what it is asked for, or refuses it."""

    error: Exception | None = None
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    found: list[Any] = field(default_factory=list)
    commit_time: datetime = NOW

    def document(self, path: str) -> Any:
        return Reference(path)

    def get_all(self, references: list[Any], **options: Any) -> Iterator[Any]:
        self._ask("get_all", [it.path for it in references], options)
        return iter(self.found)

    def batch(self) -> "Client":
        return self

    def write_option(self, *, last_update_time: datetime) -> datetime:
        return last_update_time

    def create(self, reference: Any, fields: dict[str, Any]) -> None:
        self.asked.append(("create", reference.path, fields))

    def update(self, reference: Any, fields: dict[str, Any], option: datetime) -> None:
        self.asked.append(("update", reference.path, fields, option))

    def set(self, reference: Any, fields: dict[str, Any], merge: bool) -> None:
        self.asked.append(("set", reference.path, fields, merge))

    def delete(self, reference: Any) -> None:
        self.asked.append(("delete", reference.path))

    def commit(self, **options: Any) -> None:
        self._ask("commit", options)

    def collection(self, name: str) -> "Client":
        self.asked.append(("collection", name))
        return self

    def where(self, *, filter: Any) -> "Client":
        self.asked.append(("where", filter.field_path, filter.op_string, filter.value))
        return self

    def order_by(self, name: str) -> "Client":
        self.asked.append(("order_by", name))
        return self

    def start_after(self, cursor: dict[str, Any]) -> "Client":
        self.asked.append(("start_after", cursor["__name__"].path))
        return self

    def limit(self, count: int) -> "Client":
        self.asked.append(("limit", count))
        return self

    def stream(self, **options: Any) -> Iterator[Any]:
        self._ask("stream", options)
        return iter(self.found)

    def _ask(self, *what: Any) -> None:
        self.asked.append(what)
        if self.error:
            raise self.error


@dataclass(frozen=True)
class Reference:
    """A document's place."""

    path: str


@dataclass(frozen=True)
class Found:
    """A snapshot as the client has it."""

    reference: Reference
    fields: dict[str, Any] | None
    update_time: datetime | None = NOW
    read_time: datetime = LATER

    def to_dict(self) -> dict[str, Any] | None:
        return self.fields


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    made = Client()
    monkeypatch.setattr(firestore, "client", lambda: made)
    monkeypatch.setattr(firestore, "_latest", None)
    return made


def commit() -> None:
    firestore.commit([Create(path="a/1", fields={"n": 1})])


def read() -> None:
    firestore.read("a/1")


def query() -> None:
    list(firestore.query("a"))


def raised(client: Client, error: Exception, call: Any) -> type[BundleError]:
    """What a call raises that the service refuses so."""
    client.error = error
    with pytest.raises(BundleError) as translated:
        call()
    assert translated.value.__cause__ is error
    return type(translated.value)


RETRY_ERROR = google.RetryError("timeout", cause=google.ServiceUnavailable("x"))
PASSING = [
    google.Aborted("x"),
    google.ServiceUnavailable("x"),
    google.TooManyRequests("x"),
    google.DeadlineExceeded("x"),
    google.InternalServerError("x"),
    google.Cancelled("x"),
    google.Unknown("x"),
    google.PermissionDenied("x"),
    google.Unauthenticated("x"),
    RETRY_ERROR,
]
REFUSED = [google.AlreadyExists("x"), google.FailedPrecondition("x"), google.NotFound("x")]
NEVER = [google.InvalidArgument("x"), TypeError("x"), ValueError("x")]


@pytest.mark.parametrize("call", [commit, read, query])
@pytest.mark.parametrize("error", PASSING, ids=repr)
def test_what_may_pass_is_worth_another_try(client: Client, call: Any, error: Exception) -> None:
    assert raised(client, error, call) is TransientError


@pytest.mark.parametrize("error", REFUSED, ids=repr)
def test_a_precondition_that_does_not_hold_refuses_the_commit(
    client: Client, error: Exception
) -> None:
    assert raised(client, error, commit) is RefusedError


@pytest.mark.parametrize("call", [commit, read, query])
@pytest.mark.parametrize("error", NEVER, ids=repr)
def test_what_the_service_never_takes_is_permanent(
    client: Client, call: Any, error: Exception
) -> None:
    assert raised(client, error, call) is PermanentError


@pytest.mark.parametrize(("error", "is_retried"), [
    (google.ServiceUnavailable("x"), True),
    (google.TooManyRequests("x"), True),
    (google.Aborted("x"), True),
    (google.FailedPrecondition("x"), False),
    (google.InternalServerError("x"), False),
])  # fmt: skip
def test_a_commit_is_repeated_within_ten_seconds_after_what_surely_passes(
    client: Client, error: Exception, is_retried: bool
) -> None:
    commit()
    (_, options) = client.asked[-1]
    assert options["timeout"] == firestore.RPC_TIMEOUT == 10.0
    assert options["retry"]._predicate(error) is is_retried


@pytest.mark.parametrize(
    ("write", "asked"),
    [
        (Create(path="a/1", fields={"n": 1}), ("create", "a/1", {"n": 1})),
        (Update(path="a/1", fields={"n": 1}, update_time=NOW), ("update", "a/1", {"n": 1}, NOW)),
        (Merge(path="a/1", fields={"n": 1}), ("set", "a/1", {"n": 1}, True)),
        (Delete(path="a/1"), ("delete", "a/1")),
    ],
    ids=lambda it: type(it).__name__,
)
def test_a_write_carries_its_precondition(
    client: Client, write: Write, asked: tuple[object, ...]
) -> None:
    assert firestore.commit([write]) == NOW
    assert client.asked[0] == asked


def test_several_writes_are_one_commit(client: Client) -> None:
    firestore.commit([Merge(path="a/1"), Delete(path="a/2")])
    assert [asked[0] for asked in client.asked] == ["set", "delete", "commit"]


def test_documents_come_in_the_order_of_their_paths(client: Client) -> None:
    client.found = [Found(Reference("a/2"), None, None), Found(Reference("a/1"), {"n": 1})]
    assert firestore.read_all(["a/1", "a/2"]) == [
        Snapshot(path="a/1", data={"n": 1}, update_time=NOW, read_time=LATER),
        Snapshot(path="a/2", data={}, update_time=None, read_time=LATER),
    ]


def test_the_latest_time_is_that_of_the_last_answer_of_the_server(client: Client) -> None:
    assert firestore.latest_time() is None
    commit()
    assert firestore.latest_time() == NOW
    client.found = [Found(Reference("a/1"), {})]
    firestore.read("a/1")
    assert firestore.latest_time() == LATER


def test_a_query_goes_by_id_and_on_after_a_document(client: Client) -> None:
    list(firestore.query("a", ("n", "==", 1), limit=7, after="x"))
    assert client.asked[:-1] == [
        ("collection", "a"),
        ("where", "n", "==", 1),
        ("order_by", "__name__"),
        ("start_after", "a/x"),
        ("limit", 7),
    ]


def test_a_query_of_a_range_goes_by_its_field(client: Client) -> None:
    list(firestore.query("a", ("at", "<", NOW)))
    assert [asked[0] for asked in client.asked] == ["collection", "where", "stream"]


def test_what_was_read_is_written_provided_it_is_still_so() -> None:
    found = Snapshot(path="a/1", data={"n": 1}, update_time=NOW, read_time=LATER)
    assert found.write({"n": 2}) == Update(path="a/1", fields={"n": 2}, update_time=NOW)


def test_what_was_not_there_is_written_provided_it_is_still_not_there() -> None:
    found = Snapshot(path="a/1", data={}, update_time=None, read_time=LATER)
    assert found.write({"n": 2}) == Create(path="a/1", fields={"n": 2})
    assert not found.exists


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=2000)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=20,
)


@given(names)
def test_an_id_is_legal(name: str) -> None:
    made = document_id(name)
    assert 0 < len(made.encode()) <= MAX_ID_BYTES
    assert "/" not in made
    assert made not in (".", "..")
    assert not (made.startswith("__") and made.endswith("__"))


@given(names)
def test_the_name_can_be_had_back_unless_it_was_too_long(name: str) -> None:
    """So no two names have one id."""
    made = document_id(name)
    assert original_name(made) == (None if made.startswith("%sha256-") else name)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=MAX_ID_BYTES // 12))
def test_no_name_of_ordinary_length_is_too_long(name: str) -> None:
    assert original_name(document_id(name)) == name


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("cart-1", "cart-1"),
        ("a/b", "a%2Fb"),
        ("a%2Fb", "a%252Fb"),
        (".", "%2E"),
        ("..", "%2E."),
        ("__x__", "%5F_x__"),
        ("ü", "ü"),
    ],
)
def test_an_ordinary_name_stays_and_a_hostile_one_is_escaped(name: str, made: str) -> None:
    assert document_id(name) == made


def test_two_names_too_long_to_keep_stay_apart() -> None:
    one, other = document_id("x" * 3000), document_id("x" * 3001)
    assert one != other
    assert original_name(one) is None


@given(json_values)
def test_what_is_stored_is_what_firestore_can_hold(value: object) -> None:
    assert _can_be_held(storable(value))


@given(json_values.filter(lambda value: _can_be_held(value)))
def test_what_firestore_can_hold_is_stored_as_it_is(value: object) -> None:
    assert storable(value) == value


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = {"a": value}
    return value


def test_what_is_nested_too_deep_becomes_its_json_text() -> None:
    stored = storable(nested(25))
    for _ in range(10):
        stored = stored["a"]
    assert stored == json.dumps(nested(15))


@given(st.dictionaries(st.text(max_size=5).filter(lambda it: it != "more"), json_values))
def test_no_field_is_lost(payload: dict[str, object]) -> None:
    made = storable_fields(payload)
    odd = {name: value for name, value in payload.items() if name not in made}
    assert made.keys() - payload.keys() == ({"more"} if odd else set())
    assert not odd or json.loads(made["more"]) == odd


def test_a_field_that_has_the_name_of_the_rest_is_not_lost_either() -> None:
    assert storable_fields({"more": 1}) == {"more": 1}
    made = storable_fields({"more": 1, "a": 2, "": 3})
    assert made.keys() == {"a", "more"}
    assert json.loads(made["more"]) == {"": 3, "more": 1}


def test_what_firestore_cannot_hold_becomes_its_json_text() -> None:
    value = {"ok": [1, {"a": 2}], "nested": [[1]], "large": 2**70, "odd": {"__x__": 1, "": 2}}
    stored = storable(value)
    assert stored["ok"] == [1, {"a": 2}]
    assert {name: json.loads(stored[name]) for name in ("nested", "large", "odd")} == {
        name: value[name] for name in ("nested", "large", "odd")
    }


def test_fields_without_a_legal_name_are_kept_together() -> None:
    made = storable_fields({"a": 1, "": 2, "__x__": [3]})
    assert made == {"a": 1, "more": json.dumps({"": 2, "__x__": [3]})}


def _can_be_held(value: object, in_list: bool = False) -> bool:
    if isinstance(value, dict):
        reserved = [name for name in value if name.startswith("__") and name.endswith("__")]
        return "" not in value and not reserved and all(map(_can_be_held, value.values()))
    if isinstance(value, list):
        return not in_list and all(_can_be_held(item, in_list=True) for item in value)
    return not isinstance(value, int) or -(2**63) <= value < 2**63
