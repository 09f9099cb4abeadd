"""What ends a command of the mini gcloud, in gcloud's own words."""

import json
from typing import Any

ACCOUNT = "developer@example.com"
"""Who the local gcloud says it is."""
AUTHENTICATED = (
    f"This command is authenticated as {ACCOUNT} which is the active account specified by the "
    "[core/account] property."
)
OF_PROJECT = ("firestore", "iam", "pubsub", "run", "secrets")
"""The groups whose lists are of a project, not of a location."""
TOLD = ("NOT_FOUND", "PERMISSION_DENIED", "UNAUTHENTICATED")
"""The statuses after which gcloud says who it is."""
CONFLICTS = (
    *("firestore databases", "iam service-accounts", "logging metrics"),
    "secrets create",
)
"""The commands that tell of a conflict in a sentence without the status's name."""


class GcloudError(Exception):
    """Printed as `ERROR: (gcloud.command) text`; the process ends with `code`."""

    code = 1

    def shown(self, command: str, project: str) -> str:
        """Return what a command prints of it."""
        return str(self)


class UsageError(GcloudError):
    """The command line is not one of gcloud's."""

    code = 2
    command = ""
    """The command as far as it was understood, if it is not the whole one: `gcloud.tasks`."""


class ApiError(GcloudError):
    """What a service of the local cloud refused."""

    def __init__(self, status: str, message: str, http: int = 400) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        """For instance `NOT_FOUND`."""
        self.message = message
        self.http = http

    def shown(self, command: str, project: str) -> str:
        """Return it as the command's group prints it: each has a form of its own."""
        if command.startswith(("functions", "run services describe")):
            return f"ResponseError: status=[{self.http}], code=[Ok], message=[{self.message}]"
        if self.status == "ALREADY_EXISTS" and command.startswith(CONFLICTS):
            where = f"Resource in projects [{project}] is the subject of a conflict"
            return f"{where}: {self.message}"
        return f"{self.status}: {self.sentence}"

    @property
    def sentence(self) -> str:
        """The message, with who asked where that may be the cause."""
        if self.status not in TOLD:
            return self.message
        return f"{self.message}{'' if self.message.endswith('.') else '.'} {AUTHENTICATED}"


class Disabled(ApiError):
    """A service that a project does not have enabled."""

    def __init__(self, service: str, title: str, project: str) -> None:
        page = f"https://console.developers.google.com/apis/api/{service}/overview"
        text = (
            f"{title} has not been used in project {project} before or it is disabled. Enable it "
            f"by visiting {page}?project={project} then retry. If you enabled this API recently, "
            "wait a few minutes for the action to propagate to our systems and retry."
        )
        super().__init__("PERMISSION_DENIED", text, 403)
        self.details = (
            "- '@type': type.googleapis.com/google.rpc.ErrorInfo\n  domain: googleapis.com\n"
            f"  metadata:\n    consumer: projects/{project}\n    service: {service}\n"
            "  reason: SERVICE_DISABLED"
        )
        """What tells a program that it is this, and not a refusal."""

    def shown(self, command: str, project: str) -> str:
        """Return it as the command's group prints it; lists of a project say it in one more way."""
        group, *rest = command.split()
        if group == "artifacts":
            error = {"code": self.http, "message": self.message, "status": self.status}
            return json.dumps({"error": error})
        where = {"run": "namespaces"}.get(group, "projects")
        beginning = f"{self.status}: "
        if group in OF_PROJECT and rest[-1] == "list":
            beginning = (
                f"[{ACCOUNT}] does not have permission to access {where} instance [{project}] (or "
                "it may not exist): "
            )
        return f"{beginning}{self.sentence}\n{self.details}"


class Several(GcloudError):
    """Some of the things that were named failed; each has been told already."""

    def __init__(self, verb: str, names: list[str], done: list[Any]) -> None:
        super().__init__(f"Failed to {verb} the following: [{','.join(names)}].")
        self.done = done
        """What was answered for the others, which is printed all the same."""
