"""Runs one command line of gcloud against the local cloud."""

import importlib
import os
import sys
from typing import Any

from local.gcloud import services
from local.gcloud.command import HANDLERS, Call, Handler
from local.gcloud.errors import GcloudError, Several, UsageError
from local.gcloud.output import flattened, printer
from local.gcloud.rest import Cloud, environment
from local.gcloud.surface import SURFACE, Invocation, parse

MODULES = {
    "artifacts": "repositories",
    "auth": "projects",
    "billing": "projects",
    "config": "projects",
    "eventarc": "functions",
    "eventarc locations": "projects",
    "firestore": "firestore",
    "firestore locations": "projects",
    "functions": "functions",
    "functions regions": "projects",
    "iam": "accounts",
    "logging": "watching",
    "monitoring": "watching",
    "org-policies": "projects",
    "projects": "projects",
    "pubsub": "pubsub",
    "quotas": "projects",
    "run": "run",
    "run regions": "projects",
    "scheduler": "scheduler",
    "scheduler locations": "projects",
    "secrets": "secrets",
    "services": "services",
    "tasks": "tasks",
    "tasks locations": "projects",
    "version": "projects",
}
"""Where the commands that begin with a word, or two, are carried out; only that is imported."""
EVERYWHERE = {"--project", "--quiet", "--format", "--flatten", "--verbosity"}
"""Global flags that do something here, or are about what this gcloud never does."""


def main(words: list[str]) -> int:
    """Carry out a command line, and return the exit code."""
    invocation = Invocation()
    project = ""
    try:
        invocation = parse(words)
        known = environment()
        project = _project(invocation, known["GOOGLE_CLOUD_PROJECT"])
        _run(invocation, Cloud(known["LOCAL_URL"]), project)
    except GcloudError as error:
        where = getattr(error, "command", "") or invocation.dotted
        print(f"ERROR: ({where}) {error.shown(invocation.command, project)}", file=sys.stderr)
        return error.code
    return 0


def _run(invocation: Invocation, cloud: Cloud, project: str) -> None:
    handler = _handler(invocation.command)
    _check_flags(invocation, handler.flags)
    style = str(invocation.flags.get("--format", ""))
    show = printer(style)
    call = Call(invocation, cloud, project)
    services.check_enabled(call, invocation.command)

    def print_(document: Any) -> None:
        if document is not None and (style or not handler.is_quiet):
            for line in show(flattened(document, call.flag("--flatten"))):
                print(line)

    try:
        print_(handler.action(call))
    except Several as error:
        print_(error.done)
        raise


def _project(invocation: Invocation, default: str) -> str:
    given = invocation.flags.get("--project") or os.environ.get("CLOUDSDK_CORE_PROJECT")
    return str(given or default)


def _handler(command: str) -> Handler:
    first, *rest = command.split()
    module = MODULES.get(" ".join([first, *rest[:1]])) or MODULES.get(first)
    if module:
        importlib.import_module(f"local.gcloud.{module}")
    if command not in HANDLERS:
        raise UsageError("real gcloud has this command, but the local one does not carry it out")
    return HANDLERS[command]


def _check_flags(invocation: Invocation, flags: frozenset[str]) -> None:
    """Nothing is ignored: what has no effect here is refused."""
    idle = [
        flag
        for flag in invocation.flags
        if flag not in flags and (flag not in EVERYWHERE or flag not in SURFACE["flags"])
    ]
    if idle:
        text = f"real gcloud has {' '.join(idle)}, but the local one does not carry it out"
        raise UsageError(text)
