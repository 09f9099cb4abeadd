"""Content that is kept while nobody knows whether it arrived."""

import random
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from common.cloud import firestore
from common.cloud.firestore import Merge
from common.cloud.memory import MemoryFirestore
from common.errors import TransientError
from common.messaging import kept
from tests.common.messaging.test_messages import NOW
from tests.common.messaging.test_transports import MESSAGE

WITH_LINK = replace(MESSAGE, headers={"List-Unsubscribe": "<https://example.com/u>"})


@pytest.mark.usefixtures("documents")
def test_a_message_is_kept_as_it_went_out() -> None:
    kept.keep(WITH_LINK, NOW)
    found = kept.read(MESSAGE.key)
    assert found == kept.Kept(message=WITH_LINK, since=NOW)


@pytest.mark.usefixtures("documents")
def test_the_first_one_is_kept() -> None:
    kept.keep(MESSAGE, NOW)
    kept.keep(replace(MESSAGE, text="another"), NOW + timedelta(hours=1))
    assert kept.read(MESSAGE.key) == kept.Kept(message=MESSAGE, since=NOW)


def test_the_document_names_the_person_and_ends(documents: MemoryFirestore) -> None:
    kept.keep(MESSAGE, NOW)
    (fields,) = documents.documents("sends").values()
    assert (fields["user_id"], fields["template"]) == ("u-1", "order_confirmation")
    assert fields["expire_at"] == NOW + kept.RETENTION
    assert isinstance(fields["content"], bytes)


def test_of_what_is_too_large_only_the_hash_is_kept(documents: MemoryFirestore) -> None:
    noise = random.Random(1).randbytes(1_000_000).hex()
    kept.keep(replace(MESSAGE, text=noise), NOW)
    (fields,) = documents.documents("sends").values()
    assert (fields["content"], len(fields["content_sha256"])) == (None, 64)
    assert kept.read(MESSAGE.key) == kept.Kept(message=None, since=NOW)


@pytest.mark.usefixtures("documents")
def test_nothing_is_kept_until_something_is() -> None:
    assert kept.read(MESSAGE.key) is None


def test_what_is_forgotten_is_gone(documents: MemoryFirestore) -> None:
    kept.keep(MESSAGE, NOW)
    firestore.commit([kept.forget(MESSAGE.key)])
    assert documents.documents("sends") == {}


@pytest.mark.usefixtures("environment")
def test_the_error_that_led_here_is_not_hidden_by_another() -> None:
    class Down(MemoryFirestore):
        def commit(self, writes: object) -> Any:
            raise TransientError("down")

    with firestore.using(Down()):
        kept.keep(MESSAGE, NOW)
        assert kept.read(MESSAGE.key) is None


@pytest.mark.parametrize("content", [b"", b"rot", None, "text"])
@pytest.mark.usefixtures("documents")
def test_what_cannot_be_read_is_made_anew(content: object) -> None:
    kept.keep(MESSAGE, NOW)
    firestore.commit([Merge(path=kept.path_of(MESSAGE.key), fields={"content": content})])
    assert kept.read(MESSAGE.key) == kept.Kept(message=None, since=NOW)


@pytest.mark.usefixtures("documents")
def test_what_was_changed_is_made_anew() -> None:
    kept.keep(MESSAGE, NOW)
    kept.keep(replace(MESSAGE, key="other", text="other"), NOW)
    other = firestore.read(kept.path_of("other")).data["content"]
    firestore.commit([Merge(path=kept.path_of(MESSAGE.key), fields={"content": other})])
    found = kept.read(MESSAGE.key)
    assert found
    assert found.message is None
