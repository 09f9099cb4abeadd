"""Schedules: Cloud Scheduler's jobs, each a tick of a campaign."""

import base64
import json
from collections.abc import Iterator

from deployment.gcloud.calls import command
from deployment.gcloud.world import Json
from deployment.kinds import accounts, addresses
from deployment.plan.changes import CHANGE, CREATE, REMOVE, Change, Difference, differences, maps
from deployment.plan.deployment import Deployment
from deployment.table import ownership
from deployment.table.bundle import Schedule
from deployment.table.target import CALLS_SCHEDULES

ENABLED = "ENABLED"
MARGIN = 20
"""Seconds that Cloud Scheduler waits longer than the function may work."""
LONGEST = 1800
"""Seconds that Cloud Scheduler waits at most."""
CONTENT_TYPE = "Content-Type"
JSON_TYPE = "application/json"
GOOGLES = ("User-Agent", "X-")
"""Headers that Cloud Scheduler adds itself begin so."""


def plan(it: Deployment) -> list[Change]:
    """Schedules that are missing or different, and what no row names."""
    return [*_rows(it), *_removed(it)]


def leave(it: Deployment) -> list[Change]:
    """All of ours."""
    return [_remove(it, name) for name in ours(it)]


def ours(it: Deployment) -> list[str]:
    """The schedules that are ours."""
    return [
        name
        for name, found in it.world.jobs.items()
        if ownership.of_text(found.get("description")) == it.target.mark
    ]


def pauses(it: Deployment, name: str, verb: str) -> Change:
    """The change that pauses or resumes a schedule."""
    found = it.world.jobs[name].get("state", ENABLED)
    wanted = {"pause": "PAUSED", "resume": ENABLED}[verb]
    return Change(
        sign=CHANGE,
        kind="schedule",
        name=name,
        commands=(command("scheduler", "jobs", verb, name, f"--location={it.target.region}"),),
        differences=(Difference(name="state", found=found, wanted=wanted),),
        after=f"schedule {name}",
    )


def _rows(it: Deployment) -> Iterator[Change]:
    for row in it.target.bundle.schedules.values():
        name = it.target.name(row.name)
        found = it.world.jobs.get(name)
        if found is None:
            yield _create(it, row, name)
        elif it.may_change("schedule", name, ownership.of_text(found.get("description"))):
            yield from _change(it, row, name, found)
            if found.get("state", ENABLED) != ENABLED and not accounts.is_paused(it):
                yield pauses(it, name, "resume")


def _wanted(it: Deployment, row: Schedule) -> dict[str, str]:
    """By the flags of gcloud."""
    function = it.target.bundle.functions[row.calls]
    return {
        "schedule": row.when,
        "time-zone": row.zone,
        "uri": addresses.answered(it, row.calls) or addresses.of(it, row.calls),
        "http-method": "post",
        "message-body": json.dumps({"campaign": row.campaign}, separators=(",", ":")),
        "oidc-service-account-email": it.target.email(CALLS_SCHEDULES),
        "oidc-token-audience": addresses.of(it, row.calls),
        "attempt-deadline": f"{min(function.timeout + MARGIN, LONGEST)}s",
        "max-retry-attempts": str(row.retries),
        "max-retry-duration": f"{row.retried_for}s",
        "min-backoff": f"{row.first_pause}s",
        "max-backoff": f"{row.last_pause}s",
        "description": f"{it.target.mark} {row.campaign}",
    }


def _found(job: Json) -> dict[str, str]:
    http, retry = job.get("httpTarget", {}), job.get("retryConfig", {})
    token = http.get("oidcToken", {})
    return {
        "schedule": job.get("schedule", ""),
        "time-zone": job.get("timeZone", ""),
        "uri": http.get("uri", ""),
        "http-method": http.get("httpMethod", "").lower(),
        "message-body": base64.b64decode(http.get("body", "")).decode(errors="replace"),
        "oidc-service-account-email": token.get("serviceAccountEmail", ""),
        "oidc-token-audience": token.get("audience", ""),
        "attempt-deadline": job.get("attemptDeadline", ""),
        "max-retry-attempts": str(retry.get("retryCount", 0)),
        "max-retry-duration": retry.get("maxRetryDuration", "0s"),
        "min-backoff": retry.get("minBackoffDuration", ""),
        "max-backoff": retry.get("maxBackoffDuration", ""),
        "description": job.get("description", ""),
    }


def _headers(job: Json) -> dict[str, str]:
    """Those that somebody asked for; `update` only adds to them, so each is named to remove it."""
    found: dict[str, str] = job.get("httpTarget", {}).get("headers") or {}
    return {name: value for name, value in found.items() if not name.startswith(GOOGLES)}


def _flags(it: Deployment, row: Schedule) -> list[str]:
    named = [f"--{key}={value}" for key, value in _wanted(it, row).items()]
    return [f"--location={it.target.region}", *named]


def _create(it: Deployment, row: Schedule, name: str) -> Change:
    flags = (*_flags(it, row), f"--headers={CONTENT_TYPE}={JSON_TYPE}")
    make = command("scheduler", "jobs", "create", "http", name, *flags)
    return Change(
        sign=CREATE, kind="schedule", name=name, commands=(make,), after=f"schedule {name}"
    )


def _change(it: Deployment, row: Schedule, name: str, found: Json) -> Iterator[Change]:
    headers = _headers(found)
    changed = differences(_found(found), _wanted(it, row))
    changed += maps("headers", headers, {CONTENT_TYPE: JSON_TYPE})
    if changed:
        foreign = ",".join(sorted(headers.keys() - {CONTENT_TYPE}))
        removed = (f"--remove-headers={foreign}",) if foreign else ()
        flags = (*_flags(it, row), f"--update-headers={CONTENT_TYPE}={JSON_TYPE}", *removed)
        yield Change(
            sign=CHANGE,
            kind="schedule",
            name=name,
            commands=(command("scheduler", "jobs", "update", "http", name, *flags),),
            differences=changed,
            after=f"schedule {name}",
        )


def _removed(it: Deployment) -> list[Change]:
    rows = set(map(it.target.name, it.target.bundle.schedules))
    return [_remove(it, name) for name in ours(it) if name not in rows]


def _remove(it: Deployment, name: str) -> Change:
    delete = command("scheduler", "jobs", "delete", name, f"--location={it.target.region}")
    return Change(sign=REMOVE, kind="schedule", name=name, commands=(delete,))
