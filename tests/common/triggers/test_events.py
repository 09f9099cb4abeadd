"""What is an event, and a sentence for what is none."""

import contextlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import MalformedError, NothingToDoError
from common.idempotency import Outcome, Work
from common.process import tables
from common.triggers.events import MAX_BYTES, NUMBER, Event, event, parse, readable


@event("order.placed", fields={"order_id": str, "total": NUMBER, "cart_id?": str, "gift?": bool})
def order_placed(placed: Event, work: Work) -> Outcome:
    return Outcome()


@event("user.logged_in", fields={})
def user_logged_in(seen: Event, work: Work) -> Outcome:
    return Outcome()


SCHEMAS = {"order.placed": order_placed, "user.logged_in": user_logged_in}
ORDER: dict[str, Any] = {
    "event_id": "e1",
    "event_type": "order.placed",
    "user_id": "u1",
    "payload": {"order_id": "o1", "total": 12.5},
}


def read(**changes: Any) -> Event:
    """The order with these changes; None as a value removes a field."""
    fields = {name: value for name, value in {**ORDER, **changes}.items() if value is not None}
    return parse(json.dumps(fields).encode(), SCHEMAS)


def test_a_good_event_is_read() -> None:
    event = read(occurred_at="2026-11-21T02:00:00+01:00", more="kept out of the way")
    assert (event.event_id, event.user_id, event.payload["total"]) == ("e1", "u1", 12.5)
    assert event.occurred_at == datetime(2026, 11, 21, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "given", ["", " ", "yesterday", "2026-01-01T00:00:00", "2026-01-01", 7, [], {}, True, None]
)
def test_an_event_whose_time_cannot_be_read_is_an_event_without_one(given: Any) -> None:
    data = json.dumps({**ORDER, "occurred_at": given}).encode()
    event = parse(data, SCHEMAS)
    assert (event.occurred_at, event.raw) == (None, data)


def test_a_time_in_lower_case_is_a_time() -> None:
    assert read(occurred_at="2026-11-26t10:00:00z").occurred_at == datetime(
        2026, 11, 26, 10, tzinfo=UTC
    )


def test_it_is_about_the_ids_that_its_type_declares() -> None:
    order = {"order_id": "o1", "cart_id": "c1", "total": 1, "visitor_id": "v1"}
    assert read(payload=order).origin.about == ["o1", "c1"]
    assert read(payload={**order, "cart_id": None}).origin.about == ["o1"]


def test_an_unknown_type_is_no_mistake() -> None:
    with pytest.raises(NothingToDoError, match=r"'parrot.squawked' is no type of event"):
        read(event_type="parrot.squawked", payload=None, user_id=None)


def test_a_type_without_required_fields_needs_no_payload() -> None:
    event = read(event_type="user.logged_in", payload=None)
    assert event.payload == {}


def test_identity_ignores_when_it_was_stamped() -> None:
    one, other = read(occurred_at="2026-01-01T00:00:00Z"), read()
    assert one.identity == other.identity


@pytest.mark.parametrize(
    "changes",
    [
        {"user_id": "u2"},
        {"payload": {"order_id": "o1", "total": 13}},
        {"payload": {"order_id": "o1", "total": 12.5, "more": None}},
        {"event_type": "user.logged_in"},
    ],
)
def test_identity_is_the_type_the_user_and_the_whole_payload(changes: dict[str, Any]) -> None:
    assert read(**changes).identity != read().identity


def test_what_the_function_does_not_know_of_a_payload_is_kept() -> None:
    payload = {"order_id": "o", "total": 1, "more": [{"a": None}]}
    assert read(payload=payload).payload == payload


def test_a_field_outside_of_the_payload_is_nobodys() -> None:
    assert read(email="ada@example.com").identity == read().identity


def test_an_event_is_kept_as_received_with_the_dead_letter_it_replays() -> None:
    data = b'{"event_id": "e", "event_type": "user.logged_in",  "user_id": "u"}'
    event = parse(data, SCHEMAS, replay_of="letter-1")
    assert (event.raw, event.replay_of) == (data, "letter-1")


@pytest.mark.parametrize("field", ["cart_id", "gift"])
@pytest.mark.parametrize("value", [None, ""])
def test_an_optional_field_may_be_null_or_empty(field: str, value: str | None) -> None:
    payload = {"order_id": "o", "total": 1, field: value}
    assert read(payload=payload).payload == payload


def test_an_optional_field_may_be_missing() -> None:
    assert read(payload={"order_id": "o", "total": 1}).payload == {"order_id": "o", "total": 1}


@pytest.mark.parametrize("total", [0, -1.5, 12.5, 2**53, -(2**53)])
def test_a_number_may_be_any_that_a_double_holds(total: float) -> None:
    assert read(payload={"order_id": "o", "total": total}).payload["total"] == total


@pytest.mark.parametrize(
    ("time", "read_as"),
    [
        ("2026-11-21T02:00:00Z", datetime(2026, 11, 21, 2, tzinfo=UTC)),
        ("2026-11-21T02:00:00.5+01:00", datetime(2026, 11, 21, 1, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-11-21T02:00:00-23:59", datetime(2026, 11, 22, 1, 59, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_in_its_zone_and_kept_in_utc(time: str, read_as: datetime) -> None:
    occurred_at = read(occurred_at=time).occurred_at
    assert (occurred_at, occurred_at and occurred_at.tzinfo) == (read_as, UTC)


class TestDeclaration:
    def test_it_says_what_the_handler_is_for_and_can_be_called_like_it(self) -> None:
        work: Any = object()
        assert (order_placed.name, order_placed(read(), work)) == ("order.placed", Outcome())

    def test_unless_it_says_otherwise_it_is_run_again(self) -> None:
        assert order_placed.on_unknown_outcome == "rerun"

    def test_it_may_say_otherwise(self) -> None:
        @event("t", fields={}, on_unknown_outcome="hold")
        def held(seen: Event, work: Work) -> Outcome:
            return Outcome()

        assert held.on_unknown_outcome == "hold"

    def test_declaring_it_lists_it_nowhere(self) -> None:
        made = event("t", fields={})(lambda seen, work: Outcome())
        assert made not in tables.listed(type(made))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"event_id": None}, "event_id is missing or null, not a non-empty string"),
        ({"event_id": "  "}, "event_id is empty, not a non-empty string"),
        ({"event_id": 7}, "event_id is a number, not a non-empty string"),
        ({"event_id": "x" * 2049}, "event_id has 2049 bytes, more than 2048"),
        ({"user_id": ["u"]}, "user_id is a list, not a non-empty string"),
        ({"event_type": True}, "event_type is a boolean, not a non-empty string"),
        ({"payload": None}, "payload is missing or null, not an object"),
        ({"payload": []}, "payload is a list, not an object"),
        ({"payload": {"total": 1}}, "payload.order_id is missing or null, not a non-empty string"),
        ({"payload": {"order_id": "o"}}, "payload.total is missing or null, not a number"),
        ({"payload": {"order_id": "o", "total": True}}, "payload.total is a boolean, not a number"),
        ({"payload": {"order_id": "o", "total": "12"}}, "payload.total is a string, not a number"),
        ({"payload": {"order_id": "o", "total": ""}}, "payload.total is a string, not a number"),
        (
            {"payload": {"order_id": "", "total": 1}},
            "payload.order_id is empty, not a non-empty string",
        ),
        (
            {"payload": {"order_id": 7, "total": 1}},
            "payload.order_id is a number, not a non-empty string",
        ),
        ({"payload": {"order_id": "o", "total": -(2**60)}}, "payload.total is out of range"),
        (
            {"payload": {"order_id": "o", "total": 1, "cart_id": 7}},
            "payload.cart_id is a number, not a non-empty string",
        ),
        (
            {"payload": {"order_id": "o", "total": 1, "gift": 1}},
            "payload.gift is a number, not a boolean",
        ),
        ({"payload": {"order_id": "o", "total": 2**60}}, "payload.total is out of range"),
        (
            {"payload": {"order_id": "o", "total": 1, "gift": "yes"}},
            "payload.gift is a string, not a boolean",
        ),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(MalformedError) as refused:
        read(**changes)
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"\xff",
        b'{"a": NaN}',
        b'{"a": 1e400}',
        b'{"a": "\\ud800"}',
        b"[" * 100_000,
        b"9" * 5000,
        b" " * (MAX_BYTES + 1),
    ],
)
def test_hostile_bytes_are_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError):
        parse(data, SCHEMAS)


def test_what_is_nested_without_end_is_malformed_and_no_accident() -> None:
    payload = b'{"order_id": "o", "total": 1, "more": ' + b"[" * 600 + b"]" * 600 + b"}"
    data = b'{"event_id": "e", "event_type": "order.placed", "user_id": "u", "payload": %s}'
    with pytest.raises(MalformedError, match="more than 100 levels"):
        parse(data % payload, SCHEMAS)


class TestReadable:
    def test_the_ids_of_an_event_that_is_refused_are_read_one_by_one(self) -> None:
        data = json.dumps({"event_id": "e1", "event_type": 7, "user_id": "u1"}).encode()
        assert readable(data)[0] == {"event_id": "e1", "user_id": "u1"}

    def test_it_is_this_one_however_often_it_is_stamped(self) -> None:
        one, other = (json.dumps({**ORDER, "occurred_at": it}).encode() for it in ("a", "b"))
        assert readable(one) == readable(other)

    @pytest.mark.parametrize("name", ["event_id", "event_type", "user_id", "payload"])
    def test_with_anything_else_it_is_another(self, name: str) -> None:
        other = json.dumps({**ORDER, name: "another"}).encode()
        assert readable(other)[1] != readable(json.dumps(ORDER).encode())[1]

    @pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"event_id": " "}', b"\xff"])
    def test_without_an_id_its_data_makes_it_this_one(self, data: bytes) -> None:
        assert readable(data) == ({}, None)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_event_or_malformed(data: bytes) -> None:
    with contextlib.suppress(MalformedError, NothingToDoError):
        parse(data, SCHEMAS)


def booked(starts_at: object) -> Event:
    """An event with a time in its payload."""
    return read(payload={**ORDER["payload"], "starts_at": starts_at})


def test_a_time_of_the_payload_keeps_the_zone_that_it_was_given_in() -> None:
    starts_at = booked("2027-03-01T10:30:00+01:00").time("starts_at")
    assert starts_at.isoformat() == "2027-03-01T10:30:00+01:00"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (None, "payload.starts_at: None is not an RFC 3339 time"),
        ("soon", "payload.starts_at: 'soon' is not an RFC 3339 time"),
        (
            "2027-03-01T10:30:00",
            "payload.starts_at: '2027-03-01T10:30:00' is not an RFC 3339 time",
        ),
    ],
)
def test_what_is_no_time_is_said_with_the_name_of_the_field(given: object, sentence: str) -> None:
    with pytest.raises(MalformedError) as refused:
        booked(given).time("starts_at")
    assert str(refused.value) == sentence
