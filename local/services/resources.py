"""What a deployment must find again but nothing here acts on: accounts, IAM bindings, secrets."""

import json
from typing import Any

import grpc

from local.kernel.database import Database
from local.kernel.status import Status

SCHEMA = """
CREATE TABLE IF NOT EXISTS resources (
    kind TEXT, name TEXT, body TEXT NOT NULL, PRIMARY KEY (kind, name)
);
"""


class Resources:
    """JSON documents, kept by kind and name."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.script(SCHEMA)

    def get(self, kind: str, name: str) -> Any:
        """Return a document; raises NOT_FOUND."""
        statement = "SELECT body FROM resources WHERE kind = ? AND name = ?"
        row = self._database.execute(statement, (kind, name)).fetchone()
        if not row:
            raise Status(grpc.StatusCode.NOT_FOUND, f"{kind} {name} was not found")
        return json.loads(row[0])

    def all(self, kind: str) -> dict[str, Any]:
        """Return all documents of a kind, by name."""
        statement = "SELECT name, body FROM resources WHERE kind = ? ORDER BY name"
        rows = self._database.execute(statement, (kind,))
        return {name: json.loads(body) for name, body in rows}

    def put(self, kind: str, name: str, body: Any) -> None:
        """Add or replace a document."""
        self._database.execute(
            "INSERT OR REPLACE INTO resources VALUES (?, ?, ?)", (kind, name, json.dumps(body))
        )

    def delete(self, kind: str, name: str) -> None:
        """Remove a document; raises NOT_FOUND."""
        self.get(kind, name)
        self._database.execute("DELETE FROM resources WHERE kind = ? AND name = ?", (kind, name))
