"""Functions that Pub/Sub triggers: from a CloudEvent to an acknowledgement, or a refusal of one.

acknowledged (200)  done, done before, dead-lettered, or nothing to do
409                 another delivery is at it
500                 failed; worth another try, which Pub/Sub makes after 10 to 600 s
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cloudevents.http import CloudEvent
from werkzeug.exceptions import Conflict, InternalServerError

from common import idempotency
from common.errors import (
    InProgressError,
    MalformedError,
    NothingToDoError,
    NotYetError,
    PermanentError,
)
from common.idempotency import Job, Outcome, Work, dead_letters
from common.idempotency.record import OnUnknownOutcome
from common.process import logs
from common.triggers import events
from common.triggers.events import Event, Fields

REPLAY_ATTRIBUTE = "replay_of"
"""The message attribute that names the dead letter a message replays."""


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


@dataclass(frozen=True)
class On:
    """What is done about one type of event, and which payload fields that needs."""

    handler: Callable[[Event, Work], Outcome]
    fields: Fields
    fast_path: Callable[[Event], Outcome | None] | None = None
    """What a first delivery can do in one commit; None: it takes the handler. See `Job`."""
    on_unknown_outcome: OnUnknownOutcome = "rerun"
    """`hold`: what may have happened already is not done again but dead-lettered, for money."""


def receive(cloud_event: CloudEvent, function: str, handlers: Mapping[str, On]) -> None:
    """Handle one delivery; returning acknowledges it, an HTTP exception does not."""
    message = unwrap(cloud_event)
    event = None
    with logs.bound(function=function, message_id=message.message_id):
        with _answering(message, function):
            event = _parse(message, handlers)
        if event is not None:
            ids = {"event_id": event.event_id, "user_id": event.user_id}
            with logs.bound(event_type=event.event_type, **ids), _answering(message, function):
                _handle(event, message.is_first, function, handlers[event.event_type])


def unwrap(cloud_event: CloudEvent) -> Message:
    """The Pub/Sub message in a CloudEvent; what is not one comes back whole, with its problem."""
    body = cloud_event.data
    if not isinstance(body, dict) or not isinstance(body.get("message"), dict):
        return _unreadable(cloud_event, "the body is no Pub/Sub message")
    message = body["message"]
    attributes = message.get("attributes")
    try:
        data = base64.b64decode(message.get("data") or "", validate=True)
    except (binascii.Error, TypeError, ValueError):
        return _unreadable(cloud_event, "the message's data is not base64")
    return Message(
        data=data,
        message_id=str(message.get("messageId") or cloud_event["id"]),
        attributes=attributes if isinstance(attributes, dict) else {},
        is_first=body.get("deliveryAttempt") == 1,
    )


@contextmanager
def _answering(message: Message, function: str) -> Iterator[None]:
    try:
        yield
    except InProgressError as error:
        logs.info("in_progress", str(error))
        raise Conflict(str(error)) from error
    except NothingToDoError as error:
        logs.info("skipped", str(error))
    except PermanentError as error:
        _bury(message, function, error)
    except NotYetError as error:
        logs.info("not_yet", str(error))
        raise InternalServerError(str(error)) from error
    except Exception as error:
        logs.error("failed", str(error), exc=error)
        raise InternalServerError from error


def _parse(message: Message, handlers: Mapping[str, On]) -> Event | None:
    if message.problem:
        raise MalformedError(message.problem)
    schemas = {name: on.fields for name, on in handlers.items()}
    try:
        return events.parse(message.data, schemas, message.attributes.get(REPLAY_ATTRIBUTE))
    except NothingToDoError as error:
        logs.info("ignored", str(error))
        return None


def _handle(event: Event, is_first: bool, function: str, on: On) -> None:
    logs.info("received", f"{event.event_type} {event.event_id}")
    fast_path = on.fast_path
    job = Job(
        scope=function,
        key=event.event_id,
        identity=event.identity,
        payload=event.raw,
        replay_of=event.replay_of,
        on_unknown_outcome=on.on_unknown_outcome,
        is_first=is_first,
        fast_path=(lambda: fast_path(event)) if fast_path else None,
    )
    answer = idempotency.run(job, lambda work: on.handler(event, work))
    if answer.status == "done":
        logs.info("done", f"{event.event_type} {event.event_id}", result=answer.result)


def _bury(message: Message, function: str, error: PermanentError) -> None:
    # One dead letter per message, however often it is delivered.
    letter = hashlib.sha256(message.message_id.encode() + b"\0" + message.data).hexdigest()
    dead_letters.record(letter, source=function, error=error, payload=message.data)


def _unreadable(cloud_event: CloudEvent, problem: str) -> Message:
    body: Any = cloud_event.data
    data = body if isinstance(body, bytes) else json.dumps(body, default=str).encode()
    return Message(data=data, message_id=str(cloud_event["id"]), attributes={}, problem=problem)
