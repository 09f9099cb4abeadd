"""The names of topics and subscriptions, and what is said of a wrong or unknown one."""

import re

import grpc

from local.kernel.refusals import invalid
from local.kernel.status import Status

DELETED_TOPIC = "_deleted-topic_"
"""What a subscription's `topic` says once its topic was deleted."""

_PROJECT = re.compile(r"projects/[A-Za-z0-9:.-]+", re.A)
_RESOURCE = re.compile(r"projects/([^/]+)/(topics|subscriptions)/([A-Za-z][\w.~+%-]{2,254})", re.A)


def check_project(name: str) -> None:
    """Refuse what is not `projects/P` with INVALID_ARGUMENT."""
    if not _PROJECT.fullmatch(name):
        raise _invalid(name, "project")


def check(name: str, collection: str, field: str = "name") -> None:
    """Refuse what is not `projects/P/{collection}/ID` with INVALID_ARGUMENT."""
    match = _RESOURCE.fullmatch(name)
    if not match or match[2] != collection or match[3].lower().startswith("goog"):
        raise _invalid(name, field)


def short(name: str) -> str:
    """The last part of a resource name."""
    return name.rsplit("/", 1)[-1]


def project(name: str) -> str:
    """The project of a resource name: `projects/P/…` → `P`."""
    return name.split("/")[1]


def not_found(name: str) -> Status:
    """What the platform says of a topic or subscription that is not there."""
    return Status(grpc.StatusCode.NOT_FOUND, f"Resource not found (resource={short(name)}).")


def already_exists(name: str) -> Status:
    """What the platform says when a name is taken."""
    return Status(
        grpc.StatusCode.ALREADY_EXISTS,
        f"Resource already exists in the project (resource={short(name)}).",
    )


def _invalid(name: str, field: str) -> Status:
    return invalid(
        f"Invalid resource name given ({field}={name}). Refer to "
        "https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names "
        "for more information.",
    )
