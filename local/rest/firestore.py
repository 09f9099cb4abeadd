"""Firestore's admin side, REST: databases, and fields' TTL policies and index exemptions."""

from collections.abc import Callable
from typing import Any

import grpc

from local.resources import Resources
from local.rest.routes import Call, Route
from local.status import Status

DATABASES = "/v1/{parent=projects/*}/databases"
DATABASE = "/v1/{name=projects/*/databases/*}"
FIELD = "/v1/{name=projects/*/databases/*/collectionGroups/*/fields/*}"
FIELDS = "/v1/{parent=projects/*/databases/*/collectionGroups/*}/fields"
JSON = dict[str, Any]

SetTtl = Callable[[str, str, str | None], None]
"""(database, collection group, field or None) → the collector's policy."""


def firestore_routes(resources: Resources, set_ttl: SetTtl) -> list[Route]:
    """Its routes. The default database is there from the start; others are created."""

    async def list_databases(call: Call) -> JSON:
        default = _database(f"{call.path['parent']}/databases/(default)", {})
        return {"databases": [default, *resources.all("databases").values()]}

    async def get_database(call: Call) -> JSON:
        name = call.path["name"]
        if name.endswith("/(default)"):
            return _database(name, {})
        return dict(resources.get("databases", name))

    async def create_database(call: Call) -> JSON:
        name = f"{call.path['parent']}/databases/{call.query.get('databaseId', '')}"
        if name.endswith("/(default)") or name in resources.all("databases"):
            raise Status(grpc.StatusCode.ALREADY_EXISTS, f"Database {name} already exists")
        resources.put("databases", name, _database(name, call.body))
        return _done(name, resources.get("databases", name))

    async def get_field(call: Call) -> JSON:
        name = call.path["name"]
        known: JSON = resources.all("fields").get(name, {"name": name})
        return known

    async def list_fields(call: Call) -> JSON:
        prefix = call.path["parent"] + "/"
        fields = resources.all("fields").items()
        return {"fields": [field for name, field in fields if name.startswith(prefix)]}

    async def update_field(call: Call) -> JSON:
        name = call.path["name"]
        mask = call.query.get("updateMask", "ttlConfig,indexConfig").split(",")
        field = changed({"name": name, **resources.all("fields").get(name, {})}, call.body, mask)
        database, _, rest = name.partition("/collectionGroups/")
        group, _, path = rest.partition("/fields/")
        if "ttlConfig" in mask:
            set_ttl(database, group, path.strip("`") if "ttlConfig" in field else None)
        resources.put("fields", name, field)
        return _done(name, field)

    return [
        Route("GET", DATABASES, list_databases),
        Route("POST", DATABASES, create_database),
        Route("GET", DATABASE, get_database),
        Route("GET", FIELD, get_field),
        Route("GET", FIELDS, list_fields),
        Route("PATCH", FIELD, update_field),
    ]


def changed(field: JSON, new: JSON, mask: list[str]) -> JSON:
    """A field with what the mask names as it is in `new`; a policy put there is active at once."""
    for key in mask:
        field.pop(key, None)
        if key in new:
            active = {"state": "ACTIVE"} if key == "ttlConfig" else {}
            field[key] = {**new[key], **active}
    return field


def _database(name: str, body: JSON) -> JSON:
    defaults = {"locationId": "local", "type": "FIRESTORE_NATIVE"}
    return {**defaults, **body, "name": name}


def _done(name: str, response: JSON) -> JSON:
    return {"name": f"{name}/operations/local", "done": True, "response": response}
