"""A collection of JSON documents with full names: what many of Google's APIs are from outside."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from local.kernel.merging import merged
from local.kernel.status import Status
from local.services.resources import Resources

JSON = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Collection:
    """Documents of one kind, kept in the state file."""

    resources: Resources
    kind: str
    missing: Callable[[str], Status]
    """Returns what is raised for a name that nothing has."""
    taken: Callable[[str], Status]
    """Returns what is raised for a new name that something has already."""

    def under(self, parent: str) -> list[JSON]:
        """Return what is directly or deeper under a parent, in the order of the names."""
        found = self.resources.all(self.kind).items()
        return [dict(document) for name, document in found if name.startswith(f"{parent}/")]

    def find(self, name: str) -> JSON | None:
        """Return one, or None."""
        found = self.resources.all(self.kind).get(name)
        return None if found is None else dict(found)

    def get(self, name: str) -> JSON:
        """Return one; raises what `missing` says."""
        found = self.find(name)
        if found is None:
            raise self.missing(name)
        return found

    def add(self, name: str, document: JSON) -> JSON:
        """Keep a new one; raises what `taken` says."""
        if self.find(name) is not None:
            raise self.taken(name)
        return self.put(name, document)

    def put(self, name: str, document: JSON) -> JSON:
        """Keep it as it is now, and return it."""
        self.resources.put(self.kind, name, document)
        return document

    def change(self, name: str, new: JSON, paths: Iterable[str]) -> JSON:
        """Return one with the fields at `paths` as they are in `new`, and keep it so."""
        return self.put(name, merged(self.get(name), new, paths))

    def remove(self, name: str) -> None:
        """Forget one; raises what `missing` says."""
        self.get(name)
        self.resources.delete(self.kind, name)
