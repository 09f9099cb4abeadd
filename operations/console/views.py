"""What the page shows, and the changes that it asks for: the same as the commands do."""

import functools
import getpass
import html
from argparse import ArgumentTypeError
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Request

from common.cloud import firestore
from operations import declared
from operations.flow import queues
from operations.letters import dead_letters, replaying, topic, waiting
from operations.letters.replaying import Correction
from operations.place.environment import Place
from operations.scheduled import campaigns, reminders
from operations.terminal import moments
from operations.things import messages, timeline

LIMIT = 500
"""Rows of a list."""
RECENT = timedelta(days=1)
PLAIN = '<pre style="white-space: pre-wrap">{}</pre>'
PATIENCE = 10.0
"""Seconds that a click waits for what becomes of a letter."""

Answer = Callable[[Request], Any]


def views(place: Place) -> Mapping[str, Answer]:
    """What is answered to GET /api/NAME."""
    return {
        "letters": _letters,
        "letter": _letter,
        "slow-lane": lambda request: waiting.slow_lane(place),
        "reminders": _reminders,
        "reminder": _reminder,
        "messages": _messages,
        "message": _message,
        "campaigns": _campaigns,
        "campaign": _campaign,
        "show": lambda request: timeline.document(timeline.of(_id(request))),
        "queues": lambda request: queues.state(place),
        "examples": lambda request: declared.examples(),
    }


def actions(place: Place) -> Mapping[str, Answer]:
    """What is done for POST /api/NAME, whose body is a JSON object."""
    return {
        "discard": _discard,
        "replay": _replaying(place),
        "cancel": _cancel,
        "reschedule": _reschedule,
        "stop": _stop,
    }


def html_of(message_id: str) -> str:
    """A message as its reader sees it; one without HTML as its text."""
    found = messages.get(message_id).data
    return str(found.get("html") or PLAIN.format(html.escape(str(found.get("text") or ""))))


def server_time() -> datetime:
    """The server's time, or nearly."""
    return firestore.read("users/-").read_time


def _letters(request: Request) -> Any:
    names = ("reason", "source", "event_type", "user_id")
    asked = {name: request.args.get(name) or None for name in names}
    state = request.args.get("state", "open")
    wanted = dead_letters.Filter(state=None if state == "any" else state, **asked)  # type: ignore[arg-type]
    if state == waiting.STATE:
        return waiting.listed(wanted, LIMIT)
    return dead_letters.listed(wanted, LIMIT)


def _letter(request: Request) -> Any:
    found = dead_letters.get(_id(request))
    return {**dead_letters.row(found), "payload": found.data.get("payload")}


def _reminders(request: Request) -> Any:
    state = request.args.get("state") or "waiting"
    states = {"waiting": reminders.WAITING, "any": ()}.get(state, (state,))
    wanted = reminders.Filter(
        user_id=request.args.get("user_id") or None,
        kind=request.args.get("kind") or None,
        states=states,
    )
    return reminders.listed(wanted, LIMIT)


def _reminder(request: Request) -> Any:
    found = reminders.get(_id(request))
    return {**reminders.row(found), "payload": found.data.get("payload")}


def _messages(request: Request) -> Any:
    user_id = request.args.get("user_id") or None
    return messages.listed(user_id=user_id, since=server_time() - RECENT, limit=LIMIT)


def _message(request: Request) -> Any:
    found = messages.get(_id(request))
    return {**messages.row(found), "text": found.data.get("text")}


def _campaigns(request: Request) -> Any:
    return campaigns.listed(None, request.args.get("state") or None, LIMIT)


def _campaign(request: Request) -> Any:
    return campaigns.whole(_id(request))


def _discard(request: Request) -> Any:
    body = body_of(request)
    became = dead_letters.discard(
        text_of(body, "id"), reason=text_of(body, "reason"), by=getpass.getuser()
    )
    return {"state": became}


def _cancel(request: Request) -> Any:
    declared.events()
    return {"state": reminders.cancel(text_of(body_of(request), "id"))}


def _reschedule(request: Request) -> Any:
    body = body_of(request)
    reminder, at = text_of(body, "id"), time_of(body, "at")
    declared.events()
    return {"state": reminders.reschedule(reminder, at=at, after=None)}


def _stop(request: Request) -> Any:
    return campaigns.cancel(text_of(body_of(request), "id"))


def _replaying(place: Place) -> Answer:
    publisher = functools.cache(lambda: topic.publisher(place))

    def replay(request: Request) -> Any:
        body = body_of(request)
        letter = dead_letters.get(text_of(body, "id"))
        if letter.data.get("state") != "open":
            return {"state": letter.data.get("state")}
        whole = text_of(body, "payload") if "payload" in body else None
        correction = Correction(whole=whole, force=body.get("force") is True)
        replaying.send(letter, correction, publisher())
        sent = {dead_letters.id_of(letter): letter}
        became = replaying.watch(sent, patience=PATIENCE, tell=lambda known: None)
        return {"state": became.states[dead_letters.id_of(letter)]}

    return replay


def _id(request: Request) -> str:
    return request.args.get("id", "")


def body_of(request: Request) -> Mapping[str, Any]:
    """The JSON object that came. Raises BadRequest."""
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise BadRequest("the body is no JSON object")
    return body


def text_of(body: Mapping[str, Any], name: str) -> str:
    """A field that must be text and not empty. Raises BadRequest."""
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        raise BadRequest(f"{name} is missing")
    return value


def time_of(body: Mapping[str, Any], name: str) -> datetime:
    """A field that must be an RFC 3339 time with its zone. Raises BadRequest."""
    try:
        return moments.moment(text_of(body, name))
    except ArgumentTypeError as error:
        raise BadRequest(f"{name}: {error}") from error
