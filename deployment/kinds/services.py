"""Google's services, enabled in the project. They are nobody's, and stay enabled."""

from deployment.gcloud.calls import Command, command
from deployment.plan.changes import CREATE, Change
from deployment.plan.deployment import Deployment

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
WISHED = ("cloudquotas",)
"""What can do without: enabled together with the others, and a refusal of it stops nothing."""
AGENTS = ("eventarc", "cloudfunctions")
"""Google grants their accounts something when it makes them; the first deployment needs it."""


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
    wished = [name for it_ in WISHED if (name := f"{it_}.googleapis.com") not in it.world.services]
    shown = " ".join(name.partition(".")[0] for name in [*missing, *wished])
    enable = command("services", "enable", *missing)
    wish = Command(words=("services", "enable", *wished), is_optional=True)
    agents = [agent(name) for name in AGENTS if f"{name}.googleapis.com" in missing]
    return [
        Change(
            sign=CREATE,
            kind="services",
            name=shown,
            commands=(enable, *([wish] if wished else []), *agents),
            grants="service",
        )
    ]


def agent(name: str) -> Command:
    """Google's own account for a service, which is otherwise made at its first use: too late."""
    words = ("beta", "services", "identity", "create", f"--service={name}.googleapis.com")
    return Command(words=words, is_optional=True)
