"""A stored document, a change of one, and the part of a database a scan looks at."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from local.kernel import moments
from local.services.firestore.messages import Document
from local.services.firestore.paths import AFTER, FIRST, Collection, Path, first_segment


class Stored(NamedTuple):
    """A document as it is stored. Times are microseconds since 1970."""

    key: bytes
    created: int
    updated: int
    data: bytes
    """The Document message without its times, map keys sorted: equal documents, equal bytes."""

    def fields(self) -> Any:
        """The field map."""
        return Document.FromString(self.data).fields

    def document(self) -> Any:
        """The Document message, times included."""
        document = Document.FromString(self.data)
        moments.put(document.create_time, self.created)
        moments.put(document.update_time, self.updated)
        return document


class Change(NamedTuple):
    """What a commit did to one document."""

    path: Path
    before: Stored | None
    after: Stored | None
    fields: Any
    """The fields of `after`; None where it was deleted."""


@dataclass(frozen=True)
class Scope:
    """Which documents a scan looks at."""

    parent: bytes
    """The key of the document, or of the database, they are under."""
    collection: Collection | None
    """The one collection; None: see group."""
    group: str = ""
    """All collections of this name under the parent; empty: all collections whatsoever."""
    children_only: bool = False
    """Of all collections, only those directly under the parent."""

    @property
    def bounds(self) -> tuple[bytes, bytes]:
        """All keys are at low <= key < high."""
        if self.collection is not None:
            return self.collection.key, self.collection.key + AFTER
        return self.parent + FIRST, self.parent + AFTER

    @property
    def is_below(self) -> bool:
        """Whether they are all the documents, or a group's, below one document."""
        is_root = first_segment(self.parent)[1] == len(self.parent)
        return self.collection is None and not self.children_only and not is_root

    def contains(self, path: Path) -> bool:
        """Whether a document is among them."""
        if self.collection is not None:
            return path.collection.key == self.collection.key
        if self.children_only and path.collection.parent != self.parent:
            return False
        is_under = path.key.startswith(self.parent) and path.key != self.parent
        return is_under and self.group in ("", path.collection.group)
