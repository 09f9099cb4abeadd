"""What ends a command: one sentence for whoever ran it, and an exit status."""

FINE, FAILED, FOUND, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 64, 130
"""Exit statuses; FOUND: `doctor` has findings; FAILED: also that it could not ask everything."""


class OperationsError(Exception):
    """The command cannot go on; its text is all that is printed."""

    status = FAILED


class UsageError(OperationsError):
    """The command line is wrong; nothing was asked of anybody."""

    status = WRONG_USAGE


class NotFoundError(OperationsError):
    """There is no such thing."""
