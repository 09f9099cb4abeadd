"""Whose a thing is: the mark of bundle, environment and region, and the notes beside it.

labels         functions, topics, subscriptions, secrets, the repository, alert policies
a description  accounts and schedules
a grant        queues have neither: `tasks-caller` may look at it, and the names of ours are
               noted in the description of that account before they are made
a note         a database has nothing of the kind
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

BUNDLE, ENVIRONMENT, REGION = "bundle", "bundle-environment", "bundle-region"
TEXT = re.compile(r"\[([a-z0-9-]+)/([a-z0-9-]+)/([a-z0-9-]+)\] ?(.*)", re.DOTALL)
LONGEST = 256
"""Bytes of an account's description."""


@dataclass(frozen=True)
class Mark:
    """Who made a thing, and for which environment."""

    bundle: str
    environment: str
    region: str

    def __str__(self) -> str:
        return f"[{self.bundle}/{self.environment}/{self.region}]"

    @property
    def labels(self) -> dict[str, str]:
        """As labels."""
        return {BUNDLE: self.bundle, ENVIRONMENT: self.environment, REGION: self.region}

    @property
    def flag(self) -> str:
        """As the value of `--labels`."""
        return ",".join(f"{key}={value}" for key, value in self.labels.items())


def of_labels(labels: Mapping[str, str] | None) -> Mark | None:
    """The mark that labels hold."""
    values = [(labels or {}).get(key, "") for key in (BUNDLE, ENVIRONMENT, REGION)]
    return Mark(*values) if all(values) else None


def of_text(text: str | None) -> Mark | None:
    """The mark that a description begins with."""
    found = TEXT.fullmatch(text or "")
    return Mark(found[1], found[2], found[3]) if found else None


def described(mark: Mark, purpose: str, notes: Mapping[str, str]) -> str:
    """A description: the mark, what the thing is for, and the notes that are not empty."""
    parts = [f"{mark} {purpose}", *(f"{key}={value}" for key, value in notes.items() if value)]
    return "; ".join(parts)


def notes_of(text: str | None) -> dict[str, str]:
    """The notes in a description."""
    _, *parts = (text or "").split("; ")
    pairs = (part.partition("=") for part in parts)
    return {key: value for key, equals, value in pairs if equals}
