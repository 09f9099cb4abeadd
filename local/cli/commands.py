"""The commands that drive a running cloud: what is typed, what is asked, what is printed."""

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from local.cli import progress, table
from local.cli.client import Refused, call
from local.kernel import durations, moments
from local.kernel.state import Folder

STOP_TIMEOUT = 30.0
"""Seconds a cloud may take to end."""


@dataclass(frozen=True)
class Answer:
    """What a verb prints: the text, or with `--json` the document."""

    text: str
    document: Any


Verb = Callable[[Folder, argparse.Namespace], Answer]


def publish(folder: Folder, options: argparse.Namespace) -> Answer:
    """Publish one event, JSON lines, or an array of events."""
    body: dict[str, Any] = {"events": events(text(options.events))}
    if options.topic:
        body["topic"] = options.topic
    if options.attribute:
        body["attributes"] = dict(options.attribute)
    answer = call(folder, "publish", body)
    count = len(answer["message_ids"])
    return Answer(
        f"published {count} event{'' if count == 1 else 's'} to {answer['topic']}", answer
    )


def tick(folder: Folder, options: argparse.Namespace) -> Answer:
    """Fire a Scheduler job now, or as the tick of a given time."""
    body = {"job": options.job}
    if options.at:
        body["at"] = options.at
    answer = call(folder, "tick", body)
    as_of = f" as the tick of {options.at}" if options.at else ""
    return Answer(f"fired {options.job}{as_of}", answer)


def advance(folder: Folder, options: argparse.Namespace) -> Answer:
    """Move the clock, through everything that falls due on the way."""
    line, start = progress.Line(), _now(folder)

    def tell() -> None:
        with contextlib.suppress(Refused):  # the answer to `advance` will say why
            line.say(progress.way(start, _now(folder), options.duration))

    def move() -> Any:
        return call(folder, "advance", {"seconds": options.duration})

    try:
        answer = progress.watched(move, tell, line.pauses())
    finally:
        line.clear()
    for note in answer.get("notes", ()):
        print(f"NOTE: {note}", file=sys.stderr)
    return Answer(f"it is {answer['now']}", answer)


def idle(folder: Folder, options: argparse.Namespace) -> Answer:
    """Wait until nothing is in flight and nothing is due now."""
    answer = call(folder, "idle", {})
    return Answer(f"idle at {answer['now']}", answer)


def faults(folder: Folder, options: argparse.Namespace) -> Answer:
    """Disturb deliveries and calls from now on, or stop doing so."""
    names = ("seed", *RATES, "latency", "code")
    plan = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    if options.rule:
        plan["rules"] = options.rule
    if options.off == "off" and plan:
        raise WrongUsage("either off, or what is to go wrong")
    if options.off != "off" and not plan:
        raise WrongUsage("say what is to go wrong, for instance --duplicates 0.3, or off")
    answer = call(folder, "faults", plan)
    return Answer("faults: " + (json.dumps(answer) if plan else "off"), answer)


def status(folder: Folder, options: argparse.Namespace) -> Answer:
    """Show the clock, functions, queues, jobs, messages, dead letters, ignored events."""
    answer = call(folder, "status")
    return Answer(table.status(answer), answer)


def reset(folder: Folder, options: argparse.Namespace) -> Answer:
    """Forget all that happened, the clock included; what is deployed stays."""
    answer = call(folder, "reset", {})
    return Answer(f"everything is forgotten; it is {answer['now']}", answer)


def export(folder: Folder, options: argparse.Namespace) -> Answer:
    """Write the whole state to a file: what is deployed, and all that has happened."""
    answer = call(folder, "export", {"path": os.path.abspath(options.file)})
    return Answer(f"the state is in {answer['path']}", answer)


def import_(folder: Folder, options: argparse.Namespace) -> Answer:
    """Go on with an exported state in the place of this one."""
    answer = call(folder, "import", {"path": os.path.abspath(options.file)})
    return Answer(f"goes on with {answer['path']}", answer)


import_.__name__ = "import"


def down(folder: Folder, options: argparse.Namespace) -> Answer:
    """End the cloud and its functions; the state stays."""
    answer = call(folder, "down", {})
    deadline = time.monotonic() + STOP_TIMEOUT
    while folder.locked():
        if time.monotonic() > deadline:
            raise Refused(f"the local cloud in {folder.path} is still running")
        time.sleep(0.02)
    return Answer(f"stopped; the state stays in {folder.path}", answer)


class WrongUsage(Exception):
    """The options of a verb do not go together; the text says which."""


RATES = {
    "duplicates": "a delivery to a function is made twice",
    "reorder": "a delivery is held back, so that others overtake it",
    "drops": "a delivery never arrives, and is made again later",
    "lost_acks": "a function's acknowledgement is lost, and the delivery is made again",
    "crashes": "a function is killed in the middle of a delivery",
    "errors": "a function's call to a service fails",
    "lost_replies": "a function's call to a service is carried out, and its answer is lost",
}
VERBS: tuple[Verb, ...] = (
    publish,
    tick,
    advance,
    idle,
    faults,
    status,
    reset,
    export,
    import_,
    down,
)


def add_to(commands: Any) -> list[argparse.ArgumentParser]:
    """Add the verbs to a command line; each sets `verb`, which takes folder and options, and
    `parser`, its own."""
    made = {verb.__name__: _parser(commands, verb) for verb in VERBS}
    for name in ("export", "import"):
        made[name].add_argument("file", metavar="FILE", help="the file that holds the state")
    made["publish"].add_argument(
        "events", metavar="JSON|FILE|-", help="one object, an array, or JSON lines; -: from stdin"
    )
    made["publish"].add_argument(
        "--attribute",
        action="append",
        type=attribute,
        metavar="KEY=VALUE",
        help="an attribute of every message; may be given several times",
    )
    made["publish"].add_argument(
        "--topic", metavar="T", help="id or full name (default: the one that feeds functions)"
    )
    made["tick"].add_argument("job", metavar="JOB", help="the id of a job, such as weekly-digest")
    made["tick"].add_argument(
        "--at",
        type=moment,
        metavar="TIME",
        help="the tick's time (RFC 3339); the same time twice is a double fire",
    )
    made["advance"].add_argument(
        "duration", type=duration, metavar="2h|45d|90m|30s", help="how far to move the clock"
    )
    _add_faults(made["faults"])
    return list(made.values())


def _parser(commands: Any, verb: Verb) -> argparse.ArgumentParser:
    says = verb.__doc__
    parser: argparse.ArgumentParser = commands.add_parser(
        verb.__name__, help=says, description=says
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(verb=verb, parser=parser)
    return parser


def _add_faults(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("off", nargs="?", choices=["off"], help="stop all disturbances")
    parser.add_argument("--seed", type=int, help="the same number disturbs the same things again")
    for name, happens in RATES.items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=float, metavar="0..1", help=f"how often {happens}")
    parser.add_argument(
        "--latency",
        type=duration,
        metavar="20ms",
        help="how much longer each call to a service takes",
    )
    parser.add_argument("--code", help="the gRPC code of --errors (default UNAVAILABLE)")
    parser.add_argument(
        "--rule",
        action="append",
        type=rule,
        metavar="SERVICE[.METHOD]:errors=0.2,code=ABORTED,latency=50ms,lost-replies=0.1",
        help="rates for one service or method, instead of those above; may be given several times",
    )


def text(argument: str) -> str:
    """Return the text that `-` (standard input), a file's name, or JSON on the command line stands
    for."""
    if argument == "-":
        return sys.stdin.read()
    if not argument.strip() or argument.lstrip()[:1] in tuple('{["'):
        return argument
    try:
        return Path(argument).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, UnicodeDecodeError):
            raise Refused(f"publish: {argument!r} cannot be read as text: {error}") from error
    _parsed(argument, "publish: neither a file nor JSON")
    return argument


def events(document: str) -> list[Any]:
    """Return the events of a JSON document (an array holds one each) or of JSON lines, of any JSON
    type."""
    try:
        whole = json.loads(document, parse_constant=_no_constant)
    except ValueError:
        lines = [line for line in document.splitlines() if line.strip()]
        if len(lines) < 2:
            _parsed(document, "publish: not JSON")
        return [_parsed(line, f"publish: line {n} is not JSON") for n, line in enumerate(lines, 1)]
    return whole if isinstance(whole, list) else [whole]


def duration(argument: str) -> float:
    """Return the seconds of `2h`, `45d`, `1h30m`, `250ms`; raises ArgumentTypeError."""
    try:
        return durations.seconds(argument)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def moment(argument: str) -> str:
    """Return an RFC 3339 time as it is; raises ArgumentTypeError if it is none or names no zone."""
    try:
        moments.parse(argument)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return argument


def attribute(argument: str) -> tuple[str, str]:
    """Return the name and the value of `KEY=VALUE`; the value may be empty, and may hold an `=`."""
    key, separator, value = argument.partition("=")
    if not key or not separator:
        raise argparse.ArgumentTypeError(f"{argument!r} is not KEY=VALUE")
    return key, value


def rule(argument: str) -> dict[str, Any]:
    """Return the fault rule of `Firestore.Commit:errors=0.2,code=ABORTED` as a JSON document."""
    target, separator, settings = argument.partition(":")
    service, _, method = target.partition(".")
    made: dict[str, Any] = {"service": service, "method": method or "*"}
    for setting in settings.split(","):
        name, _, value = setting.partition("=")
        name = name.replace("-", "_")
        if not separator or not value:
            raise argparse.ArgumentTypeError(f"{argument!r} is not SERVICE[.METHOD]:NAME=VALUE,…")
        read: Any = {"code": str, "latency": duration}.get(name, float)
        try:
            made[name] = read(value)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{value!r} is not a value for {name}") from error
    return made


def _now(folder: Folder) -> datetime:
    return datetime.fromisoformat(call(folder, "clock")["now"])


def _parsed(document: str, otherwise: str) -> Any:
    try:
        return json.loads(document, parse_constant=_no_constant)
    except ValueError as error:
        raise Refused(f"{otherwise}: {document[:60].strip()!r} ({error})") from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
