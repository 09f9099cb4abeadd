"""Firestore's admin side, REST: databases, and fields' TTL policies and index exemptions."""

import zlib
from collections.abc import Callable
from typing import Any

import grpc

from local.http.rest.routes import Call, Route
from local.kernel.status import Status
from local.services.resources import Resources

DATABASES = "/v1/{parent=projects/*}/databases"
DATABASE = "/v1/{name=projects/*/databases/*}"
OPERATION = "/v1/{name=projects/*/databases/*/operations/*}"
FIELD = "/v1/{name=projects/*/databases/*/collectionGroups/*/fields/*}"
FIELDS = "/v1/{parent=projects/*/databases/*/collectionGroups/*}/fields"
JSON = dict[str, Any]

SetTtl = Callable[[str, str, str | None], None]
"""(database, collection group, field or None) → the collector's policy."""


class FirestoreAdmin:
    """The admin methods. The default database exists from the start; others are created."""

    def __init__(self, resources: Resources, set_ttl: SetTtl) -> None:
        self._resources = resources
        self._set_ttl = set_ttl

    def routes(self) -> list[Route]:
        """Return the routes of these methods."""
        return [
            Route("GET", DATABASES, self._databases),
            Route("POST", DATABASES, self._create_database),
            Route("GET", DATABASE, self._database),
            Route("GET", OPERATION, self._operation),
            Route("GET", FIELD, self._field),
            Route("GET", FIELDS, self._fields),
            Route("PATCH", FIELD, self._update_field),
        ]

    async def _databases(self, call: Call) -> JSON:
        default = _described(f"{call.path['parent']}/databases/(default)", {})
        return {"databases": [default, *self._resources.all("databases").values()]}

    async def _database(self, call: Call) -> JSON:
        name = call.path["name"]
        if name.endswith("/(default)"):
            return _described(name, {})
        return dict(self._resources.get("databases", name))

    async def _create_database(self, call: Call) -> JSON:
        name = f"{call.path['parent']}/databases/{call.query.get('databaseId', '')}"
        if name.endswith("/(default)") or name in self._resources.all("databases"):
            raise Status(grpc.StatusCode.ALREADY_EXISTS, f"Database {name} already exists")
        database = _described(name, call.body)
        self._resources.put("databases", name, database)
        return self._done(name, name, database)

    async def _operation(self, call: Call) -> JSON:
        return dict(self._resources.get("operations", call.path["name"]))

    async def _field(self, call: Call) -> JSON:
        return self._known(call.path["name"])

    async def _fields(self, call: Call) -> JSON:
        prefix = call.path["parent"] + "/"
        fields = self._resources.all("fields").items()
        return {"fields": [field for name, field in fields if name.startswith(prefix)]}

    async def _update_field(self, call: Call) -> JSON:
        name = call.path["name"]
        mask = call.query.get("updateMask", "ttlConfig,indexConfig").split(",")
        field = changed(self._known(name), call.body, mask)
        database, _, rest = name.partition("/collectionGroups/")
        if "ttlConfig" in mask:
            group, _, path = rest.partition("/fields/")
            self._set_ttl(database, group, path.strip("`") if "ttlConfig" in field else None)
        self._resources.put("fields", name, field)
        return self._done(database, name, field)

    def _done(self, database: str, changed: str, response: JSON) -> JSON:
        """The operation of a change, finished; the next change of the same thing replaces it."""
        name = f"{database}/operations/{zlib.crc32(changed.encode()):08x}"
        operation = {"name": name, "done": True, "response": response}
        self._resources.put("operations", name, operation)
        return operation

    def _known(self, name: str) -> JSON:
        return dict(self._resources.all("fields").get(name, {"name": name}))


def changed(field: JSON, new: JSON, mask: list[str]) -> JSON:
    """Return `old` with the fields that the mask names as they are in `new`; a new policy is
    active."""
    result = {key: value for key, value in field.items() if key not in mask}
    for key in mask:
        if key in new:
            active = {"state": "ACTIVE"} if key == "ttlConfig" else {}
            result[key] = {**new[key], **active}
    return result


def _described(name: str, body: JSON) -> JSON:
    defaults = {"locationId": "local", "type": "FIRESTORE_NATIVE"}
    return {**defaults, **body, "name": name}
