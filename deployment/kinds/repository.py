"""Where the images of the functions are kept: an artifact repository of this environment.

Functions under a key need images under the same one, and a repository keeps the key that it was
made with.
"""

from collections.abc import Mapping

from deployment.gcloud.calls import command
from deployment.gcloud.world import labels_of
from deployment.kinds import bindings
from deployment.plan.changes import CHANGE, CREATE, REMOVE, Change, differences
from deployment.plan.deployment import Deployment
from deployment.table import ownership
from deployment.table.target import BUILDS


def plan(it: Deployment) -> list[Change]:
    """The repository, if it is not there, and who may write there."""
    name, location = it.target.repository, f"--location={it.target.region}"
    found = it.world.repositories.get(name)
    grants = [bindings.ours(it, BUILDS, role) for role in it.target.bundle.builder.repository_roles]
    key = it.target.environment.kms_key
    granted = bindings.plan(it, bindings.repository(it, name), grants, exists=found is not None)
    if found is not None:
        is_ours = it.may_change("repository", name, ownership.of_labels(labels_of(found)))
        if found.get("kmsKeyName", "") != key:
            it.refuse(
                f"repository {name} has the key {found.get('kmsKeyName') or 'of Google'}, and "
                f"cannot be given {key or 'that of Google'}: destroy the environment first, or "
                f"name a new one"
            )
        return [*_adopted(it, name, labels_of(found)), *granted] if is_ours else []
    flags = [
        "--repository-format=docker",
        f"--labels={it.target.mark.flag}",
        *([f"--kms-key={key}"] if key else []),
    ]
    text = f"--description={it.target.mark} images of the functions"
    make = command("artifacts", "repositories", "create", name, location, *flags, text)
    where = f"repository {name}"
    return [
        Change(sign=CREATE, kind="repository", name=name, commands=(make,), after=where),
        *granted,
    ]


def _adopted(it: Deployment, name: str, found: Mapping[str, str]) -> list[Change]:
    """The labels that say that it is ours."""
    missing = it.labels(found)
    flags = (f"--location={it.target.region}", f"--update-labels={it.target.mark.flag}")
    label = Change(
        sign=CHANGE,
        kind="repository",
        name=name,
        commands=(command("artifacts", "repositories", "update", name, *flags),),
        differences=differences(found, missing),
        after=f"repository {name}",
    )
    return [label] if missing else []


def leave(it: Deployment) -> list[Change]:
    """The repository, with its images."""
    name, location = it.target.repository, f"--location={it.target.region}"
    found = it.world.repositories.get(name)
    if found is None or ownership.of_labels(labels_of(found)) != it.target.mark:
        return []
    delete = command("artifacts", "repositories", "delete", name, location)
    return [Change(sign=REMOVE, kind="repository", name=name, commands=(delete,))]
