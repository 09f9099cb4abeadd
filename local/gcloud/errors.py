"""What ends a command of the mini gcloud, in gcloud's own words."""


class GcloudError(Exception):
    """Printed as `ERROR: (gcloud.command) text`; the process ends with `code`."""

    code = 1


class UsageError(GcloudError):
    """The command line is not one of gcloud's."""

    code = 2
    command = ""
    """The command as far as it was understood, if it is not the whole one: `gcloud.tasks`."""


class ApiError(GcloudError):
    """What a service of the local cloud refused."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        """For instance `NOT_FOUND`."""
        self.message = message
