"""The command lines that real gcloud takes, and nothing else: parsed and checked.

`surface.json` is real gcloud's own table: the commands of the groups a deployment uses, with their
flags. A flag is `bool` (with a `--no-…`), `switch`, a list of choices, or a kind of value.
"""

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from local.gcloud.errors import UsageError

Value = str | bool

with open(os.path.join(os.path.dirname(__file__), "surface.json"), encoding="utf-8") as _file:
    SURFACE = json.load(_file)

COMMANDS: Mapping[str, dict[str, Any]] = SURFACE["commands"]
TRACKS = ("alpha", "beta")
"""Words before a command; some commands exist only behind one."""


class Invocation:
    """One command line, understood."""

    def __init__(self) -> None:
        self.command = ""
        """For instance `tasks queues create`."""
        self.flags: dict[str, Value] = {}
        """As given, `--no-x` as `--x` with False."""
        self.arguments: list[str] = []
        self.track = ""
        """`alpha` or `beta`, if the command line begins so."""

    @property
    def dotted(self) -> str:
        """The command as in gcloud's messages: `gcloud.tasks.queues.create`."""
        return ".".join(["gcloud", *filter(None, [self.track]), *self.command.split()])


def parse(words: list[str]) -> Invocation:
    """Return what a command line asks for; raises UsageError, with the command found so far."""
    invocation = Invocation()
    unknown: list[str] = []
    rest = iter(words)
    for word in rest:
        if word.startswith("-") and len(word) > 1:
            _read_flag(invocation, word, rest, unknown)
        elif invocation.command in COMMANDS:
            invocation.arguments.append(word)
        elif word in TRACKS and not invocation.command and not invocation.track:
            invocation.track = word
        else:
            _read_command(invocation, word)
    _check(invocation, unknown)
    return invocation


def _read_command(invocation: Invocation, word: str) -> None:
    command = f"{invocation.command} {word}".lstrip()
    known = [name for name in COMMANDS if f"{name} ".startswith(f"{command} ")]
    tracks = {track for name in known for track in COMMANDS[name].get("tracks", ("", *TRACKS))}
    if invocation.track not in tracks:
        others = "".join(f"\n  gcloud {track} {command}" for track in sorted(tracks))
        where = "\nThis command is available in one or more alternate release tracks.  Try:"
        raise refused(invocation, f"Invalid choice: '{word}'.{where + others if others else ''}")
    invocation.command = command


def _read_flag(invocation: Invocation, word: str, rest: Iterator[str], unknown: list[str]) -> None:
    name, equals, value = word.partition("=")
    entry = COMMANDS.get(invocation.command, {"flags": {}})
    name = {**SURFACE["short"], **entry.get("short", {})}.get(name, name)
    known = {**SURFACE["flags"], **entry["flags"]}
    if name in known and known[name] not in ("bool", "switch"):
        text = value if equals else _next(invocation, name, rest)
        invocation.flags[name] = _checked(invocation, name, text, known[name])
    elif name in known and not equals:
        invocation.flags[name] = True
    elif known.get(positive := name.replace("--no-", "--", 1)) == "bool" and not equals:
        invocation.flags[positive] = False
    else:
        unknown.append(word)


def _next(invocation: Invocation, name: str, rest: Iterator[str]) -> str:
    value = next(rest, None)
    if value is None or value.startswith("--"):
        raise refused(invocation, f"argument {name}: expected one argument")
    return value


def _checked(invocation: Invocation, name: str, text: str, kind: str | list[str]) -> str:
    if isinstance(kind, list):
        if text not in kind:
            choices = ", ".join(kind)
            raise refused(
                invocation,
                f"argument {name}: Invalid choice: '{text}'.\n\nValid choices are [{choices}].",
            )
        return text
    word, _, limits = kind.partition(" ")
    if word in ("int", "float"):
        _check_number(invocation, name, text, word, limits)
    return text


def _check_number(invocation: Invocation, name: str, text: str, kind: str, limits: str) -> None:
    what = "an integer" if kind == "int" else "a floating point number"
    try:
        number = int(text) if kind == "int" else float(text)
    except ValueError:
        if limits.startswith("or ") and text == limits[3:]:
            return
        raise refused(
            invocation, f"argument {name}: Value must be {what}; received: {text}"
        ) from None
    least, _, most = limits.rpartition(" ")[2].partition("..")
    for bound, wrong, word in (
        (least, least and _is_number(least) and number < float(least), "greater"),
        (most, most and number > float(most), "less"),
    ):
        if wrong:
            raise refused(
                invocation,
                f"argument {name}: Value must be {word} than or equal to {bound}; received: {text}",
            )


def _is_number(text: str) -> bool:
    return text.lstrip("-").isdigit()


def _check(invocation: Invocation, unknown: list[str]) -> None:
    if invocation.command not in COMMANDS:
        raise refused(invocation, "Command name argument expected.")
    entry = COMMANDS[invocation.command]
    positional = entry.get("args", [])
    repeated = any(name[-1] in "+*" for name in positional)
    if not repeated:
        unknown = [*invocation.arguments[len(positional) :], *unknown]
    if unknown:
        raise refused(invocation, f"unrecognized arguments: {' '.join(unknown)}")
    needed = [name.rstrip("+") for name in positional if name[-1] not in "?*"]
    missing = [
        *needed[len(invocation.arguments) :],
        *(flag for flag in entry.get("required", ()) if flag not in invocation.flags),
    ]
    if missing:
        raise refused(invocation, f"argument {' '.join(missing)}: Must be specified.")
    for group in entry.get("one_of", ()):
        _check_group(invocation, group)


def _check_group(invocation: Invocation, group: dict[str, Any]) -> None:
    alternatives = [names for names in group["of"] if names]
    shown = " | ".join(names[0] for names in alternatives)
    given = [names for names in alternatives if any(n in invocation.flags for n in names)]
    if len(given) > 1:
        text = f"argument {given[0][0]}: At most one of {shown} can be specified."
        raise refused(invocation, text)
    if group.get("required") and not given and len(alternatives) == len(group["of"]):
        raise refused(invocation, f"Exactly one of ({shown}) must be specified.")


def refused(invocation: Invocation, text: str) -> UsageError:
    """The error that a command line gets, naming the command as far as it was understood."""
    error = UsageError(text)
    error.command = invocation.dotted
    return error
