"""`dead-letters`: what could not be processed; listed, shown, done again, closed."""

import argparse
import getpass
from collections import Counter
from typing import Any

from operations.errors import FAILED, FINE, UsageError
from operations.letters import dead_letters, replaying, topic
from operations.place.environment import Place
from operations.terminal import command_line, moments, output

COLUMNS = (
    "id",
    "state",
    "source",
    "reason",
    "event_type",
    "user_id",
    "attempts",
    "last_seen",
)


def add(verbs: Any) -> None:
    """Add `dead-letters` and its commands."""
    letters = command_line.group(verbs, "dead-letters", "what could not be processed")
    _add_list(letters)
    _add_replay(letters)
    _add_discard(letters)


def _add_list(verbs: Any) -> None:
    listed = command_line.verb(verbs, "dead-letters list", _list_letters, "the letters, last first")
    _filtering(listed)
    command_line.limited(listed, 50)
    shown = command_line.verb(verbs, "dead-letters show", _show_letter, "one letter, whole")
    shown.add_argument("id", metavar="ID")


def _add_replay(verbs: Any) -> None:
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


def _add_discard(verbs: Any) -> None:
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
        output.table(rows, COLUMNS, "no such dead letters")
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
        command_line.confirm(
            f"Discard {len(chosen)} dead letters of {where.environment}", "discard"
        )
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
