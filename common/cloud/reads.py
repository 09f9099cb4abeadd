"""What can be asked for, and what is found: queries, and documents as a strong read found them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from common.cloud.writes import Create, Update

Filter = tuple[str, str, Any]
"""A condition of a query: field, operator (`==`, `<`, `<=`, `>`, `>=`, `in`, …), value."""


class Query(Struct, frozen=True, kw_only=True):
    """Documents of a collection in the order of their ids, or of the one range-filtered field."""

    collection: str
    filters: Sequence[Filter] = ()
    limit: int | None = None
    """The largest number of documents."""
    after: str | None = None
    """A document id: only documents that come after it (in the order of ids only)."""
    first: str | None = None
    """A document id: only it and what comes after it (in the order of ids only)."""
    before: str | None = None
    """A document id: only documents that come before it (in the order of ids only)."""
    fields: Sequence[str] | None = None
    """Which fields are read; None: all."""


def is_by_id(filters: Sequence[Filter]) -> bool:
    """Whether a query with these filters returns documents in the order of their ids."""
    return all(operator == "==" for _, operator, _ in filters)


class Snapshot(Struct, frozen=True, kw_only=True):
    """A document as a strong read found it."""

    path: str
    data: Mapping[str, Any]
    """Its fields; empty for a document that does not exist."""
    update_time: datetime | None
    """When it was last written, by the server's clock; None: it does not exist."""
    read_time: datetime
    """When it was read, by the server's clock."""

    @property
    def exists(self) -> bool:
        """Whether there is such a document."""
        return self.update_time is not None

    def write(self, fields: Mapping[str, Any]) -> Create | Update:
        """Set these fields, provided the document is still as it was read."""
        if self.update_time is None:
            return Create(path=self.path, fields=fields)
        return Update(path=self.path, fields=fields, update_time=self.update_time)
