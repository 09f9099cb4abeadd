"""`console`: all of it as a page on this machine."""

import argparse
import signal
import threading
from typing import Any

from operations.errors import FINE
from operations.place import cloud
from operations.place.environment import Place
from operations.terminal import command_line, output


def add(verbs: Any) -> None:
    """Add `console`."""
    made = command_line.verb(verbs, "console", _console, "all of it as a page on this machine")
    made.add_argument("--port", type=int, default=0, metavar="N", help="(any free one)")
    made.add_argument("--write", action="store_true", help="let the page change something")
    made.add_argument("--announce", action="store_true", help=argparse.SUPPRESS)


def _console(where: Place, given: argparse.Namespace) -> int:
    from operations.console import server  # the other commands need no server

    serving = server.serve(where, port=given.port, may_write=given.write or where.is_local)
    address = f"http://127.0.0.1:{serving.server_port}/"
    output.document({"url": address}) if given.json else print(f"console: {address}", flush=True)
    if given.announce:
        cloud.announce(address)
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stopped.set())
    server.run(serving, stopped)
    return FINE
