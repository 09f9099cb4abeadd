"""`campaigns`: runs of campaigns; listed, shown, stopped."""

import argparse
from typing import Any

from operations.errors import FAILED, FINE
from operations.place.environment import Place
from operations.scheduled import campaigns
from operations.terminal import command_line, output
from operations.terminal.command_line import Operand

RUN = Operand(field="id", metavar="RUN", about=", and the run as the list names it")


def add(verbs: Any) -> None:
    """Add `campaigns` and its commands."""
    group = command_line.group(verbs, "campaigns", "runs of campaigns")
    listed = command_line.verb(group, "campaigns list", _list_runs, "runs, those begun last first")
    listed.add_argument("--campaign", help="like weekly_digest")
    listed.add_argument("--state", choices=["running", "complete", "cancelled"])
    command_line.limited(listed, 50)
    command_line.verb(group, "campaigns show", _show_run, "one run, whole", RUN)
    command_line.verb(group, "campaigns cancel", _cancel_run, "send no further message", RUN)


def _list_runs(where: Place, given: argparse.Namespace) -> int:
    rows = campaigns.listed(given.campaign, given.state, given.limit)
    if given.json:
        output.document(rows)
    else:
        output.table(rows, campaigns.COLUMNS, "no such runs")
    return FINE


def _cancel_run(where: Place, given: argparse.Namespace) -> int:
    found = campaigns.cancel(given.id)
    if given.json:
        output.document(found)
    elif found["state"] == "unknown":
        print(f"{given.id}: unknown")
    else:
        print(f"{given.id}: {found['state'].replace('_', ' ')}; {found['sent']} were sent before")
    return FAILED if found["state"] == "unknown" else FINE


def _show_run(where: Place, given: argparse.Namespace) -> int:
    found = campaigns.whole(given.id)
    if given.json:
        output.document(found)
    else:
        output.fields(found)
    return FINE
