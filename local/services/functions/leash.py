"""Ends the functions' processes when the cloud is killed and cannot do it itself.

    python local/services/functions/leash.py < PIPE

One small process beside the cloud. It reads `+PID` and `-PID` lines, the process groups that were
started and ended, until the pipe closes, which it does whatever becomes of the cloud; then it ends
the groups that are left. Standard library only, so that it costs nothing to start.
"""

import contextlib
import os
import signal
import sys


def main() -> None:
    """Read until the end, then end what is left."""
    groups: set[int] = set()
    for line in sys.stdin:
        change = groups.add if line[0] == "+" else groups.discard
        change(int(line[1:]))
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
