"""IAM bindings: remembered and shown, and nothing here is refused for want of them."""

from collections.abc import Callable
from typing import Any

from local.gcloud.command import Call, command
from local.gcloud.errors import ApiError, GcloudError

POLICIES = "/local/v1/resources/policies"
ACCOUNTS = "/local/v1/resources/accounts"


def commands(group: str, path: Callable[[Call], str], *flags: str, exists: bool = True) -> None:
    """Registers `GROUP get-iam-policy`, `add-…` and `remove-iam-policy-binding`.

    `path` is the REST path of the thing; `exists`: it is asked for, and must be there.
    """

    def policy_of(call: Call) -> tuple[str, dict[str, Any]]:
        if exists:
            call.cloud.get(path(call))
        key = f"{POLICIES}{path(call).removeprefix('/local/v1/resources')}"
        return key, call.cloud.find(key) or {"version": 1, "bindings": []}

    @command(f"{group} get-iam-policy", *flags)
    def show(call: Call) -> Any:
        return policy_of(call)[1]

    @command(f"{group} add-iam-policy-binding", "--member", "--role", "--condition", *flags)
    def add(call: Call) -> Any:
        _check_member(call)
        key, policy = policy_of(call)
        members = _members(policy, call.flag("--role"))
        if call.flag("--member") not in members:
            members.append(call.flag("--member"))
            call.cloud.put(key, policy)
        return policy

    @command(f"{group} remove-iam-policy-binding", "--member", "--role", "--condition", *flags)
    def remove(call: Call) -> Any:
        key, policy = policy_of(call)
        members = _members(policy, call.flag("--role"))
        if call.flag("--member") not in members:
            raise GcloudError("Policy binding with the specified member and role not found!")
        members.remove(call.flag("--member"))
        policy["bindings"] = [binding for binding in policy["bindings"] if binding["members"]]
        call.cloud.put(key, policy)
        return policy


def _members(policy: dict[str, Any], role: str) -> list[str]:
    """Who has the role; a list to change."""
    for binding in policy["bindings"]:
        if binding["role"] == role:
            members: list[str] = binding["members"]
            return members
    policy["bindings"].append({"role": role, "members": []})
    return policy["bindings"][-1]["members"]  # type: ignore[no-any-return]


def _check_member(call: Call) -> None:
    """Conditions are not kept, and an account of this project must exist."""
    if call.flag("--condition", "None") != "None":
        raise GcloudError("the local gcloud keeps no conditions, only --condition=None")
    kind, _, email = call.flag("--member").partition(":")
    ours = kind == "serviceAccount" and email.endswith(f"@{call.project}.iam.gserviceaccount.com")
    if ours and not call.cloud.find(f"{ACCOUNTS}/{email}"):
        raise ApiError("INVALID_ARGUMENT", f"Service account {email} does not exist.")


def _service_path(call: Call) -> str:
    return f"/v2/{call.parent('--region')}/functions/{call.id}"


commands("run services", _service_path, "--region")
