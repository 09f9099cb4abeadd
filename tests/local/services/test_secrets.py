"""Versions of secrets: numbered, switched off, destroyed, and readable by their owner alone."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.kernel.database import Database
from local.kernel.status import Status
from local.services.secrets import DESTROYED, DISABLED, ENABLED, Secrets

NAME, CREATED = "projects/p/secrets/key", "2026-01-01T00:00:00Z"


@pytest.fixture
def secrets() -> Iterator[Secrets]:
    database = Database(":memory:")
    yield Secrets(database)
    database.close()


def test_versions_are_numbered_and_the_newest_is_the_latest(secrets: Secrets) -> None:
    for value in (b"one", b"two"):
        secrets.add(NAME, value, CREATED)
    assert [version.number for version in secrets.all(NAME)] == [2, 1]
    assert (secrets.value(NAME, "1"), secrets.value(NAME, "latest")) == (b"one", b"two")


@pytest.mark.parametrize("state", [DISABLED, DESTROYED])
def test_only_an_enabled_version_gives_its_value(secrets: Secrets, state: str) -> None:
    secrets.add(NAME, b"one", CREATED)
    secrets.move(NAME, "1", state)
    with pytest.raises(Status, match=f"in {state} state"):
        secrets.value(NAME, "1")


def test_what_is_destroyed_stays_so(secrets: Secrets) -> None:
    secrets.add(NAME, b"one", CREATED)
    secrets.move(NAME, "1", DESTROYED)
    with pytest.raises(Status, match="DESTROYED"):
        secrets.move(NAME, "1", ENABLED)


def test_a_number_is_not_used_twice_while_the_secret_exists(secrets: Secrets) -> None:
    secrets.add(NAME, b"one", CREATED)
    secrets.move(NAME, "1", DESTROYED)
    assert secrets.add(NAME, b"two", CREATED).number == 2


def test_what_does_not_exist_is_not_found(secrets: Secrets) -> None:
    with pytest.raises(Status, match=r"versions/7\] not found"):
        secrets.value(NAME, "7")


def test_a_secret_that_is_gone_has_no_versions(secrets: Secrets) -> None:
    secrets.add(NAME, b"one", CREATED)
    secrets.forget(NAME)
    assert secrets.all(NAME) == []


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    database = Database(tmp_path / "cloud.sqlite")
    Secrets(database).add(NAME, b"one", CREATED)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    database.close()
    assert modes == {0o600}
