"""The command lines of operations: what is not understood is one sentence and code 64."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from operations.errors import WRONG_USAGE, OperationsError, UsageError

Verb = Callable[[Any, argparse.Namespace], int]
"""Takes the place and the options; returns the exit status."""


class Parser(argparse.ArgumentParser):
    """Wrong usage ends with 64."""

    def error(self, message: str) -> NoReturn:
        """Print one sentence on standard error and end with code 64."""
        print(f"deploy.sh: {message}; see ./deploy.sh {self.prog} --help", file=sys.stderr)
        sys.exit(WRONG_USAGE)


@dataclass(frozen=True, kw_only=True)
class Operand:
    """What a command is about, besides an environment."""

    field: str
    """Of what `parsed` returns."""
    metavar: str
    about: str = "of what it is about"
    many: bool = False
    """Whether there may be none, or several: the field is a list."""


def verb(
    verbs: Any, name: str, run: Verb, about: str, operand: Operand | None = None
) -> argparse.ArgumentParser:
    """Add a command; `name` may have two words, such as `dead-letters list`."""
    shown = f"ENV {operand.metavar}" if operand else "ENV"
    usage = f"./deploy.sh {name} {shown} [OPTIONS]"
    made: argparse.ArgumentParser = verbs.add_parser(
        name.rpartition(" ")[2], prog=name, help=about, description=about, usage=usage
    )
    made.set_defaults(run=run, parser=made, operand=operand)
    explained = f"the environment of functions/bundle.toml{operand.about if operand else ''}"
    made.add_argument("words", nargs="*", metavar=shown, help=explained)
    place = made.add_argument_group("instead of ENV")
    place.add_argument("--env", metavar="ENV", default="", help="the same")
    place.add_argument("--project", metavar="P", default="", help="with --region")
    place.add_argument("--region", metavar="R", default="", help="like europe-west1")
    made.add_argument(
        "--access-token-file",
        metavar="FILE",
        help="the file with an access token (default: the application default credentials, else "
        "what gcloud is logged in as)",
    )
    made.add_argument("--json", action="store_true", help="print one JSON document")
    return made


def parsed(top: argparse.ArgumentParser, words: Sequence[str]) -> argparse.Namespace:
    """The options of a command line; `env` and the field of the operand are among them.

    The first operand is the environment, unless an option names it. What is wrong ends with 64.
    """
    given, rest = top.parse_known_args(words)
    if unknown := [word for word in rest if word.startswith("-")]:
        given.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    # What stands behind an option is left over by argparse.
    operands = [*given.words, *rest]
    if not (given.env or given.project or given.region):
        if not operands:
            given.parser.error("name an environment: ENV, or --project P --region R")
        given.env = operands.pop(0)
    _assign(given, operands)
    return given


def _assign(given: argparse.Namespace, operands: list[str]) -> None:
    operand: Operand | None = given.operand
    if operand and operand.many:
        setattr(given, operand.field, operands)
    elif operand and len(operands) == 1:
        setattr(given, operand.field, operands[0])
    elif operand:
        given.parser.error(f"expected one {operand.metavar}, and not {len(operands)}")
    elif operands:
        given.parser.error(f"unrecognized arguments: {' '.join(operands)}")


def group(verbs: Any, name: str, about: str) -> Any:
    """Add a command that has commands of its own."""
    made = verbs.add_parser(name, prog=name, help=about, description=about)
    return made.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)


def limited(parser: argparse.ArgumentParser, number: int, what: str = "rows at most") -> None:
    """A command reads or prints at most so many."""
    parser.add_argument(
        "--limit", type=positive, default=number, metavar="N", help=f"{what} ({number})"
    )


def positive(text: str) -> int:
    """A whole number from 1 on; raises ArgumentTypeError."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def confirm(what: str, verb: str) -> None:
    """Ask on the terminal. Raises UsageError where nobody can answer, OperationsError for a no."""
    if not sys.stdin.isatty():
        raise UsageError(f"{verb} asks before it changes anything; add --yes where nobody answers")
    print(f"{what}? Type yes to go on: ", end="", flush=True)
    if sys.stdin.readline().strip() != "yes":
        raise OperationsError("nothing was changed")
