"""Runs one command line of gcloud against the local cloud."""

import importlib
import os
import sys

from local.gcloud.command import HANDLERS, Call, Handler
from local.gcloud.errors import GcloudError, UsageError
from local.gcloud.output import flattened, printer
from local.gcloud.rest import Cloud, environment
from local.gcloud.surface import SURFACE, Invocation, parse

MODULES = {
    "eventarc": "functions",
    "firestore": "firestore",
    "functions": "functions",
    "iam": "accounts",
    "projects": "accounts",
    "pubsub": "pubsub",
    "run": "policies",
    "scheduler": "scheduler",
    "services": "accounts",
    "tasks": "tasks",
}
"""Where the commands that begin with a word are carried out; only that is imported."""
EVERYWHERE = {"--project", "--quiet", "--format", "--flatten", "--verbosity"}
"""Global flags that do something here, or are about what this gcloud never does."""


def main(words: list[str]) -> int:
    """Carry out a command line; returns the exit code."""
    where = "gcloud"
    try:
        invocation = parse(words)
        where = invocation.dotted
        _run(invocation)
    except GcloudError as error:
        print(f"ERROR: ({getattr(error, 'command', '') or where}) {error}", file=sys.stderr)
        return error.code
    return 0


def _run(invocation: Invocation) -> None:
    handler, flags = _handler(invocation.command)
    _check_flags(invocation, flags)
    show = printer(str(invocation.flags.get("--format", "")))
    known = environment()
    project = invocation.flags.get("--project") or os.environ.get("CLOUDSDK_CORE_PROJECT")
    project = str(project or known["GOOGLE_CLOUD_PROJECT"])
    call = Call(invocation, Cloud(known["LOCAL_URL"]), project)
    document = handler(call)
    if document is not None:
        for line in show(flattened(document, call.flag("--flatten"))):
            print(line)


def _handler(command: str) -> tuple[Handler, frozenset[str]]:
    module = MODULES.get(command.split()[0])
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
