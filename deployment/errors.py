"""What ends a command: one sentence for whoever ran it."""

FINE, FAILED, DIFFERENT, WRONG_USAGE = 0, 1, 2, 64
"""Exit statuses."""


class DeploymentError(Exception):
    """The command cannot go on; its text is all that is printed."""

    status = FAILED


class UsageError(DeploymentError):
    """The command line or the table is wrong; nothing was asked of gcloud."""

    status = WRONG_USAGE


class TableError(UsageError):
    """`functions/bundle.toml` says something that cannot be; one line for each mistake."""


class RefusedError(DeploymentError):
    """What would have to be changed is not ours, or not to be changed without being told so."""
