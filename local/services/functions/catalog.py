"""What is remembered of every deployed function, also while the cloud is down."""

import json
from dataclasses import dataclass
from typing import Any

import grpc

from local.kernel.database import Database
from local.kernel.status import Status

SCHEMA = """
CREATE TABLE IF NOT EXISTS functions (
    name TEXT PRIMARY KEY, body TEXT NOT NULL,
    port INTEGER NOT NULL, revision INTEGER NOT NULL, subscription TEXT
);
"""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One deployed function, as it is remembered."""

    body: dict[str, Any]
    """Its description, `Function` JSON with everything the platform adds."""
    port: int
    revision: int
    """1 for the first deployment."""
    subscription: str | None = None
    """What feeds it, if it is event-driven."""

    @property
    def name(self) -> str:
        """`projects/P/locations/L/functions/ID`."""
        return str(self.body["name"])

    @property
    def id(self) -> str:
        """The last part of its name."""
        return self.name.rpartition("/")[2]


class Catalog:
    """All deployed functions, kept in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.script(SCHEMA)

    def find(self, name: str) -> Entry | None:
        """Return the function of this full name, or None."""
        return next((entry for entry in self.all() if entry.name == name), None)

    def get(self, name: str) -> Entry:
        """Return the function of this full name or id; raises NOT_FOUND."""
        for entry in self.all():
            if name in (entry.name, entry.id):
                return entry
        raise Status(grpc.StatusCode.NOT_FOUND, f"Resource '{name}' was not found")

    def all(self) -> list[Entry]:
        """Return all functions, sorted by name."""
        rows = self._database.execute(
            "SELECT body, port, revision, subscription FROM functions ORDER BY name"
        )
        return [
            Entry(body=json.loads(body), port=port, revision=revision, subscription=subscription)
            for body, port, revision, subscription in rows
        ]

    def save(self, entry: Entry) -> None:
        """Keep a function as it is now."""
        self._database.execute(
            "INSERT OR REPLACE INTO functions VALUES (?, ?, ?, ?, ?)",
            (entry.name, json.dumps(entry.body), entry.port, entry.revision, entry.subscription),
        )

    def delete(self, name: str) -> None:
        """Forget the function of this name."""
        self._database.execute("DELETE FROM functions WHERE name = ?", (name,))
