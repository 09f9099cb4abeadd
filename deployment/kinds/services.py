"""Google's services, enabled in the project. They are nobody's, and stay enabled."""

from deployment.deployment import Deployment
from deployment.gcloud import command
from deployment.plan import CREATE, Change

NEEDED = (
    "artifactregistry",
    "cloudbuild",
    "cloudfunctions",
    "cloudresourcemanager",
    "cloudscheduler",
    "cloudtasks",
    "eventarc",
    "firestore",
    "iam",
    "logging",
    "pubsub",
    "run",
)


def needed(it: Deployment) -> list[str]:
    """The services that this environment uses."""
    names = [*NEEDED]
    if it.target.environment.secrets:
        names.append("secretmanager")
    if it.target.bundle.alerts:
        names.append("monitoring")
    return [f"{name}.googleapis.com" for name in names]


def plan(it: Deployment) -> list[Change]:
    """Those that are not enabled yet."""
    missing = [name for name in needed(it) if name not in it.world.services]
    if not missing:
        return []
    shown = " ".join(name.partition(".")[0] for name in missing)
    enable = command("services", "enable", *missing)
    return [Change(sign=CREATE, kind="services", name=shown, commands=(enable,), grants="service")]
