"""Firestore's admin side, REST: databases, and fields' TTL policies and index exemptions.

Documents can be read and written in every database, made here or not.
"""

import re
import zlib
from collections.abc import Callable
from datetime import datetime
from typing import Any

from local.http.rest.collection import Collection
from local.http.rest.routes import Call, Route
from local.kernel import merging
from local.kernel.refusals import (
    already_exists,
    failed_precondition,
    invalid,
    not_found,
    unimplemented,
)
from local.services.resources import Resources

DATABASES = "/v1/{parent=projects/*}/databases"
DATABASE = "/v1/{name=projects/*/databases/*}"
OPERATIONS = "/v1/{parent=projects/*/databases/*}/operations"
OPERATION = "/v1/{name=projects/*/databases/*/operations/*}"
FIELD = "/v1/{name=projects/*/databases/*/collectionGroups/*/fields/*}"
FIELDS = "/v1/{parent=projects/*/databases/*/collectionGroups/*}/fields"
INDEXES = "/v1/{parent=projects/*/databases/*/collectionGroups/*}/indexes"
ID = re.compile(r"\(default\)|(?=.{4,63}$)[a-z][a-z0-9-]*[a-z0-9]")
TYPES = "type.googleapis.com/google.firestore.admin.v1."
FILTERS = {"ttlConfig:*": "ttlConfig", "indexConfig.usesAncestorConfig=false": "indexConfig"}
"""What lists of fields can be asked for, and the part of a field that it means."""
PROTECTED = "DELETE_PROTECTION_ENABLED"
CHANGEABLE = ("type", "deleteProtectionState", "pointInTimeRecoveryEnablement", "concurrencyMode")
PITR = {"POINT_IN_TIME_RECOVERY_ENABLED": "604800s"}
"""How long versions are kept with it; without it, an hour."""
DEFAULTS = {
    "appEngineIntegrationMode": "DISABLED",
    "concurrencyMode": "PESSIMISTIC",
    "databaseEdition": "STANDARD",
    "deleteProtectionState": "DELETE_PROTECTION_DISABLED",
    "locationId": "local",
    "pointInTimeRecoveryEnablement": "POINT_IN_TIME_RECOVERY_DISABLED",
    "type": "FIRESTORE_NATIVE",
}
JSON = dict[str, Any]

SetTtl = Callable[[str, str, str | None], None]
"""(database, collection group, field or None) → the collector's policy."""


class FirestoreAdmin:
    """Its methods. A project has no database until one is made, as on the platform."""

    def __init__(self, resources: Resources, set_ttl: SetTtl, now: Callable[[], datetime]) -> None:
        self._resources = resources
        self._set_ttl = set_ttl
        self._now = now
        self._known = Collection(
            resources=resources,
            kind="databases",
            missing=lambda name: not_found(_no_database(name)),
            taken=lambda name: already_exists(
                "Database already exists. Please use another database_id"
            ),
        )

    def routes(self) -> list[Route]:
        """Return what it answers."""
        return [
            Route("GET", DATABASES, self._databases),
            Route("POST", DATABASES, self._create_database),
            Route("GET", DATABASE, self._database),
            Route("PATCH", DATABASE, self._update_database),
            Route("DELETE", DATABASE, self._delete_database),
            Route("GET", OPERATIONS, self._operations),
            Route("GET", OPERATION, self._operation),
            Route("GET", FIELD, self._field),
            Route("GET", FIELDS, self._fields),
            Route("GET", INDEXES, self._indexes),
            Route("PATCH", FIELD, self._update_field),
        ]

    async def _databases(self, call: Call) -> JSON:
        return {"databases": self._known.under(f"{call.path['parent']}/databases")}

    async def _database(self, call: Call) -> JSON:
        return self._known.get(call.path["name"])

    async def _create_database(self, call: Call) -> JSON:
        id_ = call.query.get("databaseId", "")
        if not ID.fullmatch(id_):
            raise invalid(
                f"database_id '{id_}' is not valid: '(default)', or 4 to 63 lower-case letters, "
                "digits and hyphens, the first a letter, the last no hyphen."
            )
        if call.body.get("databaseEdition") == "ENTERPRISE":
            raise unimplemented("Databases of the enterprise edition are not served here.")
        name, moment = f"{call.path['parent']}/databases/{id_}", self._moment()
        given = {"createTime": moment, "updateTime": moment, **call.body}
        database = self._known.add(name, described(name, given))
        return self._done(name, name, "Database", database)

    async def _update_database(self, call: Call) -> JSON:
        name = call.path["name"]
        paths = merging.paths(call.query.get("updateMask", ""), call.body)
        paths = [path for path in paths if path != "name"]
        if not set(paths) <= set(CHANGEABLE):
            raise invalid(f"Only {', '.join(CHANGEABLE)} can be updated.")
        given = {**call.body, "updateTime": self._moment()}
        changed = merging.merged(self._known.get(name), given, [*paths, "updateTime"])
        database = self._known.put(name, described(name, changed))
        return self._done(name, name, "Database", database)

    async def _delete_database(self, call: Call) -> JSON:
        name = call.path["name"]
        database = self._known.get(name)
        if database["deleteProtectionState"] == PROTECTED:
            raise failed_precondition(
                "The database has delete protection enabled; disable it before deleting the "
                "database."
            )
        self._known.remove(name)
        for field in self._resources.all("fields"):
            if field.startswith(f"{name}/"):
                self._resources.delete("fields", field)
                self._set_ttl(*_parts(field)[:2], None)
        return self._done(name, name, "Database", database)

    async def _operations(self, call: Call) -> JSON:
        prefix = f"{call.path['parent']}/"
        found = self._resources.all("operations").items()
        return {"operations": [one for name, one in found if name.startswith(prefix)]}

    async def _operation(self, call: Call) -> JSON:
        return dict(self._resources.get("operations", call.path["name"]))

    async def _field(self, call: Call) -> JSON:
        return shown(self._kept(call.path["name"]))

    async def _fields(self, call: Call) -> JSON:
        wanted = FILTERS.get(call.query.get("filter", ""))
        within = re.compile(re.escape(call.path["parent"]).replace(r"/\-", "/[^/]+") + "/.*")
        found = self._resources.all("fields").items()
        fields = [field for name, field in found if within.fullmatch(name)]
        return {"fields": [shown(one) for one in fields if not wanted or wanted in one]}

    async def _indexes(self, call: Call) -> JSON:
        """None: every query runs without."""
        return {}

    async def _update_field(self, call: Call) -> JSON:
        name = call.path["name"]
        database, group, path = _parts(name)
        if not database.endswith("/(default)"):
            self._known.get(database)
        mask = merging.paths(call.query.get("updateMask", ""), {"ttlConfig": 0, "indexConfig": 0})
        field = changed(self._kept(name), call.body, mask)
        if "ttlConfig" in mask:
            self._set_ttl(database, group, path if "ttlConfig" in field else None)
        self._resources.put("fields", name, field)
        return self._done(database, name, "Field", shown(field))

    def _done(self, database: str, changed: str, kind: str, response: JSON) -> JSON:
        """Return the finished operation of a change; the next one of the same thing replaces it."""
        name = f"{database}/operations/{zlib.crc32(changed.encode()):08x}"
        operation = {
            "name": name,
            "done": True,
            "response": {"@type": f"{TYPES}{kind}", **response},
        }
        self._resources.put("operations", name, operation)
        return operation

    def _kept(self, name: str) -> JSON:
        return dict(self._resources.all("fields").get(name, {"name": name}))

    def _moment(self) -> str:
        return self._now().isoformat().replace("+00:00", "Z")


def changed(field: JSON, new: JSON, mask: list[str]) -> JSON:
    """Return a field with what the mask names as it is in `new`; a policy is active at once."""
    result = {key: value for key, value in field.items() if key not in mask}
    for key in mask:
        if key in new:
            active = {"state": "ACTIVE"} if key == "ttlConfig" else {}
            result[key] = {**new[key], **active}
    return result


def shown(field: JSON) -> JSON:
    """Return a field as it is answered: without an exemption it has the indexes of all fields."""
    if "indexConfig" in field:
        kept = {key: value for key, value in field["indexConfig"].items() if value}
        return {**field, "indexConfig": kept}
    database = field["name"].partition("/collectionGroups/")[0]
    ancestor = f"{database}/collectionGroups/__default__/fields/*"
    return {**field, "indexConfig": {"ancestorField": ancestor, "usesAncestorConfig": True}}


def described(name: str, given: JSON) -> JSON:
    """Return a database with what the platform adds to it."""
    database = {**DEFAULTS, **given, "name": name}
    kept = PITR.get(database["pointInTimeRecoveryEnablement"], "3600s")
    uid = f"{zlib.crc32(name.encode()):08x}-0000-0000-0000-000000000000"
    return {**database, "uid": uid, "versionRetentionPeriod": kept}


def _parts(field: str) -> tuple[str, str, str]:
    database, _, rest = field.partition("/collectionGroups/")
    group, _, path = rest.partition("/fields/")
    return database, group, path.strip("`")


def _no_database(name: str) -> str:
    project, id_ = name.split("/")[1], name.rpartition("/")[2]
    return (
        f"The database {id_} does not exist for project {project}. Please visit "
        f"https://console.cloud.google.com/datastore/setup?project={project} to add a Cloud "
        "Datastore or Cloud Firestore database."
    )
