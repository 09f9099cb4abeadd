"""Calls of gcloud: words in, JSON out, errors as `Failed`. It has nobody to ask anything."""

import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deployment.errors import DeploymentError
from deployment.gcloud import failures
from deployment.gcloud.failures import Failure

AT_ONCE = 6
"""Calls at the same time: each is a process that works for half a second."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """One call of gcloud that changes something."""

    words: tuple[str, ...]
    input: str | None = field(default=None, repr=False)
    """What it reads: the value of a secret."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Flags whose value is a file, and what is in it."""
    is_optional: bool = False
    """Whether it may fail: a gcloud lacks the command, or whoever runs it may not do that."""


def command(*words: str, input: str | None = None, **files: str) -> Command:
    """A call; `env_vars_file="…"` is a file that is passed as `--env-vars-file=`."""
    named = {f"--{name.replace('_', '-')}": text for name, text in files.items()}
    return Command(words=words, input=input, files=named)


class Failed(DeploymentError):
    """gcloud refused, or what it called did."""

    def __init__(self, words: tuple[str, ...], failure: Failure) -> None:
        super().__init__(f"gcloud {' '.join(words[:4])}: {failure.text}")
        self.words = words
        self.failure = failure


class Gcloud:
    """gcloud for one project, as whoever is logged in there."""

    def __init__(self, project: str, executable: str = "gcloud") -> None:
        self.project = project
        self._executable = executable
        self._room = threading.BoundedSemaphore(AT_ONCE)

    def run(self, *words: str) -> Any:
        """What it prints, read as JSON; None for nothing. Raises Failed."""
        return self.carry_out(Command(words=words))

    def carry_out(self, command: Command) -> Any:
        """The same for a command with input or files."""
        with self._room, ExitStack() as stack:
            flags = list(_written(command.files, stack))
            done = self._process(command, flags)
        if done.returncode != 0:
            raise Failed(command.words, failures.read(done.stderr))
        return json.loads(done.stdout) if done.stdout.strip() else None

    def _process(self, command: Command, flags: list[str]) -> "subprocess.CompletedProcess[str]":
        everywhere = [f"--project={self.project}", "--quiet", "--format=json"]
        try:
            return subprocess.run(
                [self._executable, *command.words, *flags, *everywhere],
                env={**os.environ, "CLOUDSDK_CORE_DISABLE_PROMPTS": "1"},
                input=command.input or "",
                capture_output=True,
                text=True,
                encoding="utf-8",
            )
        except FileNotFoundError as error:
            text = "gcloud is not on PATH: https://cloud.google.com/sdk/docs/install"
            raise DeploymentError(text) from error


def _written(files: Mapping[str, str], stack: ExitStack) -> Iterator[str]:
    if files:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    for flag, text in files.items():
        path = folder / f"{flag.lstrip('-')}.yaml"
        path.write_text(text, encoding="utf-8")
        yield f"{flag}={path}"
