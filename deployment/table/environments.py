"""One row of `environments`: where, with which settings, in which network, under which key."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

LOCAL = "local"
"""The environment whose settings are those of the caller."""
EGRESS = ("private-ranges-only", "all")
"""What goes through a connector; the first is Google's own choice."""

PROJECT = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]")
REGION = re.compile(r"[a-z]+-[a-z]+[0-9]+")
DATABASE = re.compile(r"\(default\)|[a-z][a-z0-9-]{2,61}[a-z0-9]")
PREFIX = re.compile(r"([a-z][a-z0-9-]{0,11}-)?")
CONNECTOR = re.compile(
    r"(projects/[a-z0-9-]+/locations/(?P<region>[a-z0-9-]+)/connectors/)?[a-z][a-z0-9-]{0,23}[a-z0-9]"
)
KEY = re.compile(
    r"projects/[a-z0-9-]+/locations/(?P<region>[a-z0-9-]+)/keyRings/[\w-]+/cryptoKeys/[\w-]+"
)


@dataclass(frozen=True, kw_only=True)
class Environment:
    """One row of `environments`, and what it is called."""

    name: str
    database: str
    project: str = ""
    region: str = ""
    database_location: str = ""
    prefix: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    cpu_quota: int = 20
    vpc_connector: str = ""
    """What functions reach a private network through; empty: they reach none."""
    egress: str = ""
    """What goes through the connector: one of `EGRESS`."""
    kms_key: str = ""
    """The key that encrypts functions and their images; empty: Google's."""
    overrides: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_local(self) -> bool:
        """Whether it is the local cloud's."""
        return self.name == LOCAL

    @property
    def connector(self) -> str:
        """The full name of the connector; empty: there is none."""
        if not self.vpc_connector or "/" in self.vpc_connector:
            return self.vpc_connector
        return f"projects/{self.project}/locations/{self.region}/connectors/{self.vpc_connector}"


def check(rows: Mapping[str, Environment]) -> Iterator[str]:
    """One line for each mistake in the rows, and for what two of them share."""
    databases: dict[tuple[str, str], str] = {}
    places: dict[tuple[str, str], str] = {}
    for name, row in rows.items():
        path = f"environments.{name}"
        yield from check_place(row, path)
        if not row.project:
            continue
        other = databases.setdefault((row.project, row.database), name)
        if other != name:
            yield f"{path}.database: {row.database} of {row.project} is that of {other} already"
        other = places.setdefault((row.project, row.prefix), name)
        if other != name:
            yield f"{path}.prefix: {other} of {row.project} has the same one, {row.prefix!r}"


def check_place(row: Environment, path: str) -> Iterator[str]:
    """One line for each mistake in one row."""
    yield from _check_names(row, path)
    yield from _check_network(row, path)
    for key, value in row.settings.items():
        if not isinstance(value, str) or not value.isprintable():
            yield f"{path}.settings.{key}: must be one line of text"
    for key in sorted(set(row.settings) & set(row.secrets)):
        yield f"{path}.settings.{key}: is in secrets too"


def _check_names(row: Environment, path: str) -> Iterator[str]:
    rules = (
        ("project", PROJECT, "a project's id, like my-shop-123"),
        ("region", REGION, "a region, like europe-west1"),
        ("database", DATABASE, "a database's id, like my-shop"),
        ("vpc_connector", CONNECTOR, "the name of a connector, like shop-vpc, or its full name"),
        ("kms_key", KEY, "like projects/P/locations/R/keyRings/K/cryptoKeys/C"),
    )
    for key, pattern, wanted in rules:
        value = getattr(row, key)
        if value and not pattern.fullmatch(value):
            yield f"{path}.{key}: is {value!r}, but must be {wanted}"
    if not PREFIX.fullmatch(row.prefix):
        yield f"{path}.prefix: is {row.prefix!r}, but must be like 'staging-', 13 characters"


def _check_network(row: Environment, path: str) -> Iterator[str]:
    """gcloud refuses both: egress without a connector, and a key or connector of another region."""
    if row.egress and row.egress not in EGRESS:
        yield f"{path}.egress: is {row.egress!r}, but must be {' or '.join(EGRESS)}"
    if row.egress and not row.vpc_connector:
        yield f"{path}.egress: needs a vpc_connector"
    for key, pattern in (("vpc_connector", CONNECTOR), ("kms_key", KEY)):
        found = pattern.fullmatch(getattr(row, key))
        where = found["region"] if found else None
        if where and row.region and where != row.region:
            yield f"{path}.{key}: is in {where}, but must be in {row.region}"
