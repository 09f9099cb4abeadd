"""The demo's outside world."""

import socket
import struct
import threading
from contextlib import closing
from queue import Queue
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from local.demo.provider import Provider

REQUEST = b"POST /mail HTTP/1.1\r\nIdempotency-Key: k\r\nContent-Length: 2\r\n\r\n{}"
# A close is a reset, as the system makes it for a process that is killed.
RESET = struct.pack("ii", 1, 0)


def test_a_caller_that_hangs_up_leaves_no_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    provider = Provider()
    serving: Queue[threading.Thread] = Queue()
    provider.before_answer = lambda body: serving.put(threading.current_thread())
    with socket.create_connection(("127.0.0.1", urlsplit(provider.url).port)) as caller:
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        caller.sendall(REQUEST)
        thread = serving.get(timeout=10)
    thread.join(10)
    provider.close()
    assert capfd.readouterr().err == ""


def test_while_it_is_down_it_keeps_nothing() -> None:
    with closing(Provider()) as provider:
        provider.is_down = lambda: True
        assert _post(provider, {"order_id": "o"}) == 503
        assert (provider.orders, provider.repeats()) == ({}, 0)


def test_a_key_that_comes_with_other_content_is_told() -> None:
    with closing(Provider()) as provider:
        for total in (1, 1, 2):
            assert _post(provider, {"order_id": "o", "total": total}) == 200
        assert (provider.orders["k"]["total"], provider.changed) == (1, {"k"})


def test_an_answer_can_be_lost_after_the_request_was_kept() -> None:
    with closing(Provider()) as provider:
        provider.before_answer = _lost
        with pytest.raises(requests.ConnectionError):
            _post(provider, {"order_id": "o"})
        assert set(provider.orders) == {"k"}


def _post(provider: Provider, body: dict[str, Any]) -> int:
    headers = {"Idempotency-Key": "k"}
    return requests.post(
        f"{provider.url}/inventory", json=body, headers=headers, timeout=10
    ).status_code


def _lost(body: dict[str, Any]) -> None:
    raise ConnectionAbortedError
