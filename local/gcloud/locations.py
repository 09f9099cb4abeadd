"""The regions of Google Cloud, and how each service says that it is not in one."""

from local.gcloud.errors import ApiError

REGIONS = (
    *("africa-south1", "asia-east1", "asia-east2", "asia-northeast1", "asia-northeast2"),
    *("asia-northeast3", "asia-south1", "asia-south2", "asia-southeast1", "asia-southeast2"),
    *("australia-southeast1", "australia-southeast2", "europe-central2", "europe-north1"),
    *("europe-north2", "europe-southwest1", "europe-west1", "europe-west10", "europe-west12"),
    *("europe-west2", "europe-west3", "europe-west4", "europe-west6", "europe-west8"),
    *("europe-west9", "me-central1", "me-central2", "me-west1", "northamerica-northeast1"),
    *("northamerica-northeast2", "northamerica-south1", "southamerica-east1"),
    *("southamerica-west1", "us-central1", "us-east1", "us-east4", "us-east5", "us-south1"),
    *("us-west1", "us-west2", "us-west3", "us-west4"),
)
LOCAL = "local"
"""A region of the local cloud's own, which its fixture for tests uses; every service is there."""
MULTI_REGIONS = {"firestore": ("eur3", "nam5", "nam7"), "artifacts": ("europe", "us", "asia")}
ABSENT = {"scheduler": ("europe-west9",)}
"""Regions in which a service is not."""


def of(group: str) -> list[str]:
    """Return where the service of a command group is."""
    everywhere = (*REGIONS, *MULTI_REGIONS.get(group, ()))
    return [region for region in everywhere if region not in ABSENT.get(group, ())]


def listed(group: str, project: str) -> list[dict[str, str]]:
    """Return the same as the service answers it."""
    return [
        {"locationId": region, "name": f"projects/{project}/locations/{region}"}
        for region in of(group)
    ]


def check(command: str, region: str) -> None:
    """Refuse a region in which a command's service is not, in its words; raises ApiError."""
    group = command.split()[0]
    if region in (*of(group), LOCAL):
        return
    if group in ("functions", "run", "eventarc"):
        text = f"Location {region} is not found or access is unauthorized."
        raise ApiError("PERMISSION_DENIED", text, 403)
    if group == "firestore":
        raise ApiError("INVALID_ARGUMENT", f"Invalid location: '{region}'")
    advice = "Use ListLocations to list valid locations."
    text = f"Location '{region}' is not a valid location. {advice}"
    raise ApiError("INVALID_ARGUMENT", text)
