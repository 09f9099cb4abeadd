"""The commands of `./deploy.sh` that ask and mend what is running: from words to an exit status."""

import argparse
import getpass
import logging
import signal
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import common.cloud.identity
from common.errors import BundleError
from operations import (
    campaigns,
    cloud,
    command_line,
    dead_letters,
    declared,
    doctor,
    erasing,
    identity,
    moments,
    output,
    place,
    reminders,
    replaying,
    timeline,
    topic,
)
from operations.command_line import Parser
from operations.errors import FAILED, FINE, FOUND, INTERRUPTED, OperationsError, UsageError
from operations.place import Place

LETTER_COLUMNS = (
    "id",
    "state",
    "source",
    "reason",
    "event_type",
    "user_id",
    "attempts",
    "last_seen",
)


def main(words: Sequence[str]) -> int:
    """Carry out a command line; returns the exit status."""
    try:
        given = parser().parse_args(words)
        logging.disable()  # what the library logs is for functions; a command says it itself
        if given.access_token_file:
            identity.use_token_in(given.access_token_file)
        common.cloud.identity.use(identity.credentials)
        status: int = given.run(place.find(given.env, given.project, given.region), given)
        return status
    except OperationsError as error:
        print("\n".join(f"deploy.sh: {line}" for line in str(error).splitlines()), file=sys.stderr)
        return error.status
    except BundleError as error:
        print(f"deploy.sh: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    top = Parser(prog="./deploy.sh", description=__doc__)
    verbs = top.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)
    _add_dead_letters(command_line.group(verbs, "dead-letters", "what could not be processed"))
    _add_reminders(command_line.group(verbs, "reminders", "work that is due later"))
    _add_campaigns(command_line.group(verbs, "campaigns", "runs of campaigns"))
    shown = command_line.verb(verbs, "show", _show, "what happened to something, by its id")
    shown.add_argument("id", metavar="ID", help="of an event, order, user, reminder, message, …")
    erased = command_line.verb(verbs, "erase", _erase, "forget a person")
    erased.add_argument("user", metavar="USER", help="the id of the user")
    erased.add_argument("--yes", action="store_true", help="do not ask")
    command_line.verb(verbs, "doctor", _doctor, "what is not as it should be")
    _add_console(verbs)
    return top


def _show(where: Place, given: argparse.Namespace) -> int:
    declared.events()  # which reminders there may be is declared
    found = timeline.of(given.id)
    if given.json:
        output.document(timeline.document(found))
    else:
        timeline.tell(found)
    return FINE


def _erase(where: Place, given: argparse.Namespace) -> int:
    declared.events()  # what is kept of a person is declared
    if not given.yes:
        confirm(f"Erase {given.user} in {where.environment}, for good", "erase")
    if not where.is_local:
        lasting = moments.lasting(timedelta(seconds=erasing.lease(where)))
        output.progress(f"… it takes {lasting}: whoever works on something of theirs ends first")
    report = erasing.erase(where, given.user)
    if given.json:
        output.document({"id": given.user, "state": "erased", **report})
        return FINE
    counts = {f"{name} deleted": number for name, number in report["deleted"].items()}
    counts |= {f"{name} stripped": number for name, number in report["stripped"].items()}
    found = ", ".join(f"{number} {what}" for what, number in counts.items() if number)
    print(f"{given.user} is forgotten: {found or 'nothing was found'}")
    return FINE


def _doctor(where: Place, given: argparse.Namespace) -> int:
    """The deployed side and the live one, as one list."""
    found = [*where.examined(), *map(vars, doctor.examine(where, output.progress))]
    if given.json:
        output.document(found)
    else:
        for each in found:
            print(f"{output.text(each['id'])}: {output.text(each['state'])}\n    {each['mend']}")
        print(f"{len(found)} findings")
    return FOUND if found else FINE


# The console


def _add_console(verbs: object) -> None:
    made = command_line.verb(verbs, "console", _console, "all of it as a page on this machine")
    made.add_argument("--port", type=int, default=0, metavar="N", help="(any free one)")
    made.add_argument("--write", action="store_true", help="let the page change something")
    made.add_argument("--announce", action="store_true", help=argparse.SUPPRESS)


def _console(where: Place, given: argparse.Namespace) -> int:
    from operations.console import server  # the other commands need no server

    serving = server.serve(where, port=given.port, may_write=given.write or where.is_local)
    address = f"http://127.0.0.1:{serving.server_port}/"
    output.document({"url": address}) if given.json else print(f"console: {address}", flush=True)
    if given.announce:
        cloud.announce(address)
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stopped.set())
    server.run(serving, stopped)
    return FINE


# Dead letters


def _add_dead_letters(verbs: object) -> None:
    listed = command_line.verb(verbs, "dead-letters list", _list_letters, "the letters, last first")
    _filtering(listed)
    command_line.limited(listed, 50)
    shown = command_line.verb(verbs, "dead-letters show", _show_letter, "one letter, whole")
    shown.add_argument("id", metavar="ID")
    again = command_line.verb(verbs, "dead-letters replay", _replay, "do the work again")
    _choosing(again)
    again.add_argument(
        "--set",
        dest="changes",
        action="append",
        default=[],
        type=_change,
        metavar="FIELD=VALUE",
        help="a corrected field, like payload.email=ada@shop.example; may be given several times",
    )
    again.add_argument("--force", action="store_true", help="though a first one may have arrived")
    again.add_argument("--rate", type=float, default=10.0, metavar="N", help="a second (10)")
    again.add_argument(
        "--wait", type=moments.duration, default="60s", metavar="60s", help="for their endings"
    )
    again.add_argument("--dry-run", action="store_true", help="say which, and send nothing")
    closed = command_line.verb(verbs, "dead-letters discard", _discard, "close letters for good")
    _choosing(closed)
    closed.add_argument(
        "--reason", dest="because", required=True, help="why, for whoever looks later"
    )
    closed.add_argument("--yes", action="store_true", help="do not ask")


def _filtering(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--state", default="open", choices=["open", "replayed", "discarded", "any"], help="(open)"
    )
    _narrowing(parser, "--reason")


def _narrowing(parser: argparse.ArgumentParser, reason: str) -> None:
    parser.add_argument(reason, dest="reason", help="like permanent, outage, attempts_used_up")
    parser.add_argument("--source", help="the function: consumer, reminder, fanout")
    parser.add_argument("--event-type", help="like order.placed")
    parser.add_argument("--user", help="whom it is about")
    parser.add_argument(
        "--since", type=moments.since, metavar="TIME|2h", help="last seen at or after then"
    )


def _choosing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ids", nargs="*", metavar="ID")
    parser.add_argument("--all", action="store_true", help="all open ones that the filters let by")
    _narrowing(parser, "--for-reason")


def _wanted(given: argparse.Namespace, state: str | None) -> dead_letters.Filter:
    return dead_letters.Filter(
        state=state,
        reason=given.reason,
        source=given.source,
        event_type=given.event_type,
        user_id=given.user,
        since=given.since,
    )


def _list_letters(where: Place, given: argparse.Namespace) -> int:
    state = None if given.state == "any" else given.state
    rows = dead_letters.listed(_wanted(given, state), given.limit)
    if given.json:
        output.document(rows)
    else:
        output.table(rows, LETTER_COLUMNS, "no such dead letters")
    return FINE


def _show_letter(where: Place, given: argparse.Namespace) -> int:
    found = dead_letters.get(given.id)
    whole = {**dead_letters.row(found), "payload": found.data.get("payload")}
    if given.json:
        output.document(whole)
    else:
        output.fields(whole)
    return FINE


def _change(text: str) -> tuple[str, Any]:
    try:
        return replaying.change(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _replay(where: Place, given: argparse.Namespace) -> int:
    chosen = _chosen(given)
    if given.rate <= 0:
        raise UsageError("--rate must be more than 0")
    if given.dry_run:
        output.document(chosen) if given.json else print("\n".join(chosen) or "none")
        return FINE
    correction = replaying.Correction(changes=given.changes, force=given.force)
    publish = topic.publisher(where)
    tell = output.progress
    sent = replaying.replay(chosen, correction, publish, rate=given.rate, tell=tell)
    became = replaying.watch(
        sent,
        patience=given.wait.total_seconds(),
        tell=lambda known: tell(dead_letters.summary(known.counts())),
    )
    became.states |= {each: "not sent" for each in chosen if each not in sent}
    if given.json:
        output.document([{"id": each, "state": it} for each, it in became.states.items()])
    else:
        print(dead_letters.summary(became.counts()))
    bad = {"dead again", "not sent", "gone"} & set(became.states.values())
    return FAILED if bad else FINE


def _discard(where: Place, given: argparse.Namespace) -> int:
    chosen = _chosen(given)
    if chosen and not given.yes:
        confirm(f"Discard {len(chosen)} dead letters of {where.environment}", "discard")
    became = Counter(
        dead_letters.discard(each, reason=given.because, by=getpass.getuser()) for each in chosen
    )
    if given.json:
        output.document(became)
    else:
        print(dead_letters.summary(became))
    return FINE


def _chosen(given: argparse.Namespace) -> list[str]:
    if bool(given.ids) == given.all:
        raise UsageError("name the letters, or say --all")
    if given.ids:
        return list(given.ids)
    return [dead_letters.id_of(each) for each in dead_letters.find(_wanted(given, "open"))]


def confirm(what: str, verb: str) -> None:
    """Ask on the terminal. Raises UsageError where nobody can answer, OperationsError for a no."""
    if not sys.stdin.isatty():
        raise UsageError(f"{verb} asks before it changes anything; add --yes where nobody answers")
    print(f"{what}? Type yes to go on: ", end="", flush=True)
    if sys.stdin.readline().strip() != "yes":
        raise OperationsError("nothing was changed")


# Reminders


def _add_reminders(verbs: object) -> None:
    listed = command_line.verb(verbs, "reminders list", _list_reminders, "those due first first")
    listed.add_argument("--user", help="whom they are for")
    listed.add_argument("--kind", help="like cart_abandonment")
    listed.add_argument(
        "--state",
        choices=["pending", "sending", "sent", "skipped", "cancelled", "dead", "any"],
        help="(pending and sending)",
    )
    listed.add_argument("--due-before", type=moments.moment, metavar="TIME", help="due before then")
    command_line.limited(listed, 50)
    shown = command_line.verb(verbs, "reminders show", _show_reminder, "one reminder, whole")
    ended = command_line.verb(verbs, "reminders cancel", _cancel_reminder, "do not send it")
    moved = command_line.verb(verbs, "reminders reschedule", _reschedule, "send it at another time")
    for each in (shown, ended, moved):
        each.add_argument("id", metavar="KIND:SUBJECT")
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


# Campaigns


def _add_campaigns(verbs: object) -> None:
    listed = command_line.verb(verbs, "campaigns list", _list_runs, "runs, those begun last first")
    listed.add_argument("--campaign", help="like weekly_digest")
    listed.add_argument("--state", choices=["running", "complete", "cancelled"])
    command_line.limited(listed, 50)
    shown = command_line.verb(verbs, "campaigns show", _show_run, "one run, whole")
    ended = command_line.verb(verbs, "campaigns cancel", _cancel_run, "send no further message")
    for each in (shown, ended):
        each.add_argument("id", metavar="RUN", help="as the list names it")


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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
