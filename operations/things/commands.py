"""`show ID`: what happened to something, by its id."""

import argparse
from typing import Any

from operations import declared
from operations.errors import FINE, OperationsError
from operations.place.environment import Place
from operations.terminal import command_line, output
from operations.terminal.command_line import Operand
from operations.things import logged, timeline
from operations.things.timeline import Timeline

ID = Operand(
    field="id", metavar="ID", about=", and the id of an event, order, user, reminder, message, …"
)


def add(verbs: Any) -> None:
    """Add `show`."""
    shown = command_line.verb(verbs, "show", _show, "what happened to something, by its id", ID)
    shown.add_argument("--logs", action="store_true", help="with what the functions logged of it")
    command_line.limited(shown, 200, "lines of the log at most")


def _show(where: Place, given: argparse.Namespace) -> int:
    declared.events()  # which reminders there may be is declared
    found = timeline.of(given.id)
    if given.logs:
        found = _with_logs(found, where, given.limit)
    if given.json:
        output.document(timeline.document(found))
    else:
        timeline.tell(found)
    return FINE


def _with_logs(found: Timeline, where: Place, limit: int) -> Timeline:
    try:
        return logged.merged(found, where, limit)
    except OperationsError as error:
        output.note(f"! without the log: {error}")
        return found
