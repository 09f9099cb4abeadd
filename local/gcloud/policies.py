"""IAM bindings: kept, checked and shown, and nothing here is refused for want of them."""

from collections.abc import Callable
from typing import Any

from local.gcloud.command import Call, command, say
from local.gcloud.errors import ApiError, GcloudError
from local.gcloud.values import pairs

FAILED = (
    "ERROR: Policy modification failed. For a binding with condition, run "
    '"gcloud alpha iam policies lint-condition" to identify issues in condition.'
)
NOUNS = {
    "artifacts repositories": "repository",
    "iam service-accounts": "serviceAccount",
    "projects": "project",
    "pubsub subscriptions": "subscription",
    "pubsub topics": "topic",
    "run services": "service",
    "secrets": "secret",
    "tasks queues": "queue",
}
"""What a group's resource is called when its policy was changed."""
JSON = dict[str, Any]


def commands(group: str, path: Callable[[Call], str], *flags: str) -> None:
    """Registers `GROUP get-iam-policy`, `add-…` and `remove-iam-policy-binding`.

    `path` is the REST path of the thing; `--condition` among the flags: the commands take one.
    """

    @command(f"{group} get-iam-policy", *(flag for flag in flags if flag != "--condition"))
    def show(call: Call) -> Any:
        return call.cloud.post(f"{path(call)}:getIamPolicy")

    @command(f"{group} add-iam-policy-binding", "--member", "--role", *flags)
    def add(call: Call) -> Any:
        policy = show(call)
        bindings = policy.setdefault("bindings", [])
        members = _members(bindings, call.flag("--role"), condition(call))
        if members is None:
            members = []
            bindings.append({"members": members, "role": call.flag("--role"), **condition(call)})
        if call.flag("--member") not in members:
            members.append(call.flag("--member"))
        return _set(call, policy)

    @command(f"{group} remove-iam-policy-binding", "--member", "--role", *flags)
    def remove(call: Call) -> Any:
        policy = show(call)
        bindings = policy.get("bindings", [])
        members = _members(bindings, call.flag("--role"), condition(call))
        if not members or call.flag("--member") not in members:
            text = "Policy binding with the specified principal, role, and condition not found!"
            raise GcloudError(text)
        members.remove(call.flag("--member"))
        policy["bindings"] = [binding for binding in bindings if binding["members"]]
        return _set(call, policy)

    def _set(call: Call, policy: JSON) -> Any:
        conditional = any("condition" in binding for binding in policy["bindings"])
        body = {"policy": {**policy, "version": 3 if conditional else 1}}
        try:
            changed = call.cloud.post(f"{path(call)}:setIamPolicy", body)
        except ApiError:
            say(FAILED)
            raise
        say(f"Updated IAM policy for {NOUNS[group]} [{call.id}].")
        return changed


def condition(call: Call) -> JSON:
    """Return the condition of a binding, `{}` without one."""
    text = call.flag("--condition", "None")
    return {} if text == "None" else {"condition": pairs(text)}


def _members(bindings: list[JSON], role: str, wanted: JSON) -> list[str] | None:
    """Return who has the role under that condition, a list to change; None: there is no binding."""
    for binding in bindings:
        if binding["role"] == role and binding.get("condition") == wanted.get("condition"):
            members: list[str] = binding["members"]
            return members
    return None
