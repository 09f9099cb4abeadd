"""`python -m local COMMAND`: runs the local cloud, and drives the one that is running."""

import argparse
import json
import os
import sys

from local.cli import client, commands
from local.cli.parser import Parser, address, port
from local.kernel import state

INTERRUPTED = 130


def main() -> int:
    """Return the exit code: 0 done; 1 it could not be done, with one sentence on standard error.

    A command that was called in a wrong way ends with 64.
    """
    options = parser().parse_args()
    folder = state.folder(options.state, os.environ)
    if options.command == "up":
        from local.cli import up  # the services take half a second to load; other verbs need none

        return up.run(folder, options)
    return drive(folder, options)


def drive(folder: state.Folder, options: argparse.Namespace) -> int:
    """Ask the running cloud for what was typed, print its answer, and return the exit code."""
    try:
        answer = options.verb(folder, options)
        print(json.dumps(answer.document, indent=2) if options.json else answer.text)
    except commands.WrongUsage as error:
        options.parser.error(str(error))
    except client.Refused as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    top = Parser(prog="./deploy.sh local", description=__doc__)
    top.add_argument("--state", help="state folder (default: $LOCAL_STATE, else .local)")
    verbs = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = verbs.add_parser("up", prog=top.prog, help="run the cloud in the foreground")
    up.add_argument("--project", default="local-project", help="the project's id")
    up.add_argument(
        "--port", type=port, help="HTTP port; 0: any free ones (default: $LOCAL_PORT, else 8700)"
    )
    up.add_argument(
        "--reload", action="store_true", help="start functions anew when their files are changed"
    )
    for service in ("firestore", "pubsub", "tasks"):
        up.add_argument(
            f"--{service}", type=address, metavar="HOST:PORT", help=f"a foreign {service} server"
        )
    for command in (up, *commands.add_to(verbs)):
        command.add_argument("--state", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return top


if __name__ == "__main__":
    sys.exit(main())
