"""Artifact Registry v1, REST: repositories, which here hold nothing."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from local.http.rest import labels
from local.http.rest.collection import Collection
from local.http.rest.routes import Call, Route
from local.kernel import merging
from local.kernel.refusals import already_exists, invalid, not_found
from local.services.resources import Resources

PARENT = "/v1/{parent=projects/*/locations/*}/repositories"
REPOSITORY = "/v1/{name=projects/*/locations/*/repositories/*}"
ID = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
FORMATS = ("DOCKER", "MAVEN", "NPM", "APT", "YUM", "PYTHON", "KFP", "GO", "GENERIC")
CHANGEABLE = ("labels", "description", "cleanupPolicies", "cleanupPolicyDryRun")
JSON = dict[str, Any]


class RepositoriesApi:
    """Its methods. An operation is done when it is answered."""

    def __init__(self, resources: Resources, now: Callable[[], datetime]) -> None:
        self._now = now
        self._repositories = Collection(
            resources=resources,
            kind="repositories",
            missing=lambda name: not_found(f'Repository "{name}" not found'),
            taken=lambda name: already_exists("the repository already exists"),
        )

    def routes(self) -> list[Route]:
        """Return what it answers."""
        return [
            Route("GET", PARENT, self._list),
            Route("POST", PARENT, self._create),
            Route("GET", REPOSITORY, self._get),
            Route("PATCH", REPOSITORY, self._update),
            Route("DELETE", REPOSITORY, self._delete),
        ]

    def get(self, name: str) -> JSON:
        """Return one; raises NOT_FOUND."""
        return self._repositories.get(name)

    async def _list(self, call: Call) -> JSON:
        return {"repositories": self._repositories.under(f"{call.path['parent']}/repositories")}

    async def _create(self, call: Call) -> JSON:
        id_, format_ = call.query.get("repositoryId", ""), call.body.get("format", "")
        if not ID.fullmatch(id_):
            raise invalid(f'the repository id "{id_}" is not valid')
        if format_ not in FORMATS:
            raise invalid(f'the repository format "{format_}" is not valid')
        labels.check(call.body.get("labels", {}))
        name, moment = f"{call.path['parent']}/repositories/{id_}", self._moment()
        given = {**call.body, "name": name, "createTime": moment, "updateTime": moment}
        created = self._repositories.add(name, {"mode": "STANDARD_REPOSITORY", **given})
        return _done(name, created)

    async def _get(self, call: Call) -> JSON:
        return self.get(call.path["name"])

    async def _update(self, call: Call) -> JSON:
        labels.check(call.body.get("labels", {}))
        paths = merging.paths(call.query.get("updateMask", ""), call.body)
        wanted = [path for path in paths if path.partition(".")[0] in CHANGEABLE]
        changed = {**call.body, "updateTime": self._moment()}
        return self._repositories.change(call.path["name"], changed, [*wanted, "updateTime"])

    async def _delete(self, call: Call) -> JSON:
        self._repositories.remove(call.path["name"])
        return _done(call.path["name"], {})

    def _moment(self) -> str:
        return self._now().isoformat().replace("+00:00", "Z")


def _done(name: str, response: JSON) -> JSON:
    place = name.partition("/repositories/")[0]
    return {"name": f"{place}/operations/local", "done": True, "response": response}
