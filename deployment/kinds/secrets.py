"""Secrets: made by `./deploy.sh secret`, read by the functions in a version with a number.

`apply` makes none and removes none; a secret without a value is refused before the first change.
"""

from collections.abc import Mapping

from deployment.gcloud.calls import Command, command
from deployment.gcloud.world import labels_of
from deployment.kinds import bindings
from deployment.plan.changes import CHANGE, REMOVE, Change, differences
from deployment.plan.deployment import Deployment
from deployment.table import ownership

ACCESSOR = "roles/secretmanager.secretAccessor"


def plan(it: Deployment) -> list[Change]:
    """Who may read them."""
    changes = it.world.each(lambda name: _plan(it, name), it.target.environment.secrets)
    return [change for some in changes for change in some]


def leave(it: Deployment) -> list[Change]:
    """All of ours, with their values."""
    return [
        Change(
            sign=REMOVE,
            kind="secret",
            name=name,
            commands=(command("secrets", "delete", name),),
        )
        for name, found in it.world.secrets.items()
        if ownership.of_labels(labels_of(found)) == it.target.mark
    ]


def version(it: Deployment, setting: str) -> str:
    """The number of the newest version that can be read; empty: there is none."""
    name = it.target.name(setting)
    if name not in it.world.secrets:
        return ""
    found = it.world.listed("secrets", "versions", "list", name)
    enabled = [it["name"] for it in found if it.get("state", "ENABLED").upper() == "ENABLED"]
    return max((name.rpartition("/")[2] for name in enabled), key=int, default="")


def put(it: Deployment, setting: str, value: str) -> Command:
    """The call that keeps a value: the first version, or another one."""
    name = it.target.name(setting)
    if name in it.world.secrets:
        return command("secrets", "versions", "add", name, "--data-file=-", input=value)
    labels = f"--labels={it.target.mark.flag}"
    replicated = "--replication-policy=automatic"
    return command("secrets", "create", name, replicated, labels, "--data-file=-", input=value)


def _plan(it: Deployment, setting: str) -> list[Change]:
    name = it.target.name(setting)
    found = labels_of(it.world.secrets.get(name, {}))
    if name in it.world.secrets and not it.may_change("secret", name, ownership.of_labels(found)):
        return []
    if not version(it, setting):
        environment = it.target.environment.name
        it.refuse(f"secret {name} has no value: ./deploy.sh secret {environment} {setting} <FILE")
        return []
    readers = [it.target.runs_as(function) for function in it.target.bundle.functions]
    grants = [bindings.ours(it, account, ACCESSOR) for account in readers]
    return [*_adopted(it, name, found), *bindings.plan(it, bindings.secret(name), grants)]


def _adopted(it: Deployment, name: str, found: Mapping[str, str]) -> list[Change]:
    """The labels that say that it is ours."""
    missing = it.labels(found)
    update = command("secrets", "update", name, f"--update-labels={it.target.mark.flag}")
    label = Change(
        sign=CHANGE,
        kind="secret",
        name=name,
        commands=(update,),
        differences=differences(found, missing),
        after=f"secret {name}",
    )
    return [label] if missing else []
