"""One deployment while it is planned: the target, what is there, and what was found out."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from deployment.gcloud.world import World
from deployment.table.ownership import Mark
from deployment.table.target import Target


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line allows."""

    adopt: frozenset[str] = frozenset()
    """`KIND/NAME` of things that become ours."""
    remove: frozenset[str] = frozenset()
    """`KIND/NAME` of rows that go although something waits in them."""
    mend: frozenset[str] = frozenset()
    change_provider: bool = False


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What the kinds work with."""

    target: Target
    world: World
    options: Options = Options()
    notes: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, text: str) -> None:
        """Something that is not changed, and should be known."""
        with self._lock:
            if text not in self.notes:
                self.notes.append(text)

    def refuse(self, text: str) -> None:
        """Nothing is changed at all, because of this."""
        with self._lock:
            if text not in self.refusals:
                self.refusals.append(text)

    def may_change(self, kind: str, name: str, mark: Mark | None) -> bool:
        """Whether a thing that exists is ours, or becomes ours now. One that is not is refused."""
        if mark == self.target.mark or f"{kind}/{name}" in self.options.adopt:
            return True
        whose = f"belongs to {mark}" if mark else "exists, and is not of this bundle"
        self.refuse(f"{kind} {name} {whose}; --adopt {kind}/{name} would make it so")
        return False

    def labels(self, found: Mapping[str, str]) -> dict[str, str]:
        """The labels of ours that a thing lacks."""
        return {k: v for k, v in self.target.mark.labels.items() if found.get(k) != v}
