"""Events: one declaration for each type, and from bytes to checked values."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from common.errors import MalformedError, NothingToDoError
from common.idempotency import Outcome, Work
from common.idempotency.fields import LARGEST, MAX_TEXT, kind, kind_of, parse_object, text
from common.idempotency.origin import Origin
from common.idempotency.record import OnUnknownOutcome
from common.process import logs, times

MAX_BYTES = 512 * 1024
"""Of an event; Eventarc carries no more, https://docs.cloud.google.com/functions/quotas."""

NUMBER: tuple[type, ...] = (int, float)
"""The type of a payload field: a number, not a boolean, within what a double holds exactly."""

Fields = Mapping[str, type | tuple[type, ...]]
"""Payload fields and their types; a name that ends in `?` may be missing, null or empty."""


class Event(Struct, frozen=True, kw_only=True):
    """One event, checked."""

    event_id: str
    """The producer's id; Pub/Sub's own changes when a message is published again."""
    event_type: str
    user_id: str
    payload: Mapping[str, Any]
    occurred_at: datetime | None
    """When it happened, in UTC; None where the event does not say, or not as an RFC 3339 time."""
    raw: bytes
    """As received."""
    replay_of: str | None = None
    """The id of the dead letter that it replays."""
    origin: Origin = field(default_factory=Origin)
    """What its delivery said of it: attributes, when it was first published."""

    @property
    def identity(self) -> Any:
        """What makes it this event; a producer may stamp `occurred_at` again."""
        return {
            "event_type": self.event_type,
            "user_id": self.user_id,
            "payload": dict(self.payload),
        }

    def time(self, name: str) -> datetime:
        """A field of the payload that must be an RFC 3339 time; its zone is as given.

        Raises MalformedError.
        """
        try:
            return times.parse(self.payload.get(name))
        except ValueError as error:
            raise MalformedError(f"payload.{name}: {error}") from error


Handler = Callable[[Event, Work], Outcome]


class EventType(Struct, frozen=True, kw_only=True):
    """A type of event: what its payload must have, and what is done about it. Made by `event`."""

    name: str
    fields: Fields
    handler: Handler
    on_unknown_outcome: OnUnknownOutcome = "rerun"
    """`hold`: what may have happened already is dead-lettered and not done again, for money."""

    def __call__(self, event: Event, work: Work) -> Outcome:
        """Call the handler, as a test does."""
        return self.handler(event, work)


def event(
    name: str,
    *,
    fields: Fields,
    on_unknown_outcome: OnUnknownOutcome = "rerun",
) -> Callable[[Handler], EventType]:
    """Declare the decorated function as the handler of the events of type `name`.

    The declaration takes effect where a function lists it: `EVENTS = table(appointment_booked, …)`.
    """

    def declare(handler: Handler) -> EventType:
        return EventType(
            name=name,
            fields=fields,
            handler=handler,
            on_unknown_outcome=on_unknown_outcome,
        )

    return declare


def parse(
    data: bytes,
    types: Mapping[str, EventType],
    *,
    replay_of: str | None = None,
    origin: Origin | None = None,
) -> Event:
    """The event in a message's data; `origin` is what the message said beside it.

    Raises MalformedError: one sentence that names the field; and NothingToDoError (`ignored`) for
    an event of a type that `types` does not name.
    """
    given = parse_object(data, "the event", MAX_BYTES)
    logs.bind(**_ids(given))
    event_type = text(given, "event_type")
    if event_type not in types:
        raise NothingToDoError("ignored", f"{event_type!r:.100} is no type of event handled here")
    event_id, user_id = text(given, "event_id"), text(given, "user_id")
    payload = _payload(given, types[event_type].fields)
    about = _about(payload, types[event_type].fields)
    return Event(
        event_id=event_id,
        event_type=event_type,
        user_id=user_id,
        payload=payload,
        occurred_at=_occurred_at(given),
        raw=data,
        replay_of=replay_of,
        origin=replace(origin or Origin(), **_ids(given), about=about),
    )


def readable(data: bytes) -> tuple[dict[str, Any], Any]:
    """The ids that can be read of a refused event, and what makes it this one (None: its data).

    An event that a producer stamps again is still the same, if it has an id.
    """
    try:
        given = parse_object(data, "the event", MAX_BYTES)
    except MalformedError:
        return {}, None
    ids = _ids(given)
    identity = [given.get(name) for name in ("event_id", "event_type", "user_id", "payload")]
    return ids, identity if "event_id" in ids else None


def _about(payload: Mapping[str, Any], fields: Fields) -> list[str]:
    """What else the event is about: the values of the fields that are declared as `…_id`."""
    names = [name.rstrip("?") for name in fields]
    found = [payload.get(name) for name in names if name.endswith("_id")]
    return [it[:MAX_TEXT] for it in found if isinstance(it, str) and it]


def _ids(given: Mapping[str, Any]) -> dict[str, Any]:
    # The log, and the dead letter, name a refused event too, as far as its ids can be read.
    ids = {name: given.get(name) for name in ("event_id", "event_type", "user_id")}
    return {name: it[:MAX_TEXT] for name, it in ids.items() if isinstance(it, str) and it.strip()}


def _payload(given: Mapping[str, Any], expected: Fields) -> dict[str, Any]:
    payload = given.get("payload", None if expected else {})
    if not isinstance(payload, dict):
        raise MalformedError(f"payload is {kind(payload)}, not an object")
    for name, type_ in expected.items():
        _check(payload, name, type_)
    return payload


def _occurred_at(given: Mapping[str, Any]) -> datetime | None:
    found = times.parse_or_none(given.get("occurred_at"))
    if found is None and given.get("occurred_at") is not None:
        logs.info("received", f"occurred_at is {given['occurred_at']!r:.100}, which is no time")
    return found


def _check(payload: Mapping[str, Any], name: str, expected: type | tuple[type, ...]) -> None:
    is_optional, name = name.endswith("?"), name.removesuffix("?")
    value: Any = payload.get(name)
    if is_optional and value in (None, ""):
        return
    if expected is str:
        text(payload, name, "payload.")
    elif (isinstance(value, bool) and expected is not bool) or not isinstance(value, expected):
        raise MalformedError(f"payload.{name} is {kind(value)}, not {kind_of(expected)}")
    elif isinstance(value, int | float) and abs(value) > LARGEST:
        raise MalformedError(f"payload.{name} is out of range")
