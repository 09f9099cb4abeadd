"""`python -m local COMMAND`: runs the local cloud, and drives the one that is running."""

import argparse
import os
import re
import sys

from local.cli import client, commands
from local.kernel.state import chosen


def main() -> int:
    """0: done; 1: it could not be done, with one sentence on stderr; 2: not understood."""
    options = parser().parse_args()
    folder = chosen(options.state, os.environ)
    if options.command == "up":
        from local.cli import (
            up,  # the services take half a second to load; the other verbs need none
        )

        return up.run(folder, options)
    try:
        print(options.verb(folder, options))
    except client.Refused as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="./deploy.sh local", description=__doc__)
    top.add_argument("--state", help="state folder (default: $LOCAL_STATE, else .local)")
    verbs = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = verbs.add_parser("up", help="run the cloud in the foreground")
    up.add_argument("--project", default="local-project", help="the project's id")
    up.add_argument("--port", type=int, help="HTTP port; 0: any (default: $LOCAL_PORT, else 8700)")
    for service in ("firestore", "pubsub", "tasks"):
        up.add_argument(
            f"--{service}", type=address, metavar="HOST:PORT", help=f"a foreign {service} server"
        )
    for command in (up, *commands.add_to(verbs)):
        command.add_argument("--state", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return top


def address(text: str) -> str:
    """A HOST:PORT."""
    if not re.fullmatch(r"[^:/\s]+:\d+|\[[0-9a-fA-F:]+\]:\d+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return text


if __name__ == "__main__":
    sys.exit(main())
