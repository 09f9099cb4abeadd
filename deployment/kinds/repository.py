"""Where the images of the functions are kept: an artifact repository of this environment."""

from deployment.gcloud.calls import command
from deployment.gcloud.world import labels_of
from deployment.plan.changes import CREATE, REMOVE, Change
from deployment.plan.deployment import Deployment
from deployment.table import ownership


def plan(it: Deployment) -> list[Change]:
    """The repository, if it is not there."""
    name, location = it.target.repository, f"--location={it.target.region}"
    found = it.world.repositories.get(name)
    if found is not None:
        it.may_change("repository", name, ownership.of_labels(labels_of(found)))
        return []
    flags = ("--repository-format=docker", f"--labels={it.target.mark.flag}")
    text = f"--description={it.target.mark} images of the functions"
    make = command("artifacts", "repositories", "create", name, location, *flags, text)
    return [Change(sign=CREATE, kind="repository", name=name, commands=(make,))]


def leave(it: Deployment) -> list[Change]:
    """The repository, with its images."""
    name, location = it.target.repository, f"--location={it.target.region}"
    found = it.world.repositories.get(name)
    if found is None or ownership.of_labels(labels_of(found)) != it.target.mark:
        return []
    delete = command("artifacts", "repositories", "delete", name, location)
    return [Change(sign=REMOVE, kind="repository", name=name, commands=(delete,))]
