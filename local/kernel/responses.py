"""An HTTP/1.1 response, read from bytes as they come; no sockets.

head ──▶ body of a known length ──▶ done
    ├──▶ chunks and trailers ─────▶ done
    ├──▶ whatever comes until the server closes the connection
    └──▶ none (HEAD, 204, 304)
"""

import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TypeVar

LONGEST_HEAD = 1 << 16
"""Bytes of the status line with the headers, and of a line between chunks."""
BODILESS = (204, 304)
_EMPTY_LINE = re.compile(rb"\r?\n\r?\n")
_LINE = re.compile(rb"\r?\n")
_STATUS = re.compile(r"HTTP/1\.(\d) (\d{3})(?: .*)?", re.A)
_LENGTH = re.compile(r"\d{1,18}", re.A)
_SIZE = re.compile(r"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?")


class Malformed(ConnectionError):
    """What came back is no response of HTTP/1.1, or not a whole one."""


@dataclass(frozen=True, slots=True)
class Response:
    """A whole response."""

    status: int
    headers: Mapping[str, str]
    """By names in lower case; of several with one name the first."""
    body: bytes


T = TypeVar("T")
Steps = Generator[Response | None, None, T]
"""Goes on whenever more has come."""


class Reading:
    """Reads the response to one request. `feed` and `end` raise Malformed."""

    def __init__(self, method: str) -> None:
        self._method = method
        self._data = bytearray()
        """What has come and is not read yet."""
        self._status = 0
        self._headers: dict[str, str] = {}
        self._is_kept = False
        self._is_until_closed = False
        self._steps = self._read()
        self.is_begun = False
        """Whether anything has come."""

    @property
    def keeps_open(self) -> bool:
        """Of a whole response: whether the connection can be used for another request.

        It cannot where more has come than anybody has asked for.
        """
        return self._is_kept and not self._data and not self._is_until_closed

    def feed(self, data: bytes) -> Response | None:
        """Take what came; the response, once it is whole."""
        self.is_begun = True
        self._data += data
        return next(self._steps)

    def end(self) -> Response:
        """The server has closed the connection."""
        if not self._is_until_closed:
            raise Malformed("the connection was closed before there was a whole response")
        return self._whole(bytes(self._data))

    def _read(self) -> Steps[None]:
        while self._status < 200:  # those below say that the response is still to come
            yield from self._head()
        if self._method == "HEAD" or self._status in BODILESS:
            yield self._whole(b"")
        elif "chunked" in self._headers.get("transfer-encoding", "").lower():
            yield self._whole((yield from self._chunks()))
        elif "transfer-encoding" not in self._headers and "content-length" in self._headers:
            yield self._whole((yield from self._bytes(self._length())))
        self._is_until_closed = True
        while True:
            yield None

    def _head(self) -> Steps[None]:
        text = yield from self._up_to(_EMPTY_LINE)
        first, *lines = text.split("\n")
        found = _STATUS.fullmatch(first.rstrip("\r"))
        if found is None:
            raise Malformed(f"{first!r:.100} is no status line")
        self._status, self._headers = int(found[2]), {}
        for line in lines:
            name, _, value = line.partition(":")
            self._headers.setdefault(name.lower(), value.strip())
        said = self._headers.get("connection", "").lower()
        self._is_kept = "close" not in said if found[1] != "0" else "keep-alive" in said

    def _length(self) -> int:
        text = self._headers["content-length"]
        if not _LENGTH.fullmatch(text):
            raise Malformed(f"{text!r:.100} is no length")
        return int(text)

    def _chunks(self) -> Steps[bytes]:
        body = bytearray()
        while True:
            line = yield from self._up_to(_LINE)
            size = _SIZE.fullmatch(line)
            if size is None:
                raise Malformed(f"{line!r:.100} is no size of a chunk")
            if not int(size[1], 16):
                break
            body += yield from self._bytes(int(size[1], 16))
            if (yield from self._up_to(_LINE)):
                raise Malformed("a chunk is longer than it says")
        while (yield from self._up_to(_LINE)):  # trailers
            pass
        return bytes(body)

    def _bytes(self, count: int) -> Steps[bytes]:
        while len(self._data) < count:
            yield None
        taken = bytes(self._data[:count])
        del self._data[:count]
        return taken

    def _up_to(self, end: re.Pattern[bytes]) -> Steps[str]:
        """What comes before an end, which is dropped."""
        while (found := end.search(self._data)) is None:
            if len(self._data) > LONGEST_HEAD:
                raise Malformed("a line or the headers are too long")
            yield None
        text = self._data[: found.start()].decode("latin-1")
        del self._data[: found.end()]
        return text

    def _whole(self, body: bytes) -> Response:
        return Response(self._status, self._headers, body)
