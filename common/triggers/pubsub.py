"""Functions that Pub/Sub triggers: from a CloudEvent to an acknowledgement, or a refusal of one.

acknowledged (200)  done, done before, dead-lettered, handed over, or nothing to do
409                 another delivery is at work on it
500                 failed, and could not be handed over; Pub/Sub tries again after 10 to 600 s
"""

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cloudevents.http import CloudEvent
from msgspec import Struct
from msgspec.structs import replace
from werkzeug.exceptions import Conflict, InternalServerError

from common import idempotency
from common.errors import MalformedError
from common.idempotency import Answer, Job
from common.idempotency.origin import Origin, Received
from common.process import logs, times
from common.scheduling.resuming import Input, Resume, Resumption
from common.triggers import boundary, events, replay
from common.triggers.events import Event, EventType
from common.triggers.replay import Letter

REPLAY_ATTRIBUTE = "replay_of"
"""The message attribute that names the dead letter which a message replays."""
FORCE_ATTRIBUTE = "force"
"""With `true`, a replay's correction is taken also where what it corrects may have happened."""
FIRST_PUBLISHED = "CloudPubSubDeadLetterSourceTopicPublishTime"
"""The attribute in which Pub/Sub says, in the slow lane, when a message was first published."""
OF_THE_PLATFORM = ("CloudPubSub", "googclient_")
"""How the attributes begin that Pub/Sub and its clients add; they differ in a repeat."""


class Message(Struct, frozen=True, kw_only=True):
    """A Pub/Sub message as the platform delivered it."""

    data: bytes
    message_id: str
    attributes: Mapping[str, str]
    published_at: datetime | None = None
    """When it was first published, in whichever lane."""
    is_first: bool = False
    """Pub/Sub counts the message's deliveries (it has a dead-letter policy), and this is one."""
    problem: str | None = None
    """What is wrong with its envelope, if anything."""

    @property
    def replay_of(self) -> str | None:
        """The dead letter that it names, if any."""
        return self.attributes.get(REPLAY_ATTRIBUTE)

    @property
    def origin(self) -> Origin:
        """What it says beside its data."""
        return Origin(
            attributes=self.attributes,
            message_id=self.message_id,
            published_at=self.published_at,
        )


def receive(cloud_event: CloudEvent, function: str, types: Mapping[str, EventType]) -> None:
    """Handle one delivery; returning acknowledges it, an HTTP exception does not.

    `types` is the function's table of events. Raises Conflict or InternalServerError.
    """
    delivery = _Delivery(unwrap(cloud_event), function, types)
    with logs.bound(function=function, message_id=delivery.message.message_id):
        ending = boundary.attend(function, delivery.received, delivery.handle)
    if ending.code == 409:
        raise Conflict(ending.error)
    if ending.code != 200:
        raise InternalServerError(ending.error)


def unwrap(cloud_event: CloudEvent) -> Message:
    """The Pub/Sub message in a CloudEvent; of what is not one, what was found instead."""
    body = cloud_event.data
    if not isinstance(body, dict) or not isinstance(body.get("message"), dict):
        found = Message(data=_bytes(body), message_id=_text(cloud_event["id"]), attributes={})
        return replace(found, problem="the body is no Pub/Sub message")
    given = body["message"]
    attributes = _attributes(given.get("attributes"))
    first_published = attributes.get(FIRST_PUBLISHED)
    message = Message(
        data=b"",
        message_id=_text(given.get("messageId") or cloud_event["id"]),
        attributes=attributes,
        published_at=times.parse_or_none(first_published or given.get("publishTime")),
        is_first=body.get("deliveryAttempt") == 1,
    )
    try:
        data = given.get("data")
        return replace(message, data=base64.b64decode("" if data is None else data, validate=True))
    except (binascii.Error, TypeError, ValueError):
        # Only the data: ids and counts beside it would make a repeat another input.
        problem = "the message's data is not base64"
        return replace(message, data=_bytes(given["data"]), problem=problem)


class _Delivery:
    """One delivery of one message."""

    def __init__(self, message: Message, function: str, types: Mapping[str, EventType]) -> None:
        self.message = message
        self.function = function
        self.types = types
        self.letter: Letter | None = None
        """The dead letter that the message replays, once that is known to be its own."""

    def handle(self) -> Answer:
        """Do the work of the message. Raises what `boundary.attend` turns into an ending."""
        if self.message.problem:
            raise MalformedError(self.message.problem)
        if self.message.replay_of is not None:
            self._find_letter(self.message.replay_of)
        if not self.message.data:
            raise MalformedError("the message has no data")
        event = self._event()
        logs.info("received", f"{event.event_type} {event.event_id}")
        type_ = self.types[event.event_type]
        return idempotency.run(
            _job(event, self.function, type_, is_first=self.message.is_first),
            lambda work: type_.handler(event, work),
        )

    def received(self) -> Received:
        """The message, for the dead letter of what is refused before it has a record."""
        ids, identity = events.readable(self.message.data)
        letter_id = self.letter.letter_id if self.letter else None
        if self.letter is None and self.message.replay_of is not None:
            # The letter of an event must not be that of a replay of the event, which is refused.
            identity = [self.message.replay_of, identity, self.message.data.hex()]
        elif not self.message.data:
            identity = {"attributes": _own(self.message.attributes)}
        return Received(
            payload=self.message.data,
            origin=replace(self.message.origin, **ids),
            identity=identity,
            dead_letter=letter_id,
        )

    def _find_letter(self, letter_id: str) -> None:
        letter = replay.find(letter_id, self.function)
        data = self.message.data or letter.payload
        letter.require_work(events.readable(data)[0].get("event_id"))
        letter.require_open()
        self.letter, self.message = letter, replace(self.message, data=data)

    def _event(self) -> Event:
        return events.parse(
            self.message.data,
            self.types,
            replay_of=self.message.replay_of,
            origin=self.message.origin,
        )


def resume(function: str, types: Mapping[str, EventType]) -> Resume:
    """How work of the function `function` goes on that was handed over.

    `types` is the function's table of events.
    """

    def resume(given: Input) -> Answer:
        event = events.parse(given.data, types, origin=given.origin)
        logs.info("received", f"{event.event_type} {event.event_id}, handed over before")
        type_ = types[event.event_type]
        job = _job(event, function, type_, is_ringing=True)
        return idempotency.run(job, lambda work: type_.handler(event, work))

    return resume


def _job(
    event: Event,
    function: str,
    type_: EventType,
    *,
    is_first: bool = False,
    is_ringing: bool = False,
) -> Job:
    given = Input(function=function, data=event.raw, origin=event.origin)
    return Job(
        scope=function,
        key=event.event_id,
        identity=event.identity,
        payload=event.raw,
        origin=event.origin,
        replay_of=event.replay_of,
        is_forced=event.origin.attributes.get(FORCE_ATTRIBUTE) == "true",
        on_unknown_outcome=type_.on_unknown_outcome,
        is_first=is_first,
        is_ringing=is_ringing,
        deferral=Resumption(key=event.event_id, input=given),
    )


def _attributes(given: Any) -> dict[str, str]:
    items = given.items() if isinstance(given, dict) else ()
    return {_text(name): _text(value) for name, value in items}


def _own(attributes: Mapping[str, str]) -> dict[str, str]:
    """Those that the producer gave."""
    return {k: v for k, v in attributes.items() if not k.startswith(OF_THE_PLATFORM)}


def _text(value: Any) -> str:
    """A text that can be stored, whatever was given."""
    return str(value).encode("utf-8", "backslashreplace").decode()


def _bytes(found: Any) -> bytes:
    if isinstance(found, bytes):
        return found
    try:
        text = found if isinstance(found, str) else json.dumps(found, default=str)
    except (ValueError, RecursionError) as error:
        text = f"{type(found).__name__}: {error}"
    return text.encode("utf-8", "surrogatepass")
