"""The IAM policies of topics and subscriptions, REST: remembered, enforced by nobody here."""

from typing import Any

from local.http.rest.routes import Call, Route
from local.kernel.refusals import invalid
from local.kernel.rpc import Service
from local.services.resources import Resources

RESOURCES = ("projects/*/topics/*", "projects/*/subscriptions/*")
KIND = "policies"
JSON = dict[str, Any]


class Policies:
    """The methods that read, set and test a policy."""

    def __init__(self, resources: Resources, publisher: Service, subscriber: Service) -> None:
        self._resources = resources
        self._lookups = {
            "topics": ("topic", publisher.methods()["GetTopic"]),
            "subscriptions": ("subscription", subscriber.methods()["GetSubscription"]),
        }

    def routes(self) -> list[Route]:
        """Return the routes of these methods."""
        return [route for pattern in RESOURCES for route in self._of(f"/v1/{{name={pattern}}}")]

    def _of(self, path: str) -> list[Route]:
        return [
            Route("GET", f"{path}:getIamPolicy", self._get),
            Route("POST", f"{path}:setIamPolicy", self._set),
            Route("POST", f"{path}:testIamPermissions", self._test),
        ]

    async def _get(self, call: Call) -> JSON:
        key = await self._key(call)
        return dict(self._resources.all(KIND).get(key, {"version": 1}))

    async def _set(self, call: Call) -> JSON:
        policy = call.body.get("policy")
        if not isinstance(policy, dict):
            raise invalid("policy is required.")
        key = await self._key(call)
        self._resources.put(KIND, key, {"bindings": [], **policy})
        return policy

    async def _test(self, call: Call) -> JSON:
        """Answer that the caller has every permission: the local cloud enforces none."""
        await self._key(call)
        return {"permissions": call.body.get("permissions", [])}

    async def _key(self, call: Call) -> str:
        """The key of the stored policy, the same as the local gcloud's; raises NOT_FOUND."""
        name = call.path["name"]
        field, method = self._lookups[name.split("/")[2]]
        await method.call(method.request(**{field: name}))  # type: ignore[misc]
        return f"v1/{name}"
