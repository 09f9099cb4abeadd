"""The values of secrets: kept in the state file and nowhere else, and never printed."""

from dataclasses import dataclass

from local.kernel.database import Database
from local.kernel.refusals import failed_precondition, not_found

SCHEMA = """
CREATE TABLE IF NOT EXISTS secret_versions (
    secret TEXT, number INTEGER, state TEXT NOT NULL, created TEXT NOT NULL, value BLOB,
    PRIMARY KEY (secret, number)
);
"""
ENABLED, DISABLED, DESTROYED = "ENABLED", "DISABLED", "DESTROYED"
LATEST = "latest"


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of a secret, without its value."""

    secret: str
    """`projects/P/secrets/S`."""
    number: int
    state: str
    created: str
    """RFC 3339."""


class Secrets:
    """All versions of all secrets. A version is meant by its number, or as `latest`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.script(SCHEMA)

    def add(self, secret: str, value: bytes, created: str) -> Version:
        """Keep a value as the next version."""
        number = 1 + max((version.number for version in self.all(secret)), default=0)
        row = (secret, number, ENABLED, created, value)
        self._database.execute("INSERT INTO secret_versions VALUES (?, ?, ?, ?, ?)", row)
        return self.get(secret, str(number))

    def all(self, secret: str) -> list[Version]:
        """Return its versions, the newest first."""
        sql = (
            "SELECT secret, number, state, created FROM secret_versions "
            "WHERE secret = ? ORDER BY number DESC"
        )
        rows = self._database.execute(sql, (secret,))
        return [Version(secret=s, number=n, state=t, created=c) for s, n, t, c in rows]

    def get(self, secret: str, version: str) -> Version:
        """Return one; raises NOT_FOUND."""
        for known in self.all(secret):
            if version in (LATEST, str(known.number)):
                return known
        raise not_found(f"Secret Version [{secret}/versions/{version}] not found.")

    def value(self, secret: str, version: str) -> bytes:
        """Return its value; raises NOT_FOUND, or FAILED_PRECONDITION unless it is enabled."""
        found = self.get(secret, version)
        if found.state != ENABLED:
            name = f"{secret}/versions/{found.number}"
            raise failed_precondition(f"Secret Version [{name}] is in {found.state} state.")
        sql = "SELECT value FROM secret_versions WHERE secret = ? AND number = ?"
        (value,) = self._database.execute(sql, (secret, found.number)).fetchone()
        return bytes(value)

    def move(self, secret: str, version: str, state: str) -> Version:
        """Enable, disable or destroy one; what is destroyed has no value any more."""
        found = self.get(secret, version)
        if found.state == DESTROYED:
            name = f"{secret}/versions/{found.number}"
            raise failed_precondition(f"Secret Version [{name}] is in DESTROYED state.")
        sql = "UPDATE secret_versions SET state = ? WHERE secret = ? AND number = ?"
        self._database.execute(sql, (state, secret, found.number))
        if state == DESTROYED:
            sql = "UPDATE secret_versions SET value = NULL WHERE secret = ? AND number = ?"
            self._database.execute(sql, (secret, found.number))
        return self.get(secret, str(found.number))

    def forget(self, secret: str) -> None:
        """Remove every version of a secret."""
        self._database.execute("DELETE FROM secret_versions WHERE secret = ?", (secret,))
