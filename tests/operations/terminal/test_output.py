"""What is printed is one line for one thing, and can do nothing to a terminal."""

import json
from datetime import UTC, datetime

import pytest

from operations.terminal import moments, output

TIME = datetime(2026, 11, 27, 8, tzinfo=UTC)


def test_an_id_is_printed_whole_to_be_copied(capsys: pytest.CaptureFixture[str]) -> None:
    output.table([{"id": "x" * 90, "error": "y" * 90}], ("id", "error"), "nothing")
    printed = capsys.readouterr().out
    assert "x" * 90 in printed
    assert "y" * 61 not in printed


def test_no_rows_are_said_so(capsys: pytest.CaptureFixture[str]) -> None:
    output.table([], ("id",), "no such thing")
    assert capsys.readouterr().out == "no such thing\n"


@pytest.mark.parametrize("hostile", ["\x1b[31m", "a\nb", "\u202e", "\x9b", "\u2066x", "\x7f"])
def test_stored_text_cannot_move_the_cursor(hostile: str) -> None:
    assert not set(output.text(hostile)) & set("\x1b\n\u202e\x9b\u2066\x7f")


def test_a_document_has_times_and_bytes_that_json_has_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output.document({"at": TIME, "raw": b"\xff", "each": [{"at": None}]})
    printed = json.loads(capsys.readouterr().out)
    assert printed == {"at": "2026-11-27T08:00:00+00:00", "raw": "/w==", "each": [{"at": None}]}


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("1h30m", 5400), ("3d", 259_200), ("2w", 1_209_600)]
)
def test_a_duration_is_read(text: str, seconds: int) -> None:
    assert moments.duration(text).total_seconds() == seconds
    assert moments.lasting(moments.duration("3d2h1m")) == "3 d 2 h"


def test_a_log_has_what_became_of_it_and_not_how_it_went(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    output.progress("1 waiting")
    output.note("one could not be sent")
    assert capsys.readouterr() == ("", "one could not be sent\n")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    output.progress("1 waiting")
    assert capsys.readouterr() == ("", "1 waiting\n")
