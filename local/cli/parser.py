"""The command lines of the local cloud: what they do not understand is one sentence and code 64."""

import argparse
import re
from typing import NoReturn

WRONG_USAGE = 64
"""The exit code of a command that was called in a wrong way (EX_USAGE of sysexits.h)."""
LAST_PORT = 65_000
"""The cloud listens also on the ports after the one that is asked for."""


class Parser(argparse.ArgumentParser):
    """Like the standard parser, with another `error`; the parsers of the verbs are of this class
    too."""

    def error(self, message: str) -> NoReturn:
        """Print one sentence on standard error and end with code 64."""
        self.exit(WRONG_USAGE, f"{self.prog}: {message}; see {self.prog} --help\n")


def address(text: str) -> str:
    """Return a HOST:PORT as it is; raises ArgumentTypeError for anything else."""
    if not re.fullmatch(r"[^:/\s]+:\d+|\[[0-9a-fA-F:]+\]:\d+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return text


def port(text: str) -> int:
    """Return a port number that leaves room for those after it; raises ArgumentTypeError."""
    if not re.fullmatch(r"[0-9]+", text) or int(text) > LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port number (0: any free ones)")
    return int(text)
