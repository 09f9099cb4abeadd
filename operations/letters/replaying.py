"""Sending dead letters again, as production sends their work: through the topic, or as a task.

A letter is told by its id in the message (`replay_of`) or the task (`X-Replay-Of`); what the id
names is checked again by the function. So a letter that two operators replay at once, or that is
replayed again after an interruption, is done once.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from common.cloud import firestore, tasks
from common.cloud.firestore import Snapshot
from common.cloud.tasks import Task
from common.errors import BundleError
from common.process import settings
from common.triggers.http import REPLAY_HEADER
from common.triggers.pubsub import REPLAY_ATTRIBUTE
from operations.errors import OperationsError, UsageError
from operations.letters import dead_letters

LOOK_EVERY = 0.5
"""Seconds between two looks at what became of the letters."""
BY_TASKS = {"reminder": "reminders", "fanout": "fanout"}
"""The functions that are reached by Cloud Tasks, and the queue for each."""

Publish = Callable[[bytes, Mapping[str, str]], None]
"""Publishes data and attributes to the topic of the events. Raises OperationsError."""


@dataclass(frozen=True, kw_only=True)
class Correction:
    """What is to be different from what was received."""

    changes: Sequence[tuple[str, Any]] = ()
    """Dotted paths into the JSON that was received, and their new values."""
    whole: str | None = None
    """Text that takes the place of all that was received."""
    force: bool = False
    """Send it although a first sending may have arrived."""

    def applied(self, letter: Snapshot) -> bytes:
        """What is sent; b"" for what was received, as it was. Raises OperationsError."""
        if self.whole is not None:
            return self.whole.encode()
        if not self.changes:
            return b""
        document = received(letter)
        for path, value in self.changes:
            _set(document, path, value)
        return json.dumps(document, ensure_ascii=False).encode()


@dataclass(kw_only=True)
class Became:
    """What became of the letters that were sent again."""

    states: dict[str, str] = field(default_factory=dict)
    """By the id of the letter: `replayed`, `dead again`, `waiting` (not known yet), `refused`, …"""

    def counts(self) -> dict[str, int]:
        """How many letters ended in each way."""
        return {state: list(self.states.values()).count(state) for state in self.states.values()}


def received(letter: Snapshot) -> dict[str, Any]:
    """The JSON object of a letter. Raises OperationsError."""
    try:
        document = json.loads(letter.data.get("payload") or "")
    except (TypeError, ValueError):
        document = None
    if not isinstance(document, dict) or letter.data.get("payload_truncated"):
        text = f"what dead letter {dead_letters.id_of(letter)} holds is no whole JSON object"
        raise OperationsError(text)
    return document


def change(text: str) -> tuple[str, Any]:
    """`payload.email=ada@shop.example`; the value is JSON where it can be read as such.

    Raises ValueError.
    """
    path, separator, value = text.partition("=")
    if not separator or not all(path.split(".")):
        raise ValueError(f"{text!r} is not FIELD=VALUE, like payload.email=ada@shop.example")
    try:
        return path, json.loads(value)
    except ValueError:
        return path, value


def send(letter: Snapshot, correction: Correction, publish: Publish) -> None:
    """Send one letter's work again. Raises OperationsError and what the clients raise."""
    letter_id, source = dead_letters.id_of(letter), letter.data.get("source")
    if source == "consumer":
        forced = {"force": "yes"} if correction.force else {}
        publish(correction.applied(letter), {REPLAY_ATTRIBUTE: letter_id, **forced})
    elif source in BY_TASKS:
        tasks.enqueue(_task(letter, correction))
    else:
        raise OperationsError(f"dead letter {letter_id} is of {source!r}, which nothing reaches")


def _task(letter: Snapshot, correction: Correction) -> Task:
    config, source = settings.current(), str(letter.data["source"])
    letter_id = dead_letters.id_of(letter)
    url, audience = {
        "reminder": (config.reminder_url, config.reminder_audience),
        "fanout": (config.fanout_url, config.fanout_audience),
    }[source]
    sent = correction.applied(letter)
    return Task(
        queue=BY_TASKS[source],
        url=url,
        body=json.loads(sent) if sent else received(letter),
        # The letter may be replayed again after another failure.
        identity=("replay", letter_id, str(letter.update_time)),
        audience=audience,
        headers={REPLAY_HEADER: letter_id},
    )


def replay(
    letter_ids: Sequence[str],
    correction: Correction,
    publish: Publish,
    *,
    rate: float,
    tell: Callable[[str], None],
    progress: Callable[[str], None] = lambda line: None,
    sleep: Callable[[float], None] = time.sleep,
    sent: dict[str, Snapshot] | None = None,
) -> dict[str, Snapshot]:
    """Send these letters again, `rate` a second; those sent, as they were before.

    `tell` gets a line for what could not be sent, `progress` one before each letter. They are
    written into `sent` one by one, for whoever is interrupted: also one that is just on its way.
    Raises UsageError for a correction of many.
    """
    if len(letter_ids) > 1 and correction.whole is not None:
        raise UsageError("a whole payload corrects one letter; name just that one")
    sent = {} if sent is None else sent
    for number, letter_id in enumerate(letter_ids):
        if number:
            progress(f"{number} of {len(letter_ids)}")
            sleep(1 / rate)
        try:
            letter = dead_letters.get(letter_id)
            if letter.data.get("state") != "open":
                tell(f"{letter_id} is {letter.data.get('state')}, and not sent")
                continue
            sent[letter_id] = letter
            send(letter, correction, publish)
        except (OperationsError, BundleError) as error:
            sent.pop(letter_id, None)
            tell(str(error))
    return sent


def watch(
    sent: Mapping[str, Snapshot],
    *,
    patience: float,
    tell: Callable[[Became], None],
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> Became:
    """Look at the letters until it is known of each what became of it, or patience is at its end.

    `tell` gets what is known so far after every look.
    """
    became = Became(states=dict.fromkeys(sent, "waiting"))
    deadline = monotonic() + patience
    while waiting := [each for each, state in became.states.items() if state == "waiting"]:
        for letter_id, state in _looked_at(waiting, sent):
            became.states[letter_id] = state
        tell(became)
        if monotonic() > deadline:
            break
        if "waiting" in became.states.values():
            sleep(LOOK_EVERY)
    return became


def _looked_at(
    letter_ids: Sequence[str], sent: Mapping[str, Snapshot]
) -> Iterator[tuple[str, str]]:
    for start in range(0, len(letter_ids), dead_letters.PAGE):
        some = letter_ids[start : start + dead_letters.PAGE]
        paths = [f"{dead_letters.COLLECTION}/{each}" for each in some]
        for letter_id, found in zip(some, firestore.read_all(paths), strict=True):
            yield letter_id, _state(sent[letter_id], found)


def _state(before: Snapshot, now: Snapshot) -> str:
    if not now.exists:
        return "gone"
    state = str(now.data.get("state"))
    if state != "open":
        return state
    return "dead again" if _seen(now) != _seen(before) else "waiting"


def _seen(letter: Snapshot) -> datetime | None:
    seen = letter.data.get("last_seen")
    return seen if isinstance(seen, datetime) else None


def _set(document: dict[str, Any], path: str, value: Any) -> None:
    *ways, last = path.split(".")
    inside = document
    for way in ways:
        if not isinstance(inside.get(way), dict):
            raise OperationsError(f"there is no object {way} in what was received")
        inside = inside[way]
    inside[last] = value
