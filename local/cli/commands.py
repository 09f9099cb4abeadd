"""The commands that drive a running cloud: what is typed, what is asked, what is printed."""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local.cli import table
from local.cli.client import Refused, call
from local.kernel import durations, moments
from local.kernel.state import Folder

STOP_TIMEOUT = 30.0
"""Seconds a cloud may take to end."""


def publish(folder: Folder, options: argparse.Namespace) -> str:
    """Publish one event, JSON lines, or an array of events."""
    body = {"events": events(text(options.events))}
    if options.topic:
        body["topic"] = options.topic
    answer = call(folder, "publish", body)
    count = len(answer["message_ids"])
    return f"published {count} event{'' if count == 1 else 's'} to {answer['topic']}"


def tick(folder: Folder, options: argparse.Namespace) -> str:
    """Fire a Scheduler job now, or as the tick of a given time."""
    body = {"job": options.job}
    if options.at:
        body["at"] = options.at
    call(folder, "tick", body)
    return f"fired {options.job}" + (f" as the tick of {options.at}" if options.at else "")


def advance(folder: Folder, options: argparse.Namespace) -> str:
    """Move the clock, through everything that falls due on the way."""
    answer = call(folder, "advance", {"seconds": options.duration})
    return f"it is {answer['now']}"


def idle(folder: Folder, options: argparse.Namespace) -> str:
    """Wait until nothing is in flight and nothing is due now."""
    return f"idle at {call(folder, 'idle', {})['now']}"


def faults(folder: Folder, options: argparse.Namespace) -> str:
    """Be nasty from now on, or stop being so."""
    names = ("seed", *RATES, "latency", "code")
    plan = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    if options.rule:
        plan["rules"] = options.rule
    if options.off == "off" and plan:
        raise Refused("faults: either off, or what is to go wrong")
    if options.off != "off" and not plan:
        raise Refused("faults: say what is to go wrong, for instance --duplicates 0.3, or off")
    answer = call(folder, "faults", plan)
    return "faults: " + (json.dumps(answer) if plan else "off")


def status(folder: Folder, options: argparse.Namespace) -> str:
    """Show queues, functions, messages, dead letters, the clock."""
    answer = call(folder, "status")
    return json.dumps(answer, indent=2) if options.json else table.status(answer)


def down(folder: Folder, options: argparse.Namespace) -> str:
    """End the cloud and its functions; the state stays."""
    call(folder, "down", {})
    deadline = time.monotonic() + STOP_TIMEOUT
    while folder.locked():
        if time.monotonic() > deadline:
            raise Refused(f"the local cloud in {folder.path} is still running")
        time.sleep(0.02)
    return f"stopped; the state stays in {folder.path}"


RATES = {
    "duplicates": "a delivery to a function is made twice",
    "reorder": "it is held back, so that others overtake it",
    "drops": "it never arrives, and is made again later",
    "lost_acks": "the function's yes is lost, and it is made again",
    "crashes": "the function is killed in the middle of it",
    "errors": "a function's call to a service fails",
    "lost_replies": "such a call is carried out, and its answer is lost",
}
VERBS: tuple[Callable[[Folder, argparse.Namespace], str], ...]
VERBS = (publish, tick, advance, idle, faults, status, down)


def add_to(commands: Any) -> list[argparse.ArgumentParser]:
    """Add the verbs to a command line; each sets `verb`, which takes folder and options."""
    made = {verb.__name__: _parser(commands, verb) for verb in VERBS}
    made["publish"].add_argument(
        "events", metavar="JSON|FILE|-", help="one object, an array, or JSON lines; -: from stdin"
    )
    made["publish"].add_argument("--topic", help="id or full name (default: the functions' one)")
    made["tick"].add_argument("job", metavar="JOB", help="such as weekly-digest")
    made["tick"].add_argument(
        "--at", type=moment, metavar="TIME", help="RFC 3339; the same twice is a double fire"
    )
    made["advance"].add_argument("duration", type=duration, metavar="2h|45d|90m|30s")
    made["status"].add_argument("--json", action="store_true", help="as one JSON document")
    _add_faults(made["faults"])
    return list(made.values())


def _parser(commands: Any, verb: Callable[..., str]) -> argparse.ArgumentParser:
    says = verb.__doc__
    parser: argparse.ArgumentParser = commands.add_parser(
        verb.__name__, help=says, description=says
    )
    parser.set_defaults(verb=verb)
    return parser


def _add_faults(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("off", nargs="?", choices=["off"], help="nothing goes wrong any more")
    parser.add_argument("--seed", type=int, help="the same seed gives the same story")
    for name, happens in RATES.items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=float, metavar="0..1", help=f"how often {happens}")
    parser.add_argument("--latency", type=duration, metavar="20ms", help="of every call")
    parser.add_argument("--code", help="what --errors answer (default UNAVAILABLE)")
    parser.add_argument(
        "--rule",
        action="append",
        type=rule,
        metavar="SERVICE[.METHOD]:errors=0.2,code=ABORTED,latency=50ms,lost-replies=0.1",
        help="instead of the above, for one service or method",
    )


def text(argument: str) -> str:
    """What `-` (stdin), a file's name or JSON on the command line stands for."""
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
    """The events of a JSON document (an array: one each) or of JSON lines; any value is one."""
    try:
        whole = json.loads(document, parse_constant=_no_constant)
    except ValueError:
        lines = [line for line in document.splitlines() if line.strip()]
        if len(lines) < 2:
            _parsed(document, "publish: not JSON")
        return [_parsed(line, f"publish: line {n} is not JSON") for n, line in enumerate(lines, 1)]
    return whole if isinstance(whole, list) else [whole]


def duration(argument: str) -> float:
    """Seconds in `2h`, `45d`, `1h30m`, `250ms`."""
    try:
        return durations.seconds(argument)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def moment(argument: str) -> str:
    """A time with its zone, RFC 3339."""
    try:
        moments.parse(argument)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return argument


def rule(argument: str) -> dict[str, Any]:
    """A fault rule: `Firestore.Commit:errors=0.2,code=ABORTED`."""
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


def _parsed(document: str, otherwise: str) -> Any:
    try:
        return json.loads(document, parse_constant=_no_constant)
    except ValueError as error:
        raise Refused(f"{otherwise}: {document[:60].strip()!r} ({error})") from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
