"""`erase USER`: forget a person."""

import argparse
from datetime import timedelta
from typing import Any

from operations import declared
from operations.errors import FINE
from operations.people import erasing
from operations.place.environment import Place
from operations.terminal import command_line, moments, output
from operations.terminal.command_line import Operand

USER = Operand(field="user", metavar="USER", about=", and the id of the user")


def add(verbs: Any) -> None:
    """Add `erase`."""
    erased = command_line.verb(verbs, "erase", _erase, "forget a person", USER)
    erased.add_argument("--yes", action="store_true", help="do not ask")


def _erase(where: Place, given: argparse.Namespace) -> int:
    declared.events()  # what is kept of a person is declared
    if not given.yes:
        command_line.confirm(f"Erase {given.user} in {where.environment}, for good", "erase")
    if not where.is_local:
        lasting = moments.lasting(timedelta(seconds=erasing.lease(where)))
        output.note(f"… it takes {lasting}: whoever works on something of theirs ends first")
    report = erasing.erase(where, given.user)
    if given.json:
        output.document({"id": given.user, "state": "erased", **report})
        return FINE
    counts = {f"{name} deleted": number for name, number in report["deleted"].items()}
    counts |= {f"{name} stripped": number for name, number in report["stripped"].items()}
    found = ", ".join(f"{number} {what}" for what, number in counts.items() if number)
    print(f"{given.user} is forgotten: {found or 'nothing was found'}")
    return FINE
