"""Topics. One that is in the table no more goes when nothing subscribes to it."""

from collections.abc import Iterator

from deployment.gcloud.calls import command
from deployment.gcloud.world import labels_of
from deployment.kinds import bindings
from deployment.kinds.bindings import Grant
from deployment.plan.changes import CHANGE, CREATE, REMOVE, Change, differences
from deployment.plan.deployment import Deployment
from deployment.table import ownership
from deployment.table.bundle import Topic

PUBLISHER = "roles/pubsub.publisher"


def plan(it: Deployment) -> list[Change]:
    """Topics that are missing or not ours yet, who may publish, and what no row names."""
    return [*_rows(it), *_grants(it), *_removed(it)]


def leave(it: Deployment) -> list[Change]:
    """All of ours."""
    return [_remove(name) for name in _ours(it)]


def _rows(it: Deployment) -> Iterator[Change]:
    for row in it.target.bundle.topics:
        name, found = it.target.name(row), it.world.topics.get(it.target.name(row))
        if found is None:
            make = command("pubsub", "topics", "create", name, f"--labels={it.target.mark.flag}")
            yield Change(sign=CREATE, kind="topic", name=name, commands=(make,))
            continue
        it.may_change("topic", name, ownership.of_labels(labels_of(found)))
        if missing := it.labels(labels_of(found)):
            flag = f"--update-labels={it.target.mark.flag}"
            yield Change(
                sign=CHANGE,
                kind="topic",
                name=name,
                commands=(command("pubsub", "topics", "update", name, flag),),
                differences=differences(labels_of(found), missing),
            )


def _grants(it: Deployment) -> list[Change]:
    """Who publishes: functions, and Pub/Sub itself, which puts there what it could not deliver."""
    wanted = {row.name: _publishers(it, row) for row in it.target.bundle.topics.values()}
    granted = {it.target.name(row): grants for row, grants in wanted.items() if grants}
    changes = it.world.each(
        lambda name: bindings.plan(
            it, bindings.topic(name), granted[name], exists=name in it.world.topics
        ),
        sorted(granted),
    )
    return [change for some in changes for change in some]


def _publishers(it: Deployment, row: Topic) -> list[Grant]:
    dead = {each.dead_letter_topic for each in it.target.bundle.subscriptions.values()}
    agents = [bindings.agents(it, PUBLISHER)] if row.name in dead else []
    ours = [bindings.ours(it, it.target.runs_as(name), PUBLISHER) for name in row.published_by]
    return [*agents, *ours]


def _removed(it: Deployment) -> Iterator[Change]:
    rows = set(map(it.target.name, it.target.bundle.topics))
    for name in _ours(it):
        if name in rows:
            continue
        topic = f"projects/{it.target.project}/topics/{name}"
        readers = [s for s, found in it.world.subscriptions.items() if found["topic"] == topic]
        if readers and f"topic/{name}" not in it.options.remove:
            it.note(
                f"topic {name} is in the table no more, and stays while {', '.join(readers)} reads "
                f"it; --remove topic/{name} removes it"
            )
        else:
            yield _remove(name)


def _ours(it: Deployment) -> list[str]:
    return [
        name
        for name, found in it.world.topics.items()
        if ownership.of_labels(labels_of(found)) == it.target.mark
    ]


def _remove(name: str) -> Change:
    delete = command("pubsub", "topics", "delete", name)
    return Change(sign=REMOVE, kind="topic", name=name, commands=(delete,))
