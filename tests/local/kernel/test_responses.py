"""Responses of HTTP/1.1, from bytes in pieces of any size."""

import pytest

from local.kernel.responses import LONGEST_HEAD, Malformed, Reading, Response

WHOLE = {
    "a body of a known length": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A:  b \r\nx-a: c\r\n\r\nhello",
        Response(200, {"content-length": "5", "x-a": "b"}, b"hello"),
    ),
    "no body at all": (
        b"HTTP/1.1 500 \r\ncontent-length: 0\r\n\r\n",
        Response(500, {"content-length": "0"}, b""),
    ),
    "a status without a reason, lines without CR": (
        b"HTTP/1.1 404\nContent-Length: 2\n\nno",
        Response(404, {"content-length": "2"}, b"no"),
    ),
    "a status that has no body whatever it says": (
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        Response(304, {"content-length": "5"}, b""),
    ),
    "chunks": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nhel\r\nA;x=y\r\nlo, world!\r\n0\r\nX-Trailer: 1\r\n\r\n",
        Response(200, {"transfer-encoding": "chunked"}, b"hello, world!"),
    ),
    "one that says first that it is still to come": (
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        Response(204, {}, b""),
    ),
}
LONG = b"x" * (LONGEST_HEAD + 1)
MALFORMED = {
    "no HTTP": b"220 mail.example ESMTP\r\n\r\n",
    "another version": b"HTTP/2 200\r\n\r\n",
    "a length that is none": b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello",
    "a chunk's size that is none": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
    "a chunk that goes on": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
    "headers without an end": b"HTTP/1.1 200 OK\r\nX: " + LONG,
}


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("what", WHOLE)
def test_it_is_read_from_pieces_of_any_size_and_the_connection_stays_open(
    what: str, size: int
) -> None:
    data, expected = WHOLE[what]
    reading = Reading("POST")
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    *before, found = [reading.feed(piece) for piece in pieces]
    assert (found, reading.keeps_open) == (expected, True)
    assert not any(before)


def test_one_without_a_length_ends_with_the_connection() -> None:
    reading = Reading("POST")
    assert reading.feed(b"HTTP/1.1 200 OK\r\n\r\nhel") is None
    assert reading.feed(b"lo") is None
    assert (reading.end(), reading.keeps_open) == (Response(200, {}, b"hello"), False)


def test_the_answer_to_head_has_no_body() -> None:
    found = Reading("HEAD").feed(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
    assert found == Response(200, {"content-length": "5"}, b"")


@pytest.mark.parametrize(
    ("data", "keeps_open"),
    [
        (b"HTTP/1.1 204 No Content\r\nConnection: Close\r\n\r\n", False),
        (b"HTTP/1.0 204 No Content\r\n\r\n", False),
        (b"HTTP/1.0 204 No Content\r\nConnection: keep-alive\r\n\r\n", True),
        (b"HTTP/1.1 204 No Content\r\n\r\nwhat nobody has asked for", False),
    ],
)
def test_the_response_says_whether_the_connection_can_be_used_again(
    data: bytes, keeps_open: bool
) -> None:
    reading = Reading("POST")
    assert reading.feed(data)
    assert reading.keeps_open is keeps_open


def test_what_comes_behind_the_response_is_for_nobody() -> None:
    reading = Reading("POST")
    assert reading.feed(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert reading.feed(b"HTTP/1.1 200 OK\r\n") is None
    assert not reading.keeps_open


@pytest.mark.parametrize("what", MALFORMED)
def test_what_is_no_response_is_refused(what: str) -> None:
    with pytest.raises(Malformed):
        Reading("POST").feed(MALFORMED[what])


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"])
def test_one_that_is_cut_off_is_none(data: bytes) -> None:
    reading = Reading("POST")
    assert reading.feed(data) is None
    assert reading.is_begun
    with pytest.raises(Malformed, match="closed before"):
        reading.end()
