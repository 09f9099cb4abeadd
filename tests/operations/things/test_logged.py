"""With --logs, what the functions logged of an id stands in its timeline."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from common.cloud import firestore
from common.cloud.firestore import Merge
from common.cloud.memory import MemoryFirestore
from common.idempotency.record import record_id
from operations.errors import OperationsError
from operations.place.environment import Place
from operations.things import logged, timeline

PLACE = Place(
    environment="shop",
    words=["shop"],
    project="shop-project",
    region="europe-west1",
    database="(default)",
    described={},
)


class Gcloud:
    """A gcloud that prints what it is given, and notes what it is asked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def prints(self, *lines: object, status: int = 0) -> None:
        (self._folder / "lines").write_text(json.dumps(lines))
        program = self._folder / "gcloud"
        here = self._folder
        program.write_text(
            f"#!/bin/sh\nprintf '%s\\n' \"$@\" >{here}/asked\ncat {here}/lines\nexit {status}\n"
        )
        program.chmod(0o755)

    @property
    def asked(self) -> str:
        return (self._folder / "asked").read_text()


@pytest.fixture
def gcloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gcloud:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return Gcloud(tmp_path)


@pytest.fixture
def event(memory: MemoryFirestore) -> MemoryFirestore:
    path = f"idempotency/{record_id('consumer', 'e-1')}"
    fields = {"scope": "consumer", "key": "e-1", "state": "done", "first_seen": memory.now}
    firestore.commit([Merge(path=path, fields={**fields, "about": ["o-1"]})])
    return memory


def line(memory: MemoryFirestore, seconds: float, **fields: object) -> dict[str, object]:
    return {
        "timestamp": (memory.now + timedelta(seconds=seconds)).isoformat(),
        "resource": {"labels": {"service_name": "consumer"}},
        "severity": "WARNING",
        "jsonPayload": {"action": "waiting", "message": "503", "event_id": "e-1", **fields},
    }


def test_a_line_stands_where_it_happened(event: MemoryFirestore, gcloud: Gcloud) -> None:
    gcloud.prints(line(event, 60), line(event, -60, message="before"))
    found = logged.merged(timeline.of("o-1"), PLACE, 10).timeline
    told = [(entry.what, entry.id, entry.state, entry.detail) for entry in found]
    assert told[0] == ("log of consumer", "waiting", "warning", "before")
    assert told[-1] == ("log of consumer", "waiting", "warning", "503")


def test_the_log_is_asked_with_a_limit_for_what_belongs_to_the_id(
    event: MemoryFirestore, gcloud: Gcloud
) -> None:
    gcloud.prints()
    logged.merged(timeline.of("o-1"), PLACE, 7)
    assert 'jsonPayload.event_id=("o-1" OR "e-1")' in gcloud.asked
    assert "--limit=7\n" in gcloud.asked
    assert "--project=shop-project\n" in gcloud.asked


def test_an_id_cannot_end_the_text_that_it_stands_in(
    memory: MemoryFirestore, gcloud: Gcloud
) -> None:
    gcloud.prints()
    logged.read(PLACE, ['x" OR severity>=DEFAULT'], 7)
    assert r'("x\" OR severity>=DEFAULT")' in gcloud.asked


@pytest.mark.parametrize(
    "strange", [{}, {"timestamp": "never"}, {"timestamp": "2026-11-27T08:00:00Z"}]
)
def test_a_line_that_is_no_entry_of_ours_is_left_out(
    memory: MemoryFirestore, gcloud: Gcloud, strange: dict[str, object]
) -> None:
    gcloud.prints(strange)
    assert logged.read(PLACE, ["e-1"], 7) == []


def test_a_gcloud_that_fails_is_said(memory: MemoryFirestore, gcloud: Gcloud) -> None:
    gcloud.prints(status=1)
    with pytest.raises(OperationsError, match="gcloud logging read"):
        logged.read(PLACE, ["e-1"], 7)
