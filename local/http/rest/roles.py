"""Which IAM roles there are, as far as a bundle of functions meets them, and for what."""

import re

from local.kernel.refusals import invalid

NAMES = {
    "artifactregistry": "admin reader repoAdmin writer serviceAgent createOnPushWriter",
    "cloudbuild": "builds.builder builds.editor builds.viewer serviceAgent",
    "cloudfunctions": "admin developer invoker viewer serviceAgent",
    "cloudscheduler": "admin jobRunner viewer serviceAgent",
    "cloudtasks": "admin enqueuer queueAdmin taskDeleter taskRunner viewer serviceAgent",
    "datastore": "importExportAdmin indexAdmin owner user viewer keyVisualizerViewer",
    "eventarc": "admin developer eventReceiver publisher viewer serviceAgent",
    "iam": "serviceAccountAdmin serviceAccountCreator serviceAccountDeleter serviceAccountUser "
    "serviceAccountTokenCreator serviceAccountOpenIdTokenCreator serviceAccountViewer "
    "workloadIdentityUser securityAdmin securityReviewer roleAdmin roleViewer",
    "logging": "admin logWriter viewer configWriter privateLogViewer viewAccessor bucketWriter",
    "monitoring": "admin alertPolicyEditor alertPolicyViewer editor metricWriter viewer "
    "notificationChannelEditor notificationChannelViewer",
    "pubsub": "admin editor publisher subscriber viewer serviceAgent",
    "run": "admin builder developer invoker servicesInvoker sourceDeveloper viewer serviceAgent",
    "secretmanager": "admin secretAccessor secretVersionAdder secretVersionManager viewer",
}
"""The roles of a service, without `roles/SERVICE.`; those of other services are not known here."""
BASIC = ("roles/owner", "roles/editor", "roles/viewer", "roles/browser")
ON = {
    "topics": "pubsub",
    "subscriptions": "pubsub",
    "queues": "cloudtasks",
    "services": "run",
    "secrets": "secretmanager",
    "repositories": "artifactregistry",
    "serviceAccounts": "iam",
}
"""Whose roles a resource of a collection takes, beside the basic ones; a project takes all."""


def check(role: str, resource: str) -> None:
    """Refuse a role that is none, or none for a resource of that name; raises INVALID_ARGUMENT."""
    service, _, rest = role.removeprefix("roles/").partition(".")
    known = NAMES.get(service)
    is_name = re.fullmatch(r"roles/[\w.]+|(projects|organizations)/[^/]+/roles/[\w.]+", role)
    if not is_name or (known and rest and rest not in known.split()):
        raise invalid(f"Role {role} is not supported for this resource.")
    wanted = ON.get(resource.split("/")[-2])
    if wanted and role.startswith("roles/") and role not in BASIC and service != wanted:
        raise invalid(f"Role {role} is not supported for this resource.")
