"""`doctor`: what is not as it should be, deployed and live."""

import argparse
from typing import Any

from operations.doctor import examining
from operations.errors import FAILED, FINE, FOUND, OperationsError
from operations.place.environment import Place
from operations.terminal import command_line, output


def add(verbs: Any) -> None:
    """Add `doctor`."""
    about = "what is not as it should be; exit status 0: nothing is, and everything was asked, "
    about += "2: something is, 1: nothing is, but something could not be asked"
    command_line.verb(verbs, "doctor", _doctor, about)


def _doctor(where: Place, given: argparse.Namespace) -> int:
    """The deployed side and the live one, as one list."""
    deployed, unasked = _deployed(where)
    live = examining.examine(where)
    found, not_asked = [*deployed, *map(vars, live.findings)], [*unasked, *live.not_asked]
    for each in not_asked:
        output.note(f"! not asked: {each}")
    if given.json:
        output.document(found)
    else:
        _show(found, len(not_asked))
    if found:
        return FOUND
    return FAILED if not_asked else FINE


def _deployed(where: Place) -> tuple[list[dict[str, Any]], list[str]]:
    """What is found there, and why it could not be asked."""
    try:
        return where.examined(), []
    except OperationsError as error:
        return [], [f"what is deployed: {error}"]


def _show(found: list[dict[str, Any]], not_asked: int) -> None:
    for each in found:
        print(f"{output.text(each['id'])}: {output.text(each['state'])}\n    {each['mend']}")
    unknown = f", {not_asked} not asked" if not_asked else ""
    print(f"{len(found)} findings{unknown}")
