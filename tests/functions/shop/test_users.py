"""Users: what a sign-up says of them, their firsts, and how they are written to."""

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from common.cloud import firestore
from common.cloud.firestore import Create, Merge, Update, Write
from common.cloud.memory import MemoryFirestore
from common.errors import RefusedError
from common.messaging.recipients import Recipient
from functions.shop import users
from tests.functions.shop_in_memory import Work, event

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
WORK: Any = Work(NOW)


def store(**fields: Any) -> None:
    """There is a user's document."""
    firestore.commit([Merge(path="users/u-1", fields=fields)])


def written(event_id: str = "e-1", /, **payload: Any) -> Write:
    """What a sign-up writes."""
    signed_up = replace(event("user.signed_up", **payload), event_id=event_id)
    return users.sign_up(users.read("u-1"), signed_up, WORK)


def sign_up(event_id: str = "e-1", /, **payload: Any) -> dict[str, Any]:
    """The user's document after a sign-up."""
    firestore.commit([written(event_id, **payload)])
    return dict(users.read("u-1").data)


def test_a_user_is_a_document_of_their_own_whatever_their_id() -> None:
    assert (users.path("u-1"), users.path("a/b")) == ("users/u-1", "users/a%2Fb")


class TestRecipient:
    def test_it_is_what_the_document_says(self, documents: MemoryFirestore) -> None:
        store(email="ada@example.com", name="Ada", timezone="Europe/Berlin", unsubscribed=True)
        assert users.recipient("u-1") == Recipient(
            user_id="u-1",
            address="ada@example.com",
            name="Ada",
            zone="Europe/Berlin",
            is_unsubscribed=True,
        )

    def test_nobody_is_known_without_a_document(self, documents: MemoryFirestore) -> None:
        assert users.recipient("u-1") == Recipient(user_id="u-1", is_known=False)

    def test_a_user_of_whom_little_is_said_gets_everything(
        self, documents: MemoryFirestore
    ) -> None:
        store(email="ada@example.com")
        assert users.recipient("u-1") == Recipient(user_id="u-1", address="ada@example.com")


class TestSignUp:
    def test_the_payload_is_kept_with_who_and_when(self, documents: MemoryFirestore) -> None:
        assert sign_up(email="ada@example.com", plan="free") == {
            "email": "ada@example.com",
            "plan": "free",
            "user_id": "u-1",
            "digest_opt_in": False,
            "signed_up_at": NOW,
            "signed_up_by": "e-1",
        }

    @pytest.mark.parametrize(
        ("given", "kept"), [(True, True), (False, False), (None, False), ("", False)]
    )
    def test_the_digest_is_off_unless_asked_for(
        self, documents: MemoryFirestore, given: object, kept: bool
    ) -> None:
        assert sign_up(email="a@b.c", digest_opt_in=given)["digest_opt_in"] is kept

    @pytest.mark.parametrize("known", [True, False])
    @pytest.mark.parametrize("given", [{}, {"digest_opt_in": None}, {"digest_opt_in": ""}])
    def test_a_second_one_that_says_nothing_of_the_digest_changes_nothing_of_it(
        self, documents: MemoryFirestore, known: bool, given: dict[str, Any]
    ) -> None:
        store(email="old@example.com", digest_opt_in=known)
        found = sign_up(email="new@example.com", **given)
        assert (found["email"], found["digest_opt_in"]) == ("new@example.com", known)

    def test_the_digest_is_off_too_for_whom_a_login_has_made_the_document(
        self, documents: MemoryFirestore
    ) -> None:
        store(first_login_at=NOW)
        assert sign_up(email="ada@example.com")["digest_opt_in"] is False

    @pytest.mark.parametrize("fields", [None, {"first_login_at": NOW}])
    def test_what_is_written_holds_only_for_the_document_as_it_was_read(
        self, documents: MemoryFirestore, fields: dict[str, Any] | None
    ) -> None:
        """Otherwise there were two first ones, and one undid what the other asks for."""
        if fields:
            store(**fields)
        write = written(email="a@b.c")
        store(digest_opt_in=True)
        with pytest.raises(RefusedError):
            firestore.commit([write])

    def test_the_first_is_the_one_that_said_when(self, documents: MemoryFirestore) -> None:
        sign_up("e-1", email="old@example.com")
        found = sign_up("e-2", email="new@example.com", signed_up_by="e-2", signed_up_at="now")
        names = ("email", "signed_up_at", "signed_up_by")
        assert [found[name] for name in names] == ["new@example.com", NOW, "e-1"]

    @pytest.mark.parametrize(
        ("fields", "is_first"),
        [
            ({}, True),
            ({"first_login_at": NOW}, True),
            ({"signed_up_at": NOW, "signed_up_by": "e-1"}, True),
            ({"signed_up_at": NOW, "signed_up_by": "e-2"}, False),
            ({"signed_up_at": NOW}, False),
        ],
    )
    def test_it_is_still_the_first_when_it_comes_again(
        self, documents: MemoryFirestore, fields: dict[str, Any], is_first: bool
    ) -> None:
        store(**fields)
        first = users.is_first_sign_up(users.read("u-1"), event("user.signed_up"))
        assert first is is_first

    def test_nothing_else_in_the_document_is_touched(self, documents: MemoryFirestore) -> None:
        store(first_login_at=NOW, unsubscribed=True)
        found = sign_up(email="ada@example.com")
        assert (found["first_login_at"], found["unsubscribed"]) == (NOW, True)

    @pytest.mark.parametrize("mark", ["first_login_at", "first_feature_at"])
    def test_a_payload_cannot_pretend_a_first(self, documents: MemoryFirestore, mark: str) -> None:
        assert mark not in sign_up(**{"email": "a@b.c", mark: "2020-01-01T00:00:00Z"})

    @pytest.mark.parametrize("name", ["user_id", "signed_up_at"])
    def test_a_payload_cannot_say_who_or_when(self, documents: MemoryFirestore, name: str) -> None:
        found = sign_up(**{"email": "a@b.c", name: "forged"})
        assert (found["user_id"], found["signed_up_at"]) == ("u-1", NOW)

    def test_what_firestore_cannot_hold_is_kept_as_text(self, documents: MemoryFirestore) -> None:
        found = sign_up(**{"email": "a@b.c", "nested": [[1]], "": 2})
        assert (found["nested"], found["more"]) == ("[[1]]", '{"": 2}')


@pytest.mark.parametrize(
    ("fields", "zone"),
    [
        ({}, None),
        ({"digest_opt_in": False, "timezone": "Asia/Tokyo"}, None),
        ({"digest_opt_in": True}, "Etc/UTC"),
        ({"digest_opt_in": True, "timezone": "Asia/Tokyo"}, "Asia/Tokyo"),
        ({"digest_opt_in": True, "timezone": 7}, "Etc/UTC"),
    ],
)
def test_the_digest_is_for_who_still_wants_it(
    documents: MemoryFirestore, fields: dict[str, Any], zone: str | None
) -> None:
    store(**fields)
    found = users.digest_zone("u-1")
    assert (found and found.key) == zone


def test_nobody_wants_no_digest(documents: MemoryFirestore) -> None:
    assert users.digest_zone("u-1") is None


class TestFirst:
    def test_the_first_is_marked_provided_nobody_else_does(
        self, documents: MemoryFirestore
    ) -> None:
        fields = {"user_id": "u-1", "first_login_at": NOW}
        *_, write = users.set_first(event("user.logged_in"), WORK, "first_login_at")
        assert write == Create(path="users/u-1", fields=fields)

    def test_in_a_document_that_is_there_it_is_marked_as_it_was_read(
        self, documents: MemoryFirestore
    ) -> None:
        store(email="ada@example.com")
        *_, write = users.set_first(event("user.logged_in"), WORK, "first_login_at")
        assert isinstance(write, Update)
        assert write.update_time == documents.now

    def test_where_it_is_marked_there_is_nothing_to_do(self, documents: MemoryFirestore) -> None:
        store(first_login_at=NOW)
        assert users.set_first(event("user.logged_in"), WORK, "first_login_at") == []

    def test_one_mark_does_not_stand_for_the_other(self, documents: MemoryFirestore) -> None:
        store(first_login_at=NOW)
        assert users.set_first(event("feature.used"), WORK, "first_feature_at")
