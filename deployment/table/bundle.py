"""`functions/bundle.toml`: the table of what is deployed, read and checked by itself.

    load ──▶ Bundle ──▶ resolve(ENV) ──▶ Bundle with the overrides of that environment

What the numbers must fit is in `deployment.table.checks`; what the code must declare is in
`deployment.table.declarations`.
"""

import copy
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deployment.errors import TableError, UsageError
from deployment.table import environments, rows
from deployment.table.environments import Environment

DEFAULT = "default"
"""The environment of `--project P --region R`."""
HTTP = "http"
EVENTARC = "eventarc"

NAME = re.compile(r"[a-z][a-z0-9-]*")


@dataclass(frozen=True, kw_only=True)
class Function:
    """One row of `functions`. Times are seconds."""

    name: str
    woken_by: str
    """A topic, or `http`."""
    memory: str
    cpu: int
    concurrency: int
    min_instances: int
    max_instances: int
    budget: int
    timeout: int
    lease: int
    ingress: str
    roles: tuple[str, ...]

    @property
    def is_http(self) -> bool:
        """Whether it is called by Cloud Tasks and Cloud Scheduler, not by Pub/Sub."""
        return self.woken_by == HTTP


@dataclass(frozen=True, kw_only=True)
class Topic:
    """One row of `topics`."""

    name: str
    published_by: tuple[str, ...] = ()
    """The functions that publish on it, with `work.publish`."""


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """One row of `subscriptions`."""

    name: str
    topic: str
    calls: str
    ack_deadline: int
    keeps: int
    first_pause: int
    last_pause: int
    made_by: str = "us"
    dead_letter_topic: str = ""
    deliveries: int = 0

    @property
    def is_eventarcs(self) -> bool:
        """Whether Eventarc makes it, as the trigger of its function, and we only change it."""
        return self.made_by == EVENTARC


@dataclass(frozen=True, kw_only=True)
class Queue:
    """One row of `queues`."""

    name: str
    calls: str
    a_second: float
    at_once: int
    attempts: int
    """-1: for ever."""
    first_pause: int
    last_pause: int
    doublings: int
    enqueued_by: tuple[str, ...]
    looked_at_by: tuple[str, ...]
    count: int = 1
    """How many such queues there are; several are named by the row's name and a number from 1."""

    @property
    def group(self) -> str:
        """The name of the row, which the code knows it by."""
        return self.name.rpartition("-")[0] if self.count > 1 else self.name

    def each(self) -> Iterator["Queue"]:
        """The queues of the row."""
        if self.count <= 1:
            yield self
        else:
            names = (f"{self.name}-{number}" for number in range(1, self.count + 1))
            yield from (replace(self, name=name) for name in names)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """One row of `schedules`."""

    name: str
    when: str
    zone: str
    calls: str
    campaign: str
    retries: int
    retried_for: int
    first_pause: int
    last_pause: int


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One row of `alerts`."""

    name: str
    finds: str
    """What a line of a function's log says."""
    do: str
    at_most_every: int = 0
    """Told when there is such a line, once in so many seconds."""
    missing_for: int = 0
    """Told when there has been no such line for so long."""


@dataclass(frozen=True, kw_only=True)
class Builder:
    """The account that builds."""

    roles: tuple[str, ...]
    """On the project."""
    repository_roles: tuple[str, ...]
    """On the repository of the images."""


@dataclass(frozen=True, kw_only=True)
class Head:
    """What is true of the whole bundle."""

    name: str
    runtime: str
    max_attempts: int
    providers: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """The whole table."""

    head: Head
    builder: Builder
    functions: Mapping[str, Function]
    topics: Mapping[str, Topic]
    subscriptions: Mapping[str, Subscription]
    queues: Mapping[str, Queue]
    schedules: Mapping[str, Schedule]
    alerts: Mapping[str, Alert]
    expiring: Mapping[str, str]
    environments: Mapping[str, Environment]
    table: Mapping[str, Any]
    """As it was read, for the overrides of an environment."""

    def with_overrides(self, environment: Environment) -> "Bundle":
        """The table as this environment has it."""
        table = copy.deepcopy(dict(self.table))
        problems: list[str] = []
        path = f"environments.{environment.name}.overrides"
        _override(table, environment.overrides, path, problems)
        return _build(table, problems)


TABLES = {
    "functions": Function,
    "topics": Topic,
    "subscriptions": Subscription,
    "queues": Queue,
    "schedules": Schedule,
    "alerts": Alert,
    "environments": Environment,
}
OVERRIDABLE = ("functions", "subscriptions", "queues", "schedules", "alerts")


def load(path: Path) -> Bundle:
    """Read the table. Raises TableError with one line for each mistake."""
    try:
        with path.open("rb") as file:
            table = tomllib.load(file)
    except OSError as error:
        raise TableError(f"{path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise TableError(f"{path}: {error}") from error
    bundle = _build(table, [])
    for environment in bundle.environments.values():
        bundle.with_overrides(environment)
    return bundle


def environment(
    bundle: Bundle, *, name: str = "", project: str = "", region: str = ""
) -> Environment:
    """The environment that a command line names. Raises UsageError."""
    if name and (project or region):
        raise UsageError(f"{name} has its own project and region; leave out --project and --region")
    if name:
        return _named(bundle, name)
    if not (project and region):
        raise UsageError("name an environment of functions/bundle.toml, or --project and --region")
    for other in bundle.environments.values():
        if (other.project, other.region) == (project, region):
            raise UsageError(
                f"project {project} and region {region} are those of the environment {other.name}; "
                f"name it instead"
            )
    row = bundle.environments.get(DEFAULT)
    made = {**vars(row or Environment(name=DEFAULT, database="(default)"))}
    found = Environment(**{**made, "project": project, "region": region})
    _raise(list(environments.check_place(found, "--project and --region")))
    return found


def _named(bundle: Bundle, name: str) -> Environment:
    found = bundle.environments.get(name)
    if found is None:
        known = ", ".join(sorted(bundle.environments))
        raise UsageError(f"there is no environment {name} in functions/bundle.toml, only {known}")
    if not (found.project and found.region):
        raise UsageError(f"environment {name} has no project or no region: add --project, --region")
    return found


def _build(table: Mapping[str, Any], problems: list[str]) -> Bundle:
    known = {*TABLES, "bundle", "builder", "expiring"}
    problems += [f"{key}: unknown key" for key in table if key not in known]
    head = rows.read(Head, table.get("bundle", {}), "bundle", problems)
    builder = rows.read(Builder, table.get("builder", {}), "builder", problems)
    read: dict[str, Any] = {
        key: rows.read_all(row, table.get(key, {}), key, problems) for key, row in TABLES.items()
    }
    read["queues"] = {it.name: it for row in read["queues"].values() for it in row.each()}
    expiring = table.get("expiring", {})
    problems += _check_expiring(expiring)
    if head is None or builder is None or problems:
        raise TableError("\n".join(problems))
    bundle = Bundle(head=head, builder=builder, expiring=expiring, table=table, **read)
    rows_ = environments.check(bundle.environments)
    _raise([*_check_names(bundle), *_check_references(bundle), *rows_])
    return bundle


def _raise(problems: list[str]) -> None:
    if problems:
        raise TableError("\n".join(problems))


def _override(
    table: dict[str, Any], overrides: Mapping[str, Any], path: str, problems: list[str]
) -> None:
    for key, rows_ in overrides.items():
        if key not in OVERRIDABLE or not isinstance(rows_, Mapping):
            problems.append(f"{path}.{key}: must be one of {', '.join(OVERRIDABLE)}")
            continue
        for name, values in rows_.items():
            if name not in table.get(key, {}) or not isinstance(values, Mapping):
                problems.append(f"{path}.{key}.{name}: there is no such row to override")
                continue
            unknown = [it for it in values if it not in rows.names(TABLES[key])]
            problems += [f"{path}.{key}.{name}.{it}: unknown key" for it in unknown]
            table[key][name] = {**table[key][name], **values}


def _check_expiring(expiring: object) -> Iterator[str]:
    if not isinstance(expiring, Mapping):
        yield "expiring: must be a table"
        return
    for key, value in expiring.items():
        if not isinstance(value, str):
            yield f"expiring.{key}: is {value!r}, but must be the name of a field"


def _check_names(bundle: Bundle) -> Iterator[str]:
    if not NAME.fullmatch(bundle.head.name) or len(bundle.head.name) > 20:
        yield f"bundle.name: is {bundle.head.name!r}, but must be like my-shop, 20 characters"
    for key in ("topics", "subscriptions", "queues", "schedules", "alerts", "environments"):
        for name in getattr(bundle, key):
            if not NAME.fullmatch(name):
                yield f"{key}.{name}: a name must be of a-z, 0-9 and -, and begin with a letter"


def _check_references(bundle: Bundle) -> Iterator[str]:
    """What a row names is a row too."""
    functions = set(bundle.functions)
    for function in bundle.functions.values():
        if not function.is_http and function.woken_by not in bundle.topics:
            yield f"functions.{function.name}.woken_by: there is no topic {function.woken_by}"
    for row in bundle.subscriptions.values():
        path = f"subscriptions.{row.name}"
        for key, name in (("topic", row.topic), ("dead_letter_topic", row.dead_letter_topic)):
            if name and name not in bundle.topics:
                yield f"{path}.{key}: there is no topic {name}"
        if row.calls not in functions:
            yield f"{path}.calls: there is no function {row.calls}"
        if row.made_by not in ("us", EVENTARC):
            yield f"{path}.made_by: is {row.made_by!r}, but must be 'us' or 'eventarc'"
    for topic in bundle.topics.values():
        for name in sorted(set(topic.published_by) - functions):
            yield f"topics.{topic.name}.published_by: there is no function {name}"
    for queue in bundle.queues.values():
        names = {queue.calls, *queue.enqueued_by, *queue.looked_at_by}
        for name in sorted(names - functions):
            yield f"queues.{queue.name}: there is no function {name}"
    for schedule in bundle.schedules.values():
        if schedule.calls not in functions:
            yield f"schedules.{schedule.name}.calls: there is no function {schedule.calls}"
