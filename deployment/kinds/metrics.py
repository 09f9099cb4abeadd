"""Metrics of Cloud Logging: each counts the lines that an alert misses when there are none."""

from collections.abc import Iterator

from deployment.gcloud.calls import command
from deployment.gcloud.failures import METRIC
from deployment.gcloud.world import Json
from deployment.plan.changes import CHANGE, CREATE, REMOVE, Change, differences
from deployment.plan.deployment import Deployment
from deployment.table import ownership
from deployment.table.bundle import Alert


def plan(it: Deployment) -> list[Change]:
    """Metrics that are missing or different, and what no row needs."""
    return [*_rows(it), *_removed(it)]


def leave(it: Deployment) -> list[Change]:
    """All of ours."""
    return [_remove(name) for name in _ours(it)]


def name(it: Deployment, row: Alert) -> str:
    """What the metric of an alert is called."""
    return it.target.name(f"{it.target.bundle.head.name}-{row.name}")


def query(it: Deployment, row: Alert) -> str:
    """What a row finds, in the logs of our functions alone."""
    services = " OR ".join(f'"{it.target.name(name)}"' for name in it.target.bundle.functions)
    where = f'resource.type="cloud_run_revision" AND resource.labels.service_name=({services})'
    return f"{where} AND ({row.finds})"


def _there(it: Deployment) -> dict[str, Json]:
    return {found["name"]: found for found in it.world.listed("logging", "metrics", "list")}


def _ours(it: Deployment) -> list[str]:
    mark = it.target.mark
    there = _there(it).items()
    return [name for name, it_ in there if ownership.of_text(it_.get("description")) == mark]


def _rows(it: Deployment) -> Iterator[Change]:
    there = _there(it)
    for row in it.target.bundle.alerts.values():
        if row.missing_for:
            yield from _row(it, row, there.get(name(it, row)))


def _row(it: Deployment, row: Alert, found: Json | None) -> Iterator[Change]:
    wanted = {
        "description": ownership.described(it.target.mark, f"missed by the alert {row.name}", {}),
        "filter": query(it, row),
    }
    flags = (f"--description={wanted['description']}", f"--log-filter={wanted['filter']}")
    words = ("logging", "metrics")
    if found is None:
        make = command(*words, "create", name(it, row), *flags)
        yield Change(
            sign=CREATE, kind="metric", name=name(it, row), commands=(make,), grants=METRIC
        )
        return
    is_ours = it.may_change("metric", name(it, row), ownership.of_text(found.get("description")))
    if is_ours and (changed := differences(found, wanted)):
        update = command(*words, "update", name(it, row), *flags)
        yield Change(
            sign=CHANGE,
            kind="metric",
            name=name(it, row),
            commands=(update,),
            differences=changed,
        )


def _removed(it: Deployment) -> Iterator[Change]:
    rows = {name(it, row) for row in it.target.bundle.alerts.values() if row.missing_for}
    yield from (_remove(name) for name in _ours(it) if name not in rows)


def _remove(name: str) -> Change:
    delete = command("logging", "metrics", "delete", name)
    return Change(sign=REMOVE, kind="metric", name=name, commands=(delete,))
