"""Where an operator works: an environment of the table, as it is deployed, and as whom.

`deployment describe` says what is deployed. Its functions' variables become this process's own, so
that `common` reads and writes what the functions do. What the operator's environment says itself
(FIRESTORE_EMULATOR_HOST and the like, or REMINDER_URL) goes first.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from operations.errors import FOUND, OperationsError, UsageError

ROOT = Path(__file__).resolve().parents[2]
NOWHERE = "https://not-deployed.invalid"
"""Stands for the address of a function that could not be read; nothing is ever sent to it."""
NEEDED = {
    "REMINDER_URL": NOWHERE,
    "REMINDER_AUDIENCE": NOWHERE,
    "FANOUT_URL": NOWHERE,
    "FANOUT_AUDIENCE": NOWHERE,
    "TASKS_SERVICE_ACCOUNT": "nobody@not-deployed.invalid",
    "SCHEDULER_SERVICE_ACCOUNT": "nobody@not-deployed.invalid",
}


@dataclass(frozen=True, kw_only=True)
class Place:
    """One environment."""

    environment: str
    """Its name in the table."""
    words: Sequence[str]
    """How it is named on a command line: `production`, or `--project P --region R`."""
    project: str
    region: str
    database: str
    described: Mapping[str, Any]
    """All that `deployment describe` says."""

    @property
    def is_local(self) -> bool:
        """Whether this is the local cloud, where a few things can be done that Google's has not."""
        return bool(os.environ.get("LOCAL_URL"))

    def command(self, verb: str, words: str = "") -> str:
        """A command of `deploy.sh` for this environment, to be typed."""
        if self.is_local and self.environment == "local":
            return f"./deploy.sh local {verb} {words}".strip()
        return " ".join(filter(None, ("./deploy.sh", verb, *self._named(words))))

    def _named(self, words: str) -> tuple[str, ...]:
        """The environment stands first, as a word of the table, or last, as options."""
        is_a_word = not self.words[0].startswith("-")
        return (*self.words, words) if is_a_word else (words, *self.words)

    @property
    def topic(self) -> str:
        """The id of the topic that feeds `consumer`."""
        for function in self.described["functions"]:
            if function["woken_by"] != "http":
                return f"{self.described['prefix']}{function['woken_by']}"
        raise OperationsError("no function of this environment is woken by a topic")

    def examined(self) -> list[dict[str, Any]]:
        """What `deployment doctor` finds, the deployed side. Raises OperationsError."""
        found: list[dict[str, Any]] = _deployment("doctor", self.words, {FOUND})
        return found

    def can_ring(self) -> bool:
        """Whether it is known where Cloud Tasks calls the functions."""
        return os.environ.get("REMINDER_URL", NOWHERE) != NOWHERE


def find(environment: str, project: str, region: str) -> Place:
    """The environment that a command line names. Raises UsageError and OperationsError."""
    if not (environment or project or region):
        raise UsageError("name an environment: ENV, or --project P --region R")
    words = [environment] if environment else []
    words += ["--project", project] if project else []
    words += ["--region", region] if region else []
    described = _deployment("describe", words)
    place = Place(
        environment=described["environment"],
        words=words,
        project=described["project"],
        region=described["region"],
        database=described["database"],
        described=described,
    )
    _settle_in(place)
    return place


def _deployment(verb: str, words: Sequence[str], fine: Set[int] = frozenset()) -> Any:
    """What a verb of `deployment` says, as JSON. Raises UsageError and OperationsError."""
    command = [sys.executable, "-P", "-m", "deployment", verb, "--json", *words]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environ)
    if done.returncode == UsageError.status:
        raise UsageError(_sentence(done.stderr))
    if done.returncode not in {0, *fine}:
        raise OperationsError(_sentence(done.stderr))
    return json.loads(done.stdout)


def _sentence(text: str) -> str:
    lines = [line.removeprefix("deploy.sh: ") for line in text.splitlines() if line.strip()]
    return "\n".join(lines) or "deployment describe says nothing"


def _settle_in(place: Place) -> None:
    """Read and write what the functions do; nothing here runs as a function."""
    deployed: dict[str, str] = {}
    for function in place.described["functions"]:
        deployed |= function["variables"] or {}
    known = {
        "GOOGLE_CLOUD_PROJECT": place.project,
        "LOCATION": place.region,
        "QUEUE_PREFIX": place.described["prefix"],
        "FIRESTORE_DATABASE": place.database,
    }
    for name, value in {**NEEDED, **place.described["settings"], **deployed}.items():
        os.environ.setdefault(name, value)
    os.environ |= known
    os.environ.pop("FUNCTION_TARGET", None)
