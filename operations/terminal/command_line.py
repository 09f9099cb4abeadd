"""The command lines of operations: what is not understood is one sentence and code 64."""

import argparse
import sys
from collections.abc import Callable
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


def verb(verbs: Any, name: str, run: Verb, about: str) -> argparse.ArgumentParser:
    """Add a command; `name` may have two words, such as `dead-letters list`."""
    last = name.rpartition(" ")[2]
    made: argparse.ArgumentParser = verbs.add_parser(last, prog=name, help=about, description=about)
    made.set_defaults(run=run)
    place = made.add_argument_group("which environment")
    place.add_argument("--env", metavar="ENV", default="", help="of functions/bundle.toml")
    place.add_argument("--project", metavar="P", default="", help="with --region, instead of ENV")
    place.add_argument("--region", metavar="R", default="", help="like europe-west1")
    place.add_argument(
        "--access-token-file",
        metavar="FILE",
        help="the file with an access token (default: the application default credentials, else "
        "what gcloud is logged in as)",
    )
    made.add_argument("--json", action="store_true", help="print one JSON document")
    return made


def group(verbs: Any, name: str, about: str) -> Any:
    """Add a command that has commands of its own."""
    made = verbs.add_parser(name, prog=name, help=about, description=about)
    return made.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)


def limited(parser: argparse.ArgumentParser, number: int) -> None:
    """A list prints at most so many rows."""
    parser.add_argument(
        "--limit", type=positive, default=number, metavar="N", help=f"rows at most ({number})"
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
