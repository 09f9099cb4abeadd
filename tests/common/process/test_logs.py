"""Log lines as Cloud Logging reads them."""

import json
import logging
import math
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from common.process import logs
from tests.common.logged import entries, entry

ROOT = Path(__file__).parents[3]
TRACE = "0af7651916cd43dd8448eb211c80319c"
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, put back as it was afterwards."""
    logger = logging.getLogger()
    handlers, level = logger.handlers, logger.level
    yield logger
    logger.handlers = handlers
    logger.setLevel(level)


def test_an_entry_has_severity_message_action_and_fields(capfd: Captured) -> None:
    logs.info("done", "order.placed o-1", attempt=2)
    assert entry(capfd) == {
        "severity": "INFO", "message": "order.placed o-1", "action": "done", "attempt": 2
    }  # fmt: skip


def test_each_level_has_its_severity(capfd: Captured) -> None:
    logs.info("done", "a")
    logs.warning("refused", "b")
    logs.error("failed", "c")
    assert [found["severity"] for found in entries(capfd)] == ["INFO", "WARNING", "ERROR"]


def test_a_program_with_an_output_of_its_own_is_not_disturbed(capfd: Captured) -> None:
    with logs.silenced():
        logs.error("failed", "inside")
    logs.info("message", "after")
    assert [found["message"] for found in entries(capfd)] == ["after"]


def test_what_is_bound_is_in_every_entry_of_the_block_and_in_none_after(capfd: Captured) -> None:
    with logs.bound(event_id="e-1", function="consumer"):
        logs.info("received", "first")
        with logs.bound(step="mail", event_id=None):
            logs.info("step", "second")
        logs.info("done", "third")
    logs.info("start", "outside")
    first, second, third, outside = entries(capfd)
    assert first["event_id"] == second["event_id"] == third["event_id"] == "e-1"
    assert (second["step"], "step" in third, "event_id" in outside) == ("mail", False, False)


def test_what_is_bound_ends_with_an_error_too(capfd: Captured) -> None:
    with pytest.raises(RuntimeError), logs.bound(event_id="e-1"):
        raise RuntimeError
    logs.info("start", "outside")
    assert "event_id" not in entry(capfd)


def test_what_is_bound_later_ends_with_the_innermost_block(capfd: Captured) -> None:
    """As an event's ids, which are known once it has been read."""
    with logs.bound(function="consumer"):
        with logs.bound(message_id="7"):
            logs.bind(event_id="e-1")
            logs.info("received", "inside")
        logs.info("done", "outside")
    inside, outside = entries(capfd)
    assert inside == inside | {"event_id": "e-1", "message_id": "7", "function": "consumer"}
    assert outside.keys() - {"severity", "message", "action"} == {"function"}


def test_what_is_bound_later_takes_the_place_of_what_was_bound(capfd: Captured) -> None:
    with logs.bound(user_id="u-1"):
        logs.bind(user_id="u-2")
        logs.info("done", "a", step="mail")
    found = entry(capfd)
    assert (found["user_id"], found["step"]) == ("u-2", "mail")


def test_threads_do_not_see_each_others_bounds(capfd: Captured) -> None:
    """A thread serves one invocation at a time, beside others."""
    together = threading.Barrier(4, timeout=10)

    def serve(number: int) -> None:
        with logs.bound(event_id=number):
            together.wait()
            logs.info("done", str(number))

    _run(serve, 4)
    found = entries(capfd)
    assert len(found) == 4
    assert all(str(one["event_id"]) == one["message"] for one in found)


def test_lines_of_many_threads_are_not_torn(capfd: Captured) -> None:
    def chatter(number: int) -> None:
        for _ in range(50):
            logs.info("done", "x" * 6000, number=number)

    _run(chatter, 8)
    assert len(entries(capfd)) == 400


def test_a_message_of_many_lines_is_one_line(capfd: Captured) -> None:
    logs.info("done", "one\ntwo\r\nthree\u2028four\x85five")
    out = capfd.readouterr().out
    assert out.count("\n") == 1
    assert json.loads(out)["message"] == "one\ntwo\r\nthree\u2028four\x85five"


def test_an_own_field_cannot_replace_what_makes_an_entry(capfd: Captured) -> None:
    with logs.bound(severity="DEBUG", action="mine"):
        logs.info("done", "a", **{"severity": "DEBUG"})
    found = entry(capfd)
    assert (found["severity"], found["action"]) == ("INFO", "done")


class Broken:
    """A value that cannot even be shown."""

    def __str__(self) -> str:
        raise RuntimeError


class BrokenMapping(dict[str, Any]):
    """A mapping that cannot be walked."""

    def items(self) -> Any:
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Broken(), "<Broken>"),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (b"\xff\x00", "/wA="),
        (datetime(2025, 1, 2, tzinfo=UTC), "2025-01-02T00:00:00+00:00"),
        ((1, [2, {"a": None}]), [1, [2, {"a": None}]]),
        (2**70, "1180591620717411303424"),
        ({1: True}, {"1": True}),
    ],
)
def test_any_value_can_be_logged(capfd: Captured, value: object, shown: object) -> None:
    logs.info("done", "a", value=value)
    assert entry(capfd)["value"] == shown


def test_a_value_that_breaks_when_looked_at_does_not_lose_the_entry(capfd: Captured) -> None:
    logs.info("done", "kept", value=BrokenMapping())
    assert entry(capfd)["message"] == "kept"


def test_a_number_too_long_to_be_written_does_not_lose_the_entry(capfd: Captured) -> None:
    logs.info("done", "a", value=10**5000)
    assert entry(capfd)["value"] == "<int>"


def test_a_value_that_contains_itself_ends(capfd: Captured) -> None:
    loop: list[Any] = []
    loop.append(loop)
    logs.info("done", "a", loop=loop)
    assert entry(capfd)["loop"] == [[[[["[[...]]"]]]]]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary()
    | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@limits(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters()), ANYTHING)
def test_whatever_is_logged_is_one_json_line(capfd: Captured, message: str, value: object) -> None:
    """Lone surrogates, control characters and all."""
    logs.info("done", message, value=value)
    out = capfd.readouterr().out
    assert out.endswith("\n")
    assert json.loads(out[:-1])["action"] == "done"
    assert "\n" not in out[:-1]


def test_half_a_character_does_not_lose_the_entry(capfd: Captured) -> None:
    """JSON can hold a lone surrogate, UTF-8 cannot."""
    logs.info("done", "\ud83d", **{"\udc0e": "\udc0e"})
    assert entry(capfd)["\udc0e"] == "\udc0e"


def test_lines_bypass_whatever_stands_in_for_standard_output(
    capfd: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With LOG_EXECUTION_ID the framework puts a stream there that writes lines in two pieces."""
    monkeypatch.setattr("sys.stdout", None)
    logs.info("done", "a")
    assert entry(capfd)["message"] == "a"


def test_a_huge_entry_is_cut(capfd: Captured) -> None:
    logs.info("done", "x" * 1_000_000, payload="y" * 1_000_000)
    assert len(capfd.readouterr().out) < 100_000


def test_an_entry_of_too_many_fields_is_cut_to_what_makes_it(capfd: Captured) -> None:
    logs.info("done", "kept", payload=["y" * 30_000] * 20)
    assert entry(capfd).keys() == {"severity", "message", "action", "cut"}


MASKING = """
from common.process.logs import _MASKS
for text in ("x" * 1_000_000, "a@" * 500_000, "://" * 300_000, "a." * 500_000 + "@"):
    for pattern, mask in _MASKS:
        pattern.sub(mask, text)
"""


def test_masking_a_long_word_ends() -> None:
    """With the square of the length of the word, which it once took, it would take hours."""
    ended = subprocess.run([sys.executable, "-c", MASKING], cwd=ROOT, timeout=60, check=False)
    assert ended.returncode == 0


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no user ada@example.com here", "no user …@… here"),
        ("smtp://shop:secret@mail:25 is down", "smtp://…@mail:25 is down"),
        ("got Authorization: Bearer eyJh.eyJp.c2ln", "got Authorization: Bearer …"),
        ("{'email': 'a.b+c@mail.example.co.uk'}", "{'email': '…@…'}"),
        ("tasks@shop.iam.gserviceaccount.com may", "tasks@shop.iam.gserviceaccount.com may"),
        ("2 @ 3 and @name", "2 @ 3 and @name"),
        ("https://a.example/send?key=rose&x=1 is gone", "https://a.example/send?… is gone"),
        ("with url: /send?key=rose (Caused by", "with url: /send?… (Caused by"),
        ("is it? a = b", "is it? a = b"),
    ],
)
def test_addresses_and_credentials_are_masked(capfd: Captured, text: str, shown: str) -> None:
    logs.info("failed", text, nested={"deep": [text]})
    found = entry(capfd)
    assert found["message"] == found["nested"]["deep"][0] == shown


def test_an_error_carries_its_stack_where_error_reporting_looks(capfd: Captured) -> None:
    try:
        raise ValueError("no such user ada@example.com")
    except ValueError as error:
        logs.error("failed", "handler failed", exc=error)
    found = entry(capfd)
    assert found["stack_trace"].startswith("Traceback (most recent call last):")
    assert found["stack_trace"].rstrip().endswith("ValueError: no such user …@…")
    assert found["error_type"] == "ValueError"


@pytest.mark.parametrize(
    ("headers", "fields"),
    [
        (
            {"X-Cloud-Trace-Context": f"{TRACE}/1027871334010811884;o=1"},
            {logs.SPAN: "0e43bb884a8575ec", logs.SAMPLED: True},
        ),
        (
            {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"},
            {logs.SPAN: "b7ad6b7169203331", logs.SAMPLED: True},
        ),
        (
            {"traceparent": f"00-{TRACE}-b7ad6b7169203331-00"},
            {logs.SPAN: "b7ad6b7169203331", logs.SAMPLED: False},
        ),
    ],
)
def test_the_trace_of_a_request_is_its_log_entries_trace(headers: Any, fields: Any) -> None:
    found = logs.request_fields(headers, "shop")
    assert found == {logs.TRACE: f"projects/shop/traces/{TRACE}", **fields}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"traceparent": "garbage"},
        {"traceparent": f"00-{TRACE}-short-01"},
        {"X-Cloud-Trace-Context": "a/b;o=1"},
        {"X-Cloud-Trace-Context": f"{TRACE}\n/1;o=1"},
    ],
)
def test_a_trace_that_cannot_be_read_is_none(headers: dict[str, str]) -> None:
    assert logs.request_fields(headers, "shop") == {}


def test_the_execution_id_is_a_label(capfd: Captured) -> None:
    """As the framework would add it, had it seen the line."""
    with logs.bound(**logs.request_fields({"Function-Execution-Id": "abc"}, "shop")):
        logs.info("done", "a")
    assert entry(capfd)[logs.LABELS] == {"execution_id": "abc"}


@pytest.mark.parametrize(
    ("labels", "shown"),
    [
        ({"who": "ada@example.com"}, {"who": "…@…"}),
        ({"who": {"email": "ada@example.com"}}, {"who": {"email": "…@…"}}),
        ({1: "a", (2, 3): "b"}, {"1": "a", "(2, 3)": "b"}),
        ("a@b.example", "…@…"),
    ],
)
def test_whatever_is_given_as_labels_is_masked(
    capfd: Captured, labels: object, shown: object
) -> None:
    logs.info("done", "a", **{logs.LABELS: labels})
    assert entry(capfd)[logs.LABELS] == shown


def test_what_libraries_log_goes_the_same_way(capfd: Captured, root: logging.Logger) -> None:
    logs.install()
    with logs.bound(event_id="e-1"):
        logging.getLogger("urllib3").warning("retrying %s", "http://user:pw@host")
        logging.getLogger("urllib3").info("not interesting")
    found = entry(capfd)
    assert (found["severity"], found["action"], found["logger"]) == (
        "WARNING",
        "library",
        "urllib3",
    )
    assert (found["message"], found["event_id"]) == ("retrying http://…@host", "e-1")


def test_a_librarys_exception_has_its_stack(capfd: Captured, root: logging.Logger) -> None:
    logs.install()
    try:
        raise KeyError("x")
    except KeyError:
        logging.getLogger("lib").exception("broke")
    assert "KeyError: 'x'" in entry(capfd)["stack_trace"]


def test_a_librarys_wrong_format_does_not_lose_the_entry(
    capfd: Captured, root: logging.Logger
) -> None:
    logs.install()
    logging.getLogger("lib").error("%d apples", "no")
    assert entry(capfd)["message"] == "%d apples"


def test_installing_twice_logs_once(capfd: Captured, root: logging.Logger) -> None:
    logs.install()
    logs.install()
    logging.getLogger("lib").error("once")
    assert len(entries(capfd)) == 1


def test_an_output_nobody_reads_stops_nobody() -> None:
    """Work goes on when whoever collects the logs is gone."""
    kept, (reader, writer) = os.dup(1), os.pipe()
    os.close(reader)
    os.dup2(writer, 1)
    try:
        logs.info("done", "unheard")
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(writer)


def _run(work: Any, count: int) -> None:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
