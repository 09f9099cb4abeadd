"""Functions that Pub/Sub triggers: from a CloudEvent to an acknowledgement, or a refusal of one.

acknowledged (200)  done, done before, dead-lettered, or nothing to do
409                 another delivery is at work on it
500                 failed; worth another try, which Pub/Sub makes after 10 to 600 s
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cloudevents.http import CloudEvent
from werkzeug.exceptions import Conflict, InternalServerError

from common import idempotency
from common.errors import MalformedError
from common.idempotency import Answer, Job
from common.process import logs
from common.triggers import boundary, events
from common.triggers.events import Event, EventType

REPLAY_ATTRIBUTE = "replay_of"
"""The message attribute that names the dead letter which a message replays."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """A Pub/Sub message as the platform delivered it."""

    data: bytes
    message_id: str
    attributes: Mapping[str, str]
    is_first: bool = False
    """Pub/Sub counts the message's deliveries (it has a dead-letter policy), and this is one."""
    problem: str | None = None
    """What is wrong with its envelope, if anything."""


def receive(cloud_event: CloudEvent, function: str, types: Mapping[str, EventType]) -> None:
    """Handle one delivery; returning acknowledges it, an HTTP exception does not.

    `types` is the function's table of events. Raises Conflict or InternalServerError.
    """
    message = unwrap(cloud_event)
    with logs.bound(function=function, message_id=message.message_id):
        ending = boundary.attend(
            function, lambda: message.data, lambda: _handle(message, function, types)
        )
    if ending.code == 409:
        raise Conflict(ending.error)
    if ending.code != 200:
        raise InternalServerError(ending.error)


def unwrap(cloud_event: CloudEvent) -> Message:
    """The Pub/Sub message in a CloudEvent; of what is not one, what was found instead."""
    body = cloud_event.data
    if not isinstance(body, dict) or not isinstance(body.get("message"), dict):
        return _unreadable(cloud_event, body, "the body is no Pub/Sub message")
    message = body["message"]
    attributes = message.get("attributes")
    try:
        data = base64.b64decode(message.get("data") or "", validate=True)
    except (binascii.Error, TypeError, ValueError):
        # Only the data: ids and counts beside it would make a repeat another input.
        return _unreadable(cloud_event, message.get("data"), "the message's data is not base64")
    return Message(
        data=data,
        message_id=str(message.get("messageId") or cloud_event["id"]),
        attributes=attributes if isinstance(attributes, dict) else {},
        is_first=body.get("deliveryAttempt") == 1,
    )


def _handle(message: Message, function: str, types: Mapping[str, EventType]) -> Answer:
    if message.problem:
        raise MalformedError(message.problem)
    event = events.parse(message.data, types, message.attributes.get(REPLAY_ATTRIBUTE))
    logs.info("received", f"{event.event_type} {event.event_id}")
    return idempotency.run(
        _job(event, message.is_first, function, types[event.event_type]),
        lambda work: types[event.event_type].handler(event, work),
    )


def _job(event: Event, is_first: bool, function: str, type_: EventType) -> Job:
    fast_path = type_.fast_path
    return Job(
        scope=function,
        key=event.event_id,
        identity=event.identity,
        payload=event.raw,
        replay_of=event.replay_of,
        on_unknown_outcome=type_.on_unknown_outcome,
        is_first=is_first,
        fast_path=(lambda: fast_path(event)) if fast_path else None,
    )


def _unreadable(cloud_event: CloudEvent, found: Any, problem: str) -> Message:
    text = found if isinstance(found, str) else json.dumps(found, default=str)
    data = found if isinstance(found, bytes) else text.encode("utf-8", "surrogatepass")
    return Message(data=data, message_id=str(cloud_event["id"]), attributes={}, problem=problem)
