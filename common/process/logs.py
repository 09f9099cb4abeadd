"""Logs as Cloud Logging reads them: one JSON object per line on standard output.

Every record carries `severity`, `message`, an `action` from the list below, and what was bound for
the invocation: the event's or task's id (so that a duplicate delivery shows as several entries with
one id) and the trace of an HTTP request. Addresses and credentials are masked in whatever is
logged; a record that cannot be serialised is logged as well as it can be, never raised. There is no
time field: Cloud Logging stamps what it receives.
"""

import base64
import contextlib
import json
import logging
import os
import re
import threading
import traceback
from collections.abc import Collection, Iterator, Mapping
from contextvars import ContextVar
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal, Protocol

import msgspec

Action = Literal[
    "start",  # the process is up
    "received",  # a delivery came in
    "claimed",  # an attempt begins
    "uncertain",  # a write failed and may have been applied
    "done",  # its work is done and recorded
    "duplicate",  # it was done before
    "in_progress",  # another delivery is at it
    "lost_claim",  # it was ours and is not any more
    "released",  # given back uncounted
    "not_yet",  # what it needs has not happened
    "waiting",  # it cannot be done now, and is tried again later
    "failed",  # tried again later
    "dead_lettered",  # given up, and recorded
    "replayed",  # a dead letter was replayed
    "erased",  # what was known of a user is gone
    "ignored",  # nothing for us
    "refused",  # the caller may not call
    "scheduled",  # an alarm was set
    "cancelled",
    "skipped",  # what was to be sent makes no sense any more
    "message",  # a message was sent, or withheld
    "enqueued",  # tasks were created
    "published",  # an event was published
    "step",  # a step of a handler finished
    "library",  # what a library logs
]

TRACE = "logging.googleapis.com/trace"
SPAN = "logging.googleapis.com/spanId"
SAMPLED = "logging.googleapis.com/trace_sampled"
LABELS = "logging.googleapis.com/labels"

TEXT_LIMIT = 32_000
"""Characters of one field."""
LINE_LIMIT = 250_000
"""Bytes of an entry: Cloud Logging refuses those over 256 KB."""
DEPTH_LIMIT = 6

_bound: ContextVar[Mapping[str, Any]] = ContextVar("bound", default=MappingProxyType({}))
_lock = threading.RLock()
"""Reentrant: a signal handler logs in the thread it interrupts."""

_MASKS = (
    (re.compile(r"://[^\s/@]+@"), "://…@"),
    # What follows the question mark of a URL, which may be a key; also where a library shows the
    # URL without its host.
    (re.compile(r"\?[\w.~%-]{1,100}=[^\s\"'<>)]*"), "?…"),
    (re.compile(r"(?i)\bbearer\s+[\w.~+/=-]+"), "Bearer …"),
    # A service account is a name, not a person. Matched from the start of a word only: from every
    # letter of it, the time would grow with the square of a long word's length.
    (
        re.compile(r"(?<![\w.%+-])[\w.%+-]++@(?![\w.-]*\.gserviceaccount\.com)[\w-]+(?:\.[\w-]+)*"),
        "…@…",
    ),
)
_is_silent = False
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
_encode_plain = msgspec.json.Encoder().encode
_PLAIN = {str, int, bool, type(None)}


@contextlib.contextmanager
def bound(**fields: Any) -> Iterator[None]:
    """Every record inside the block carries these fields; None leaves one out."""
    kept = {name: value for name, value in fields.items() if value is not None}
    token = _bound.set({**_bound.get(), **kept})
    try:
        yield
    finally:
        _bound.reset(token)


def bind(**fields: Any) -> None:
    """Every further record inside the innermost `bound` block carries these fields too."""
    _bound.set({**_bound.get(), **fields})


class Headers(Protocol):
    """The headers of a request, whatever web framework has them."""

    def get(self, name: str, /) -> str | None:
        """A header's value, by its name in any case."""


def request_fields(headers: Headers, project: str) -> dict[str, Any]:
    """What to bind for an HTTP request: its trace and execution id, as its headers name them."""
    fields: dict[str, Any] = {}
    if execution := headers.get("Function-Execution-Id"):
        fields[LABELS] = {"execution_id": execution[:100]}
    if trace := _trace(headers):
        identifier, span, sampled = trace
        fields |= {TRACE: f"projects/{project}/traces/{identifier}", SPAN: span, SAMPLED: sampled}
    return fields


def info(action: Action, message: str, **fields: Any) -> None:
    """Log what happened."""
    _log("INFO", action, message, fields)


def warning(action: Action, message: str, **fields: Any) -> None:
    """Log what somebody might want to look at."""
    _log("WARNING", action, message, fields)


def error(action: Action, message: str, *, exc: BaseException | None = None, **fields: Any) -> None:
    """Log what somebody has to look at. With `exc`, Error Reporting groups it by its stack."""
    _log("ERROR", action, message, {**fields, **_stack(exc)})


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Nothing is written inside the block, by whatever thread: for a program, such as a command,
    whose output is its own."""
    global _is_silent
    before, _is_silent = _is_silent, True
    try:
        yield
    finally:
        _is_silent = before


def install(level: int = logging.WARNING) -> None:
    """Send what libraries log, from `level` up, through here as well. Repeating it is harmless."""
    root = logging.getLogger()
    root.handlers = [_LibraryHandler()]
    root.setLevel(level)


class _LibraryHandler(logging.Handler):
    """Writes a standard library record as one of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except Exception:  # arguments that do not fit the format
            message = str(record.msg)
        exc = record.exc_info[1] if record.exc_info else None
        severity = record.levelname if record.levelno >= logging.DEBUG else "DEFAULT"
        _log(severity, "library", message, {"logger": record.name, **_stack(exc)})


def _log(severity: str, action: str, message: str, fields: Mapping[str, Any]) -> None:
    if _is_silent:
        return
    record = {"severity": severity, "message": message, "action": action}
    try:
        line = _line({**_bound.get(), **fields, **record})
    except Exception:  # a mapping or a key that breaks when looked at
        line = _line(record)
    if len(line) > LINE_LIMIT:
        line = _line({**record, "cut": len(line)})
    _write(line)


def _line(entry: Mapping[str, Any]) -> bytes:
    return _plain_line(entry) or _masked_line(entry)


def _plain_line(entry: Mapping[str, Any]) -> bytes | None:
    """The line of an entry of short texts with nothing to mask, as nearly every one is."""
    values: Collection[Any] = entry.values()
    if type(labels := entry.get(LABELS)) is dict:
        values = [*(it for it in values if it is not labels), *labels.values()]
    if not _PLAIN.issuperset(map(type, values)):
        return None
    if [it for it in values if type(it) is int and abs(it) >= 2**63]:  # JSON's readers round them
        return None
    try:
        line = _encode_plain(entry)
    except (ValueError, TypeError):  # half a character, or a label whose name is no text
        return None
    return None if len(line) > TEXT_LIMIT or _may_be_masked(line) else line + b"\n"


def _may_be_masked(text: bytes) -> bool:
    # Whatever a mask finds has one of these in it; most texts have none.
    return b"@" in text or b"?" in text or b"bearer" in text.lower()


def _masked_line(entry: Mapping[str, Any]) -> bytes:
    text = _encode(_plain(entry, DEPTH_LIMIT))
    # A lone surrogate cannot be UTF-8; escaped like this it is legal JSON.
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _write(line: bytes) -> None:
    """Write a whole line at once: threads must not tear each other's, nor the framework ours.

    The framework may replace `sys.stdout` by a stream that writes a line in two pieces, so this
    goes to the file descriptor.
    """
    with _lock, contextlib.suppress(OSError):
        while line:
            line = line[os.write(1, line) :]


def _stack(exc: BaseException | None) -> dict[str, str]:
    """`stack_trace`, which Error Reporting looks at first. Its end is what matters, and is kept."""
    if exc is None:
        return {}
    text = "".join(traceback.format_exception(exc))
    return {"stack_trace": text[-TEXT_LIMIT:], "error_type": type(exc).__name__}


def _plain(value: Any, depth: int) -> Any:
    """The value as JSON can hold it, masked and cut."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if abs(value) < 2**63 else _text(value)
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return _text(base64.b64encode(value[:TEXT_LIMIT]).decode())
    if isinstance(value, Mapping) and depth:
        return {_text(str(key)): _plain(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and depth:
        return [_plain(item, depth - 1) for item in value]
    return _text(value)


def masked(text: str) -> str:
    """The text without addresses and credentials; also for what is kept of an error."""
    if not _may_be_masked(text.encode("utf-8", "surrogatepass")):
        return text
    for pattern, mask in _MASKS:
        text = pattern.sub(mask, text)
    return text


def _text(value: object) -> str:
    try:
        text = str(value)
    except Exception:  # a field must not take the record down with it
        text = f"<{type(value).__name__}>"
    return masked(text if len(text) <= TEXT_LIMIT else text[:TEXT_LIMIT] + "…")


def _trace(headers: Headers) -> tuple[str, str, bool] | None:
    """Trace id, span id (16 hex digits) and whether it is sampled."""
    standard = re.fullmatch(
        r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?",
        headers.get("traceparent") or "",
    )
    if standard:
        return standard[1], standard[2], bool(int(standard[3], 16) & 1)
    google = re.fullmatch(
        r"([0-9a-fA-F]{32})/(\d{1,20})(?:;o=(\d))?", headers.get("X-Cloud-Trace-Context") or ""
    )
    if google:
        return google[1].lower(), f"{int(google[2]):016x}", google[3] == "1"
    return None
