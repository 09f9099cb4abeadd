"""Queues, schedules and subscriptions: whether they go, and what waits in them."""

from collections.abc import Mapping
from typing import Any

from operations.flow import backlogs
from operations.place import cloud, gcloud
from operations.place.environment import Place

SLOW = "-slow"
"""The end of the name of the subscription that is the slow lane."""
MOST = 1000
"""Tasks of a queue that are listed to be counted."""


def state(place: Place) -> dict[str, list[dict[str, Any]]]:
    """`queues`, `schedules` and `subscriptions`, those of this environment alone."""
    if place.is_local:
        return _local()
    return {
        "queues": _queues(place),
        "schedules": _schedules(place),
        "subscriptions": backlogs.read(place),
    }


def subscriptions(place: Place) -> list[dict[str, Any]]:
    """The subscriptions of this environment alone, each with its `backlog`."""
    return _local()["subscriptions"] if place.is_local else backlogs.read(place)


def is_slow(subscription: Mapping[str, Any]) -> bool:
    """Whether it is the slow lane, for what could not be delivered for hours."""
    return str(subscription["id"]).endswith(SLOW)


def waiting(place: Place, queue: str) -> list[dict[str, Any]]:
    """The tasks of a queue, MOST of them at most."""
    flags = (f"--queue={queue}", f"--location={place.region}", f"--limit={MOST}")
    return gcloud.listed(place, "tasks", "list", *flags)


def _queues(place: Place) -> list[dict[str, Any]]:
    found = gcloud.listed(place, "tasks", "queues", "list", f"--location={place.region}")
    names = {row["id"] for row in place.described["queues"]}
    ours = [each for each in found if _id(each) in names]
    return [
        {"id": _id(each), "state": each.get("state"), "tasks": len(waiting(place, _id(each)))}
        for each in ours
    ]


def _schedules(place: Place) -> list[dict[str, Any]]:
    found = gcloud.listed(place, "scheduler", "jobs", "list", f"--location={place.region}")
    names = {row["id"] for row in place.described["schedules"]}
    return [row for each in found if (row := _schedule(each))["id"] in names]


def _schedule(job: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": _id(job),
        "state": job.get("state"),
        "schedule": job.get("schedule"),
        "zone": job.get("timeZone"),
        "next": job.get("scheduleTime"),
        "status": (job.get("status") or {}).get("code"),
    }


def _local() -> dict[str, list[dict[str, Any]]]:
    """The local cloud says it in one document, with what Google does not tell."""
    found = cloud.call("GET", "status")
    return {
        "queues": [{**row, "id": row["name"]} for row in found["queues"]],
        "schedules": [_schedule(row) for row in found["jobs"]],
        "subscriptions": [{**row, "id": row["name"]} for row in found["subscriptions"]],
    }


def _id(thing: dict[str, Any]) -> str:
    return str(thing["name"]).rpartition("/")[2]
