"""IAM's service accounts, REST: remembered, and nothing here is refused for want of one."""

import base64
import re
import zlib
from collections.abc import Callable
from typing import Any

from local.http.rest.collection import Collection
from local.http.rest.routes import Call, Route
from local.kernel import merging
from local.kernel.refusals import already_exists, invalid, not_found
from local.services.resources import Resources

PARENT = "/v1/{parent=projects/*}/serviceAccounts"
ACCOUNT = "/v1/{name=projects/*/serviceAccounts/*}"
KIND = "accounts"
DOMAIN = ".iam.gserviceaccount.com"
ID = re.compile(r"(?=.{6,30}$)[a-z][a-z0-9-]*[a-z0-9]")
LONGEST = {"displayName": 100, "description": 256}
"""Bytes that a field may have."""
JSON = dict[str, Any]


class AccountsApi:
    """Its methods."""

    def __init__(self, resources: Resources, deleted: Callable[[JSON], None]) -> None:
        """`deleted` is told of an account that is gone."""
        self._deleted = deleted
        self._accounts = Collection(
            resources=resources,
            kind=KIND,
            missing=lambda name: not_found("Unknown service account"),
            taken=lambda name: already_exists(_taken(name)),
        )

    def routes(self) -> list[Route]:
        """Return what it answers."""
        return [
            Route("GET", PARENT, self._list),
            Route("POST", PARENT, self._create),
            Route("GET", ACCOUNT, self._get),
            Route("PATCH", ACCOUNT, self._update),
            Route("DELETE", ACCOUNT, self._delete),
        ]

    def get(self, name: str) -> JSON:
        """Return the account of a full name, in which the project may be `-`; raises NOT_FOUND."""
        return self._accounts.get(full(name))

    def knows(self, email: str) -> bool:
        """Return whether an account of that address exists."""
        return self._accounts.find(full(f"projects/-/serviceAccounts/{email}")) is not None

    async def _list(self, call: Call) -> JSON:
        return {"accounts": self._accounts.under(f"{call.path['parent']}/serviceAccounts")}

    async def _create(self, call: Call) -> JSON:
        project, id_ = call.path["parent"].rpartition("/")[2], call.body.get("accountId", "")
        if not ID.fullmatch(id_):
            raise invalid(
                f"Invalid service account ID '{id_}': it must have 6 to 30 lower-case letters, "
                "digits and hyphens, the first a letter, the last no hyphen."
            )
        given = _checked(call.body.get("serviceAccount", {}))
        name = f"projects/{project}/serviceAccounts/{id_}@{project}{DOMAIN}"
        return self._accounts.add(name, _described(name, given))

    async def _get(self, call: Call) -> JSON:
        return self.get(call.path["name"])

    async def _update(self, call: Call) -> JSON:
        given = _checked(call.body.get("serviceAccount", {}))
        paths = merging.paths(call.body.get("updateMask", ""), given)
        if not set(paths) <= set(LONGEST):
            raise invalid(f"Only {' and '.join(LONGEST)} can be updated.")
        return self._accounts.change(full(call.path["name"]), given, paths)

    async def _delete(self, call: Call) -> JSON:
        name = full(call.path["name"])
        account = self._accounts.get(name)
        self._accounts.remove(name)
        self._deleted(account)
        return {}


def full(name: str) -> str:
    """Return a name with its project, which `-` leaves to the address."""
    email = name.rpartition("/")[2]
    project = email.partition("@")[2].removesuffix(DOMAIN)
    return f"projects/{project}/serviceAccounts/{email}"


def _described(name: str, given: JSON) -> JSON:
    number = 10**20 + zlib.crc32(name.encode())
    email = name.rpartition("/")[2]
    return {
        **given,
        "email": email,
        "etag": base64.b64encode(b"0").decode(),
        "name": name,
        "oauth2ClientId": str(number),
        "projectId": name.split("/")[1],
        "uniqueId": str(number),
    }


def _checked(given: JSON) -> JSON:
    for field, longest in LONGEST.items():
        if len(given.get(field, "").encode()) > longest:
            raise invalid(f"The {field} of a service account has {longest} bytes at most.")
    return {field: given[field] for field in LONGEST if field in given}


def _taken(name: str) -> str:
    email, project = name.rpartition("/")[2], name.split("/")[1]
    id_ = email.partition("@")[0]
    return f"Service account {id_} already exists within project projects/{project}."
