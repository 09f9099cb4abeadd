"""The demo's outside world."""

import socket
import struct
import threading
from queue import Queue
from urllib.parse import urlsplit

import pytest

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
