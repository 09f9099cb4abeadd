"""What would be changed: one `Change` for each thing, with its differences field by field."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from deployment.gcloud.calls import Command

CREATE, CHANGE, REMOVE = "+", "~", "-"
LONGEST = 60
"""Characters of a value."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One field that is not as it should be."""

    name: str
    found: str
    wanted: str

    def __str__(self) -> str:
        return f"{self.name}: is {_short(self.found)}, will be {_short(self.wanted)}"


@dataclass(frozen=True, kw_only=True)
class Change:
    """Something that is made, changed or removed."""

    sign: str
    kind: str
    name: str
    commands: tuple[Command, ...]
    differences: tuple[Difference, ...] = ()
    after: str = ""
    """What it waits for; changes that name the same run one after the other."""
    grants: str = ""
    """What gcloud may refuse for a while after it: see `deployment.gcloud.failures.Known.needs`."""

    @property
    def what(self) -> str:
        """`queue digests`."""
        return f"{self.kind} {self.name}"

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes two changes the same."""
        return self.sign, self.kind, self.name

    def lines(self) -> Iterator[str]:
        """As it is shown."""
        yield f"{self.sign} {self.what}"
        yield from (f"    {it}" for it in self.differences)


def differences(
    found: Mapping[str, Any], wanted: Mapping[str, Any], names: Iterable[str] | None = None
) -> tuple[Difference, ...]:
    """The fields that are not the same, of those that are wanted."""
    compared = names if names is not None else wanted
    return tuple(
        Difference(name=name, found=shown(found.get(name)), wanted=shown(wanted.get(name)))
        for name in compared
        if shown(found.get(name)) != shown(wanted.get(name))
    )


def maps(path: str, found: Mapping[str, str], wanted: Mapping[str, str]) -> tuple[Difference, ...]:
    """The same for two maps of which each key counts, also those that are not wanted."""
    named = differences(found, wanted, sorted({*found, *wanted}))
    return tuple(
        Difference(name=f"{path}.{it.name}", found=it.found, wanted=it.wanted) for it in named
    )


def shown(value: Any) -> str:
    """A value as text; numbers with and without a fraction are the same."""
    if value is None or value == "":
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list | tuple):
        return ", ".join(map(shown, value)) or "none"
    return str(value)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


@dataclass(kw_only=True)
class Plan:
    """All of it, in the order in which it happens."""

    changes: list[Change] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What is not changed, and should be known."""
    refusals: list[str] = field(default_factory=list)
    """What is somebody else's, or needs a flag; with any of these nothing is changed."""
