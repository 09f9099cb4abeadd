"""What a dead letter keeps."""

import hashlib
from datetime import timedelta
from typing import Any

import pytest

from common.cloud import firestore
from common.errors import KeyReusedError, MalformedError, PermanentError
from common.idempotency import dead_letters
from common.idempotency.dead_letters import MAX_PAYLOAD
from common.idempotency.origin import Received
from common.idempotency.waits import word
from tests.common.memory_store import MemoryStore


def fields(payload: bytes, **given: Any) -> dict[str, Any]:
    given = {"error": "e", "now": None, **given}
    dead_letter = dead_letters.opened(
        "id", source="consumer", reason="r", payload=payload, attempts=1, **given
    )
    return dict(dead_letter.fields)


def test_text_is_kept_as_text_and_other_bytes_as_bytes() -> None:
    assert fields("grüße".encode())["payload"] == "grüße"
    assert fields(b"\xff\x00")["payload"] == b"\xff\x00"


def test_a_large_payload_is_cut_with_its_digest() -> None:
    payload = b"x" * (MAX_PAYLOAD + 1)
    kept = fields(payload)
    assert (len(kept["payload"]), kept["payload_truncated"]) == (MAX_PAYLOAD, True)
    assert kept["payload_sha256"] == hashlib.sha256(payload).hexdigest()


def test_a_cut_in_the_middle_of_a_character_leaves_text() -> None:
    payload = b"x" * (MAX_PAYLOAD - 1) + "ü".encode() + b"y"
    assert fields(payload)["payload"] == "x" * (MAX_PAYLOAD - 1)


def test_what_is_not_cut_has_no_digest() -> None:
    kept = fields(b"{}")
    assert kept["payload_truncated"] is False
    assert "payload_sha256" not in kept


def test_long_errors_and_keys_are_cut() -> None:
    kept = fields(b"", error="e" * 10_000, key="k" * 10_000)
    assert (len(kept["error"]), len(kept["key"])) == (2000, 2000)


def test_an_error_is_kept_without_addresses_and_keys() -> None:
    error = "ada@example.com is unknown at https://mail.example/send?key=rose"
    assert fields(b"", error=error)["error"] == "…@… is unknown at https://mail.example/send?…"


@pytest.mark.parametrize(
    ("error", "reason"),
    [(MalformedError(), "malformed"), (KeyReusedError(), "key_reused"),
     (PermanentError(), "permanent")],
)  # fmt: skip
def test_the_reason_is_the_kind_of_error(error: PermanentError, reason: str) -> None:
    assert word(error) == reason


def test_replaying_only_changes_the_state() -> None:
    write = dead_letters.replayed("id")
    assert write.path == "dead_letters/id"
    assert write.fields["state"] == "replayed"
    assert "payload" not in write.fields


def test_what_a_process_gives_up_first_is_collected_as_well(store: MemoryStore) -> None:
    dead_letters.record_refused(
        source="consumer", error=MalformedError(), received=Received(payload=b"{")
    )
    (found,) = firestore.query(dead_letters.COLLECTION)
    kept = found.data
    assert kept["expire_at"] - kept["first_seen"] > dead_letters.RETENTION - timedelta(minutes=1)


def test_one_that_comes_again_is_open_again_and_kept_as_long_as_a_new_one(
    store: MemoryStore,
) -> None:
    def record() -> None:
        dead_letters.record_refused(
            source="consumer", error=MalformedError(), received=Received(payload=b"{")
        )

    record()
    (found,) = firestore.query(dead_letters.COLLECTION)
    firestore.commit([dead_letters.replayed(found.path.rpartition("/")[2])])
    store.advance(30 * 86_400)
    record()
    (again,) = firestore.query(dead_letters.COLLECTION)
    assert (again.data["state"], again.data["attempts"]) == ("open", 2)
    assert again.data["expire_at"] > found.data["expire_at"]
