"""Who is told: alert policies of Cloud Monitoring, each on lines of the functions' logs, or on
there being none: then a metric counts them (`deployment.kinds.metrics`).

The commands are in gcloud since 2026, and in its alpha component before that. Where there is
neither, nothing is watched, and that is said.
"""

import json
from collections.abc import Iterator

from deployment.gcloud.calls import Failed, command
from deployment.gcloud.world import Json
from deployment.kinds import metrics
from deployment.plan.changes import CHANGE, CREATE, REMOVE, Change, differences
from deployment.plan.deployment import Deployment
from deployment.table import ownership
from deployment.table.bundle import Alert

GROUPS: tuple[tuple[str, ...], ...] = (
    ("monitoring", "policies"),
    ("alpha", "monitoring", "policies"),
)
ROW = "bundle-alert"
"""The label with the name of the row."""
OPEN_FOR = "86400s"
"""An incident is closed when nothing was found for so long."""


def plan(it: Deployment) -> list[Change]:
    """Policies that are missing or different, and what no row names."""
    if not it.target.bundle.alerts or "monitoring.googleapis.com" not in it.world.services:
        return [_create(it, row, GROUPS[0]) for row in it.target.bundle.alerts.values()]
    group = _group(it)
    if group is None:
        it.note("not watched: this gcloud has no command for alert policies")
        return []
    return [*_rows(it, group), *_removed(it, group)]


def leave(it: Deployment) -> list[Change]:
    """All of ours."""
    if "monitoring.googleapis.com" not in it.world.services:
        return []
    group = _group(it)
    return [_remove(group, found) for found in _ours(it, group).values()] if group else []


def _group(it: Deployment) -> tuple[str, ...] | None:
    """The words that this gcloud has for it."""
    for group in GROUPS:
        try:
            it.world.listed(*group, "list")
        except Failed as failed:
            if not failed.failure.has_no_command:
                raise
        else:
            return group
    return None


def _ours(it: Deployment, group: tuple[str, ...]) -> dict[str, Json]:
    """Our policies by the name of their row."""
    return {
        found["userLabels"].get(ROW, found["name"]): found
        for found in it.world.listed(*group, "list")
        if ownership.of_labels(found.get("userLabels")) == it.target.mark
    }


def _rows(it: Deployment, group: tuple[str, ...]) -> Iterator[Change]:
    there = _ours(it, group)
    for row in it.target.bundle.alerts.values():
        found = there.get(row.name)
        if found is None:
            yield _create(it, row, group)
            continue
        wanted = _policy(it, row)
        if changed := differences(_shown(found), _shown(wanted)):
            file = json.dumps({**wanted, "name": found["name"]})
            update = command(*group, "update", found["name"], policy_from_file=file)
            yield Change(
                sign=CHANGE,
                kind="alert",
                name=it.target.name(row.name),
                commands=(update,),
                differences=changed,
            )


def _create(it: Deployment, row: Alert, group: tuple[str, ...]) -> Change:
    make = command(*group, "create", policy_from_file=json.dumps(_policy(it, row)))
    return Change(sign=CREATE, kind="alert", name=it.target.name(row.name), commands=(make,))


def _policy(it: Deployment, row: Alert) -> Json:
    limit = {"notificationRateLimit": {"period": f"{row.at_most_every}s"}}
    return {
        "displayName": f"{it.target.bundle.head.name} {it.target.environment.name}: {row.name}",
        "combiner": "OR",
        "userLabels": {**it.target.mark.labels, ROW: row.name},
        "conditions": [{"displayName": row.name, **_condition(it, row)}],
        "alertStrategy": {**({} if row.missing_for else limit), "autoClose": OPEN_FOR},
        "notificationChannels": list(it.target.environment.channels),
        "documentation": {"content": row.do, "mimeType": "text/markdown"},
    }


def _condition(it: Deployment, row: Alert) -> Json:
    if not row.missing_for:
        return {"conditionMatchedLog": {"filter": metrics.query(it, row)}}
    # All revisions are one series: else each new one would leave an old one without a line.
    together = {"perSeriesAligner": "ALIGN_DELTA", "crossSeriesReducer": "REDUCE_SUM"}
    metric = f'metric.type="logging.googleapis.com/user/{metrics.name(it, row)}"'
    return {
        "conditionAbsent": {
            "filter": f'{metric} AND resource.type="cloud_run_revision"',
            "duration": f"{row.missing_for}s",
            "aggregations": [{"alignmentPeriod": "60s", **together}],
            "trigger": {"count": 1},
        }
    }


def _shown(policy: Json) -> dict[str, object]:
    condition = (policy.get("conditions") or [{}])[0]
    strategy = policy.get("alertStrategy") or {}
    return {
        "finds": condition.get("conditionMatchedLog", {}).get("filter"),
        "misses": condition.get("conditionAbsent", {}).get("filter"),
        "missing for": condition.get("conditionAbsent", {}).get("duration"),
        "at most every": (strategy.get("notificationRateLimit") or {}).get("period"),
        "channels": sorted(policy.get("notificationChannels") or []),
        "what to do": (policy.get("documentation") or {}).get("content"),
        "enabled": policy.get("enabled", True),
    }


def _removed(it: Deployment, group: tuple[str, ...]) -> list[Change]:
    rows = set(it.target.bundle.alerts)
    return [_remove(group, found) for name, found in _ours(it, group).items() if name not in rows]


def _remove(group: tuple[str, ...], found: Json) -> Change:
    delete = command(*group, "delete", found["name"])
    return Change(sign=REMOVE, kind="alert", name=found["displayName"], commands=(delete,))
