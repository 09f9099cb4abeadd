"""`dead-letters`: what could not be processed; listed, shown, done again, closed."""

import argparse
import getpass
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from common.cloud.firestore import Snapshot
from operations.errors import FAILED, FINE, INTERRUPTED, OperationsError, UsageError
from operations.letters import dead_letters, replaying, topic, waiting
from operations.letters.replaying import Became, Correction
from operations.place.environment import Place
from operations.terminal import command_line, moments, output
from operations.terminal.command_line import Operand

COLUMNS = (
    "id",
    "state",
    "source",
    "reason",
    "event_type",
    "user_id",
    "attempts",
    "last_seen",
    "since",
    "next",
)
STATES = ("open", "waiting", "replayed", "discarded", "any")
LETTER = Operand(field="id", metavar="ID", about=", and the letter")
LETTERS = Operand(field="ids", metavar="ID…", about=", and the letters", many=True)
NOT_DONE = {"dead again", "not sent", "gone"}
"""What became of letters whose work is not done."""


def add(verbs: Any) -> None:
    """Add `dead-letters` and its commands."""
    letters = command_line.group(verbs, "dead-letters", "what could not be processed")
    _add_list(letters)
    _add_replay(letters)
    _add_discard(letters)


def _add_list(verbs: Any) -> None:
    listed = command_line.verb(verbs, "dead-letters list", _list, "the letters, last first")
    listed.add_argument("--state", choices=STATES, help="(open, waiting and the slow lane)")
    _narrowing(listed, "--reason")
    command_line.limited(listed, 50)
    command_line.verb(verbs, "dead-letters show", _show, "one letter, whole", LETTER)


def _add_replay(verbs: Any) -> None:
    again = command_line.verb(verbs, "dead-letters replay", _replay, "do the work again", LETTERS)
    _choosing(again, "--reason", "--for-reason")
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
    again.add_argument("--rate", type=_rate, default=10.0, metavar="N", help="a second (10)")
    again.add_argument(
        "--wait", type=moments.duration, default="60s", metavar="60s", help="for their endings"
    )
    again.add_argument("--dry-run", action="store_true", help="say which, and send nothing")


def _add_discard(verbs: Any) -> None:
    closed = command_line.verb(
        verbs, "dead-letters discard", _discard, "close letters for good", LETTERS
    )
    _choosing(closed, "--for-reason")
    closed.add_argument(
        "--reason", dest="because", required=True, help="why, for whoever looks later"
    )
    closed.add_argument("--yes", action="store_true", help="do not ask")


def _choosing(parser: argparse.ArgumentParser, *reason: str) -> None:
    parser.add_argument("--all", action="store_true", help="all open ones that the filters let by")
    _narrowing(parser, *reason)


def _narrowing(parser: argparse.ArgumentParser, *reason: str) -> None:
    parser.add_argument(*reason, dest="reason", help="like permanent, outage, attempts_used_up")
    parser.add_argument("--source", help="the function: consumer, reminder, fanout")
    parser.add_argument("--event-type", help="like order.placed")
    parser.add_argument("--user", help="whom it is about")
    parser.add_argument(
        "--since", type=moments.since, metavar="TIME|2h", help="last seen at or after then"
    )


def _change(text: str) -> tuple[str, Any]:
    try:
        return replaying.change(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _rate(text: str) -> float:
    rate = float(text)
    if not 0 < rate < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return rate


def _list(where: Place, given: argparse.Namespace) -> int:
    rows = _rows(given)
    slow = _slow_lane(where) if given.state is None else []
    if given.json:
        output.document([*rows, *slow])
        return FINE
    columns = [name for name in COLUMNS if name not in ("since", "next") or _has(rows, name)]
    output.table(rows, columns, "no such dead letters, and nothing waits")
    for lane in slow:
        print(f"{lane['backlog']} messages are in the slow lane")
    return FINE


def _rows(given: argparse.Namespace) -> list[dict[str, Any]]:
    """Letters, then what waits."""
    rows: list[dict[str, Any]] = []
    if given.state != waiting.STATE:
        state = {None: "open", "any": None}.get(given.state, given.state)
        rows += dead_letters.listed(_wanted(given, state), given.limit)
    if given.state in (None, waiting.STATE, "any"):
        rows += waiting.listed(_wanted(given, None), given.limit)
    return rows[: given.limit]


def _slow_lane(where: Place) -> list[dict[str, Any]]:
    try:
        return waiting.slow_lane(where)
    except OperationsError as error:
        output.note(f"! the slow lane was not asked: {error}")
        return []


def _has(rows: Sequence[Mapping[str, Any]], name: str) -> bool:
    return any(row.get(name) for row in rows)


def _show(where: Place, given: argparse.Namespace) -> int:
    found = dead_letters.get(given.id)
    whole = {**dead_letters.row(found), "payload": found.data.get("payload")}
    if given.json:
        output.document(whole)
    else:
        output.fields(whole)
    return FINE


def _replay(where: Place, given: argparse.Namespace) -> int:
    chosen = _chosen(given)
    if given.dry_run:
        output.document(chosen) if given.json else print("\n".join(chosen) or "none")
        return FINE
    sent: dict[str, Snapshot] = {}
    try:
        _send(where, given, chosen, sent)
        became = _ended(sent, given.wait.total_seconds())
    except KeyboardInterrupt:
        _tell(given, chosen, _ended(sent, 0))
        output.note("interrupted: the same command goes on with what is left")
        return INTERRUPTED
    states = _tell(given, chosen, became)
    return FAILED if NOT_DONE & set(states.values()) else FINE


def _send(
    where: Place, given: argparse.Namespace, chosen: Sequence[str], sent: dict[str, Snapshot]
) -> None:
    replaying.replay(
        chosen,
        Correction(changes=given.changes, force=given.force),
        topic.publisher(where),
        rate=given.rate,
        tell=output.note,
        progress=output.progress,
        sent=sent,
    )


def _ended(sent: Mapping[str, Snapshot], patience: float) -> Became:
    """What became of those sent, after one look at least."""
    return replaying.watch(
        sent,
        patience=patience,
        tell=lambda known: output.progress(dead_letters.summary(known.counts())),
    )


def _tell(given: argparse.Namespace, chosen: Sequence[str], became: Became) -> dict[str, str]:
    """Print what became of each that was chosen, and return it."""
    became.states |= {each: "not sent" for each in chosen if each not in became.states}
    if given.json:
        output.document([{"id": each, "state": it} for each, it in became.states.items()])
    else:
        print(dead_letters.summary(became.counts()), flush=True)
    return became.states


def _discard(where: Place, given: argparse.Namespace) -> int:
    chosen = _chosen(given)
    if chosen and not given.yes:
        what = f"Discard {len(chosen)} dead letters of {where.environment}"
        command_line.confirm(what, "discard")
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
        return list(dict.fromkeys(given.ids))
    return [dead_letters.id_of(each) for each in dead_letters.find(_wanted(given, "open"))]


def _wanted(given: argparse.Namespace, state: str | None) -> dead_letters.Filter:
    return dead_letters.Filter(
        state=state,
        reason=given.reason,
        source=given.source,
        event_type=given.event_type,
        user_id=given.user,
        since=given.since,
    )
