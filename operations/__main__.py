"""The commands of `./deploy.sh` that ask and mend what is running: from words to an exit status."""

import argparse
import logging
import sys
from collections.abc import Sequence

import common.cloud.identity
from common.errors import BundleError
from common.process import logs
from operations.console import commands as console
from operations.doctor import commands as doctor
from operations.errors import FAILED, INTERRUPTED, OperationsError
from operations.letters import commands as letters
from operations.people import commands as people
from operations.place import environment, identity
from operations.scheduled import campaign_commands, reminder_commands
from operations.terminal import command_line
from operations.terminal.command_line import Parser
from operations.things import commands as things

ROOMS = (letters, reminder_commands, campaign_commands, things, people, doctor, console)
"""Whoever adds commands, in the order of the help."""


def main(words: Sequence[str]) -> int:
    """Carry out a command line; returns the exit status."""
    try:
        given = command_line.parsed(parser(), _whole(words))
        logging.disable()  # what is logged is for functions; a command says it itself
        with logs.silenced():
            return _carried_out(given)
    except OperationsError as error:
        print("\n".join(f"deploy.sh: {line}" for line in str(error).splitlines()), file=sys.stderr)
        return error.status
    except BundleError as error:
        print(f"deploy.sh: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


def _carried_out(given: argparse.Namespace) -> int:
    if given.access_token_file:
        identity.use_token_in(given.access_token_file)
    common.cloud.identity.use(identity.credentials)
    status: int = given.run(environment.find(given.env, given.project, given.region), given)
    return status


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    top = Parser(prog="./deploy.sh", description=__doc__)
    verbs = top.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)
    for room in ROOMS:
        room.add(verbs)
    return top


def _whole(words: Sequence[str]) -> Sequence[str]:
    """`dead-letters` alone lists them."""
    commands = ("list", "show", "replay", "discard", "-h", "--help")
    if words[:1] == ["dead-letters"] and not {*words[1:2]} & {*commands}:
        return ["dead-letters", "list", *words[1:]]
    return words


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
