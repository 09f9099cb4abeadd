"""Secret Manager v1, REST. In names the platform answers the project's number, and so does this."""

import base64
import binascii
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from local.http.rest import labels
from local.http.rest.collection import Collection
from local.http.rest.projects import number
from local.http.rest.routes import Call, Route
from local.kernel import merging
from local.kernel.checksums import crc32c
from local.kernel.refusals import already_exists, invalid, not_found
from local.services.resources import Resources
from local.services.secrets import DESTROYED, DISABLED, ENABLED, Secrets, Version

PARENT = "/v1/{parent=projects/*}/secrets"
SECRET = "/v1/{name=projects/*/secrets/*}"
VERSIONS = "/v1/{parent=projects/*/secrets/*}/versions"
VERSION = "/v1/{name=projects/*/secrets/*/versions/*}"
ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
LARGEST = 65_536
"""Bytes of a value."""
CHANGEABLE = ("labels", "annotations", "expireTime", "ttl", "topics", "rotation", "versionAliases")
JSON = dict[str, Any]


class SecretsApi:
    """Its methods. Only `:access` gives a value away."""

    def __init__(self, resources: Resources, secrets: Secrets, now: Callable[[], datetime]) -> None:
        self._values = secrets
        self._now = now
        self._secrets = Collection(
            resources=resources,
            kind="secrets",
            missing=lambda name: not_found(
                f"Secret [{_numbered(name)}] not found or has no versions."
            ),
            taken=lambda name: already_exists(f"Secret [{_numbered(name)}] already exists."),
        )

    def routes(self) -> list[Route]:
        """Return what it answers."""
        moves = {"enable": ENABLED, "disable": DISABLED, "destroy": DESTROYED}
        return [
            Route("GET", PARENT, self._list),
            Route("POST", PARENT, self._create),
            Route("GET", SECRET, self._get),
            Route("PATCH", SECRET, self._update),
            Route("DELETE", SECRET, self._delete),
            Route("POST", f"{SECRET}:addVersion", self._add_version),
            Route("GET", VERSIONS, self._versions),
            Route("GET", VERSION, self._version),
            Route("GET", f"{VERSION}:access", self._access),
            *(Route("POST", f"{VERSION}:{verb}", self._mover(to)) for verb, to in moves.items()),
        ]

    def get(self, name: str) -> JSON:
        """Return a secret without its values; raises NOT_FOUND."""
        return _shown(self._secrets.get(name))

    async def _list(self, call: Call) -> JSON:
        wanted = labels.matching(call.query.get("filter", ""))
        found = self._secrets.under(f"{call.path['parent']}/secrets")
        return {"secrets": [_shown(one) for one in found if wanted(one)]}

    async def _create(self, call: Call) -> JSON:
        id_ = call.query.get("secretId", "")
        if not ID.fullmatch(id_):
            raise invalid(
                f"The provided Secret ID [{id_}] does not match the expected format "
                "[[a-zA-Z_0-9]+]."
            )
        if not call.body.get("replication"):
            raise invalid("Secret.replication is required.")
        labels.check(call.body.get("labels", {}))
        name = f"{call.path['parent']}/secrets/{id_}"
        document = {**call.body, "name": name, "createTime": self._moment()}
        return _shown(self._secrets.add(name, document))

    async def _get(self, call: Call) -> JSON:
        return self.get(call.path["name"])

    async def _update(self, call: Call) -> JSON:
        labels.check(call.body.get("labels", {}))
        paths = merging.paths(call.query.get("updateMask", ""), call.body)
        if not {path.partition(".")[0] for path in paths} <= set(CHANGEABLE):
            raise invalid("The update mask names a field that cannot be updated.")
        return _shown(self._secrets.change(call.path["name"], call.body, paths))

    async def _delete(self, call: Call) -> JSON:
        self._secrets.remove(call.path["name"])
        self._values.forget(call.path["name"])
        return {}

    async def _add_version(self, call: Call) -> JSON:
        name = call.path["name"]
        self._secrets.get(name)
        try:
            value = base64.b64decode(call.body["payload"]["data"], validate=True)
        except (KeyError, TypeError, binascii.Error) as error:
            text = "Secret Payload must be base64."
            raise invalid(text) from error
        if not 0 < len(value) <= LARGEST:
            raise invalid(f"Secret Payload must have from 1 to {LARGEST} bytes.")
        given = call.body["payload"].get("dataCrc32c")
        if given is not None and str(given) != str(crc32c(value)):
            raise invalid("Secret Payload does not have the checksum that was sent with it.")
        added = _version(self._values.add(name, value, self._moment()))
        return added if given is None else {**added, "clientSpecifiedPayloadChecksum": True}

    async def _versions(self, call: Call) -> JSON:
        self._secrets.get(call.path["parent"])
        return {"versions": [_version(one) for one in self._values.all(call.path["parent"])]}

    async def _version(self, call: Call) -> JSON:
        return _version(self._values.get(*self._parts(call)))

    async def _access(self, call: Call) -> JSON:
        secret, version = self._parts(call)
        found = self._values.get(secret, version)
        value = self._values.value(secret, str(found.number))
        payload = {"data": base64.b64encode(value).decode(), "dataCrc32c": str(crc32c(value))}
        return {"name": _version(found)["name"], "payload": payload}

    def _mover(self, state: str) -> Callable[[Call], Any]:
        async def move(call: Call) -> JSON:
            return _version(self._values.move(*self._parts(call), state))

        return move

    def _parts(self, call: Call) -> tuple[str, str]:
        secret, _, version = call.path["name"].partition("/versions/")
        self._secrets.get(secret)
        return secret, version

    def _moment(self) -> str:
        return self._now().isoformat().replace("+00:00", "Z")


def _numbered(name: str) -> str:
    _, project, rest = name.split("/", 2)
    return f"projects/{number(project)}/{rest}"


def _shown(secret: JSON) -> JSON:
    return {**secret, "name": _numbered(secret["name"])}


def _version(version: Version) -> JSON:
    name = f"{_numbered(version.secret)}/versions/{version.number}"
    return {"createTime": version.created, "name": name, "state": version.state}
