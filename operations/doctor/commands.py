"""`doctor`: what is not as it should be, deployed and live."""

import argparse
from typing import Any

from operations.doctor import examining
from operations.errors import FINE, FOUND
from operations.place.environment import Place
from operations.terminal import command_line, output


def add(verbs: Any) -> None:
    """Add `doctor`."""
    command_line.verb(verbs, "doctor", _doctor, "what is not as it should be")


def _doctor(where: Place, given: argparse.Namespace) -> int:
    """The deployed side and the live one, as one list."""
    found = [*where.examined(), *map(vars, examining.examine(where, output.note))]
    if given.json:
        output.document(found)
    else:
        for each in found:
            print(f"{output.text(each['id'])}: {output.text(each['state'])}\n    {each['mend']}")
        print(f"{len(found)} findings")
    return FOUND if found else FINE
