"""Databases, expiry and index exemptions."""

from typing import Any

import pytest

from tests.local.gcloud.gcloud_command import Gcloud

WHERE = ("--collection-group=messages", "--database=shop", "--async")


@pytest.fixture(scope="module")
def made() -> list[Any]:
    return []


@pytest.fixture
def shop(gcloud: Gcloud, made: list[Any]) -> Gcloud:
    """gcloud, with the database `shop`."""
    if not made:
        words = ("firestore", "databases", "create", "--database=shop", "--location=eur3")
        made.append(gcloud.read(*words, "--type=firestore-native", "--delete-protection"))
    return gcloud


def test_a_database_is_as_it_was_made(shop: Gcloud, made: list[Any]) -> None:
    assert made[0]["done"] is True
    shown = shop.read("firestore", "databases", "describe", "--database=shop")
    asked = ("locationId", "type", "deleteProtectionState", "pointInTimeRecoveryEnablement")
    assert [shown[key] for key in asked] == [
        *("eur3", "FIRESTORE_NATIVE", "DELETE_PROTECTION_ENABLED"),
        "POINT_IN_TIME_RECOVERY_DISABLED",
    ]
    assert [d["name"] for d in shop.read("firestore", "databases", "list")] == [shown["name"]]


def test_a_project_has_no_database_until_one_is_made(shop: Gcloud) -> None:
    shown = shop.fail("firestore", "databases", "describe", "--database=other", code=1)
    assert "NOT_FOUND: The database other does not exist for project local-project." in shown
    words = ("firestore", "fields", "ttls", "update", "f", "--collection-group=g", "--enable-ttl")
    assert "NOT_FOUND: The database other" in shop.fail(*words, "--database=other", code=1)


def test_a_database_that_exists_is_a_conflict(shop: Gcloud) -> None:
    words = ("firestore", "databases", "create", "--database=shop", "--location=eur3")
    shown = shop.fail(*words, code=1)
    assert "Resource in projects [local-project] is the subject of a conflict: Database" in shown


def test_a_field_has_an_expiry_and_no_index_until_they_are_taken_away(shop: Gcloud) -> None:
    def listed(*words: str) -> list[str]:
        found = shop.read("firestore", *words, "list", "--database=shop")
        return [field["name"].rpartition("/collectionGroups/")[2] for field in found]

    field = "messages/fields/expire_at"
    ttl = ("firestore", "fields", "ttls", "update", "expire_at", *WHERE)
    index = ("firestore", "indexes", "fields", "update", "expire_at", *WHERE)
    assert shop.read(*ttl, "--enable-ttl")["response"]["ttlConfig"] == {"state": "ACTIVE"}
    assert (listed("fields", "ttls"), listed("indexes", "fields")) == ([field], [])
    shop.run(*index, "--disable-indexes")
    assert (listed("fields", "ttls"), listed("indexes", "fields")) == ([field], [field])
    shop.run(*ttl, "--disable-ttl")
    shop.run(*index, "--clear-exemption")
    assert (listed("fields", "ttls"), listed("indexes", "fields")) == ([], [])


def test_a_protected_database_is_not_deleted(shop: Gcloud) -> None:
    shown = shop.fail("firestore", "databases", "delete", "--database=shop", code=1)
    assert "FAILED_PRECONDITION: The database has delete protection enabled" in shown
    shop.run("firestore", "databases", "update", "--database=shop", "--no-delete-protection")
    described = shop.read("firestore", "databases", "describe", "--database=shop")
    assert described["deleteProtectionState"] == "DELETE_PROTECTION_DISABLED"
    shop.run("firestore", "databases", "delete", "--database=shop")
    assert shop.read("firestore", "databases", "list") == []
