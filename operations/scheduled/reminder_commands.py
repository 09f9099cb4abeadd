"""`reminders`: work that is due later; listed, shown, cancelled, moved."""

import argparse
from typing import Any

from operations import declared
from operations.errors import FAILED, FINE
from operations.place.environment import Place
from operations.scheduled import reminders
from operations.terminal import command_line, moments, output
from operations.terminal.command_line import Operand

REMINDER = Operand(field="id", metavar="KIND:SUBJECT", about=", and the reminder")


def add(verbs: Any) -> None:
    """Add `reminders` and its commands."""
    group = command_line.group(verbs, "reminders", "work that is due later")
    listed = command_line.verb(group, "reminders list", _list_reminders, "those due first first")
    listed.add_argument("--user", help="whom they are for")
    listed.add_argument("--kind", help="like cart_abandonment")
    listed.add_argument(
        "--state",
        choices=["pending", "sending", "sent", "skipped", "cancelled", "dead", "any"],
        help="(pending and sending)",
    )
    listed.add_argument("--due-before", type=moments.moment, metavar="TIME", help="due before then")
    command_line.limited(listed, 50)
    command_line.verb(group, "reminders show", _show_reminder, "one reminder, whole", REMINDER)
    command_line.verb(group, "reminders cancel", _cancel_reminder, "do not send it", REMINDER)
    moved = command_line.verb(
        group, "reminders reschedule", _reschedule, "send it at another time", REMINDER
    )
    when = moved.add_mutually_exclusive_group(required=True)
    when.add_argument("--at", type=moments.moment, metavar="TIME", help="like 2026-11-30T08:00Z")
    when.add_argument("--after", type=moments.duration, metavar="2h", help="from now on")


def _cancel_reminder(where: Place, given: argparse.Namespace) -> int:
    declared.events()
    return _told(given, reminders.cancel(given.id), {"cancelled"})


def _reschedule(where: Place, given: argparse.Namespace) -> int:
    declared.events()
    became = reminders.reschedule(given.id, at=given.at, after=given.after)
    return _told(given, became, {"rescheduled", "unchanged"})


def _told(given: argparse.Namespace, became: str, fine: set[str]) -> int:
    if given.json:
        output.document({"id": given.id, "state": became})
    else:
        print(f"{given.id}: {became.replace('_', ' ')}")
    return FINE if became in fine else FAILED


def _list_reminders(where: Place, given: argparse.Namespace) -> int:
    states = {None: reminders.WAITING, "any": ()}.get(given.state, (given.state,))
    wanted = reminders.Filter(
        user_id=given.user, kind=given.kind, states=states, due_before=given.due_before
    )
    rows = reminders.listed(wanted, given.limit)
    if given.json:
        output.document(rows)
    else:
        output.table(rows, reminders.COLUMNS, "no such reminders")
    return FINE


def _show_reminder(where: Place, given: argparse.Namespace) -> int:
    found = reminders.get(given.id)
    whole = {**reminders.row(found), "payload": found.data.get("payload")}
    if given.json:
        output.document(whole)
    else:
        output.fields(whole)
    return FINE
