"""The IAM policies of everything that has one, REST: kept and checked, enforced by nobody here."""

import base64
import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any

import grpc

from local.http.rest import roles
from local.http.rest.routes import Call, Route
from local.kernel.refusals import invalid
from local.kernel.status import Status
from local.services.resources import Resources

KIND = "policies"
NONE = "ACAB"
"""The etag of a policy that nobody has set yet."""
EVERYBODY = ("allUsers", "allAuthenticatedUsers")
OURS = re.compile(r"serviceAccount:([^@]+@([^@]+)\.iam\.gserviceaccount\.com)")
ADDRESSED = re.compile(r"(user|group|serviceAccount):[^@\s:]+@[^@\s:]+\.[^@\s:]+")
OTHER = re.compile(
    r"(domain|principal|principalSet|deleted|projectOwner|projectEditor|projectViewer):\S+"
)
JSON = dict[str, Any]

Exists = Callable[[str], Awaitable[Any]]
"""Raises NOT_FOUND unless there is something of that name."""
Read = Callable[[str], Awaitable[JSON]]
Write = Callable[[str, JSON], Awaitable[None]]


class Policies:
    """Their methods."""

    def __init__(self, resources: Resources, knows_account: Callable[[str], bool]) -> None:
        """`knows_account` tells whether there is an account of an address."""
        self._resources = resources
        self._knows_account = knows_account

    def kept(self, path: str, exists: Exists, at_first: Iterable[JSON] = ()) -> list[Route]:
        """Return the routes for what is at `path`, `/v1/{name=…}`; the policies are kept here.

        `at_first` are the bindings until somebody sets others.
        """
        first = list(at_first)

        async def read(name: str) -> JSON:
            await exists(name)
            return dict(self._resources.all(KIND).get(_key(name), {"bindings": first}))

        async def write(name: str, policy: JSON) -> None:
            self._resources.put(KIND, _key(name), policy)

        return self.routes(path, read, write)

    def routes(self, path: str, read: Read, write: Write) -> list[Route]:
        """Return the routes for what is at `path`; the policies are kept elsewhere."""

        async def get(call: Call) -> JSON:
            return shown(await read(call.path["name"]))

        async def set_(call: Call) -> JSON:
            policy = call.body.get("policy")
            if not isinstance(policy, dict):
                raise invalid("policy is required.")
            name = call.path["name"]
            check_current(policy, shown(await read(name)))
            bindings = self._checked(policy.get("bindings", []), name)
            await write(name, {"bindings": bindings})
            return shown({"bindings": bindings})

        async def test(call: Call) -> JSON:
            """Everybody may do everything here."""
            await read(call.path["name"])
            return {"permissions": call.body.get("permissions", [])}

        return [
            Route("GET", f"{path}:getIamPolicy", get),
            Route("POST", f"{path}:getIamPolicy", get),
            Route("POST", f"{path}:setIamPolicy", set_),
            Route("POST", f"{path}:testIamPermissions", test),
        ]

    def forgetting(self, routes: Iterable[Route]) -> list[Route]:
        """Return the routes, those that delete something with its policy."""
        return [self._with_policy(route) if route.verb == "DELETE" else route for route in routes]

    def granted(self, resources: list[str], role: str, member: str) -> bool:
        """Return whether a member has a role on one of the resources, kept here."""
        policies = self._resources.all(KIND)
        bindings = [one for name in resources for one in policies.get(name, {}).get("bindings", [])]
        return any(one["role"] == role and member in one["members"] for one in bindings)

    def account_deleted(self, account: JSON) -> None:
        """Show an account that is gone as the platform does: it is nobody any more."""
        gone = f"serviceAccount:{account['email']}"
        mark = f"deleted:{gone}?uid={account['uniqueId']}"
        for key, policy in self._resources.all(KIND).items():
            changed = json.loads(json.dumps(policy).replace(f'"{gone}"', f'"{mark}"'))
            if changed != policy:
                self._resources.put(KIND, key, changed)

    def _with_policy(self, route: Route) -> Route:
        async def delete(call: Call) -> Any:
            answer = await route.call(call)
            for name in map(_key, call.path.values()):
                if name in self._resources.all(KIND):
                    self._resources.delete(KIND, name)
            return answer

        return replace(route, call=delete)

    def _checked(self, bindings: list[JSON], name: str) -> list[JSON]:
        for binding in bindings:
            roles.check(binding.get("role", ""), name)
            for member in binding.get("members", []):
                self._check_member(member, name)
        return [
            {**binding, "members": list(dict.fromkeys(binding["members"]))}
            for binding in bindings
            if binding.get("members")
        ]

    def _check_member(self, member: str, name: str) -> None:
        if member in EVERYBODY:
            if name.count("/") == 1 or "/serviceAccounts/" in name:
                raise invalid(f"Members {' and '.join(EVERYBODY)} are not allowed here.")
            return
        if not ADDRESSED.fullmatch(member) and not OTHER.fullmatch(member):
            raise invalid(
                f"The member {member} is of an unknown type. Please set a valid type prefix for "
                "the member."
            )
        ours = OURS.fullmatch(member)
        if ours and not ours[2].startswith(("gcp-sa-", "gcf-")) and not self._exists(ours, name):
            raise invalid(f"Service account {ours[1]} does not exist.")

    def _exists(self, account: re.Match[str], name: str) -> bool:
        """Accounts of other projects are taken at their word."""
        return account[2] != name.split("/")[1] or self._knows_account(account[1])


def check_current(policy: JSON, present: JSON) -> None:
    """Refuse a policy that was read before somebody else changed it; raises ABORTED."""
    etag = policy.get("etag", "").replace("-", "+").replace("_", "/")
    if etag and etag != present["etag"]:
        text = (
            "There were concurrent policy changes. Please retry the whole read-modify-write with "
            "exponential backoff."
        )
        raise Status(grpc.StatusCode.ABORTED, text)


def shown(policy: JSON) -> JSON:
    """Return a policy as it is answered: with an etag, a version, and the bindings it has."""
    bindings = policy.get("bindings")
    if not bindings:
        return {"etag": NONE, "version": 1}
    digest = hashlib.sha256(json.dumps(bindings).encode()).digest()
    version = 3 if any("condition" in binding for binding in bindings) else 1
    etag = base64.b64encode(digest[:8]).decode()
    return {"bindings": bindings, "etag": etag, "version": version}


def _key(name: str) -> str:
    """Where a policy is kept. A function's is its Cloud Run service's."""
    return name.replace("/functions/", "/services/")
