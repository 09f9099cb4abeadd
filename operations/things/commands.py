"""`show ID`: what happened to something, by its id."""

import argparse
from typing import Any

from operations import declared
from operations.errors import FINE
from operations.place.environment import Place
from operations.terminal import command_line, output
from operations.terminal.command_line import Operand
from operations.things import timeline

ID = Operand(
    field="id", metavar="ID", about=", and the id of an event, order, user, reminder, message, …"
)


def add(verbs: Any) -> None:
    """Add `show`."""
    command_line.verb(verbs, "show", _show, "what happened to something, by its id", ID)


def _show(where: Place, given: argparse.Namespace) -> int:
    declared.events()  # which reminders there may be is declared
    found = timeline.of(given.id)
    if given.json:
        output.document(timeline.document(found))
    else:
        timeline.tell(found)
    return FINE
