"""A call of a service: how often it is made, how long it takes at most, what it says of itself."""

import time
from collections import deque
from collections.abc import Iterator

import grpc
import pytest
from google.api_core import exceptions as google
from google.api_core.gapic_v1 import routing_header
from google.protobuf.empty_pb2 import Empty
from google.protobuf.wrappers_pb2 import Int32Value

from common.cloud.calls import TIMEOUT, Method, routing
from tests.common.cloud.scripted import Scripted, scripted

AWAY, WRONG = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as made:
        yield made


def method(server: Scripted, timeout: float = TIMEOUT) -> Method:
    return Method(server.channel, "/s/M", Int32Value, Int32Value, timeout=timeout)


def test_a_request_is_answered(server: Scripted) -> None:
    server.answers = deque([Int32Value(value=2)])
    assert method(server)(Int32Value(value=1), ("a", "b")).value == 2
    (call,) = server.calls
    assert Int32Value.FromString(call.request).value == 1
    assert (call.metadata["a"], "gl-python" in call.metadata["x-goog-api-client"]) == ("b", True)


def test_a_call_has_ten_seconds(server: Scripted) -> None:
    server.answers = deque([Empty()])
    method(server)(Int32Value())
    # gRPC rounds the time up on its way.
    assert 8 < server.calls[0].seconds < 10.5


def test_what_passes_is_asked_again(server: Scripted) -> None:
    server.answers = deque([AWAY, AWAY, Int32Value(value=2)])
    assert method(server)(Int32Value()).value == 2
    assert len(server.calls) == 3


def test_a_repeat_has_only_what_is_left_of_the_time(server: Scripted) -> None:
    server.answers = deque([AWAY, Empty()])
    server.during = lambda: time.sleep(0.3)
    method(server, timeout=1.0)(Int32Value())
    first, second = server.calls
    assert second.seconds < first.seconds - 0.2


def test_when_the_time_is_up_the_last_error_is_raised(server: Scripted) -> None:
    server.answers = deque([AWAY])
    with pytest.raises(google.ServiceUnavailable, match="as the test says"):
        method(server, timeout=0.3)(Int32Value())
    assert len(server.calls) > 1


def test_a_service_that_does_not_answer_is_not_waited_for(server: Scripted) -> None:
    server.answers = deque([Empty()])
    server.during = lambda: time.sleep(0.5)
    with pytest.raises(google.DeadlineExceeded):
        method(server, timeout=0.2)(Int32Value())


def test_what_does_not_pass_is_raised_at_once(server: Scripted) -> None:
    server.answers = deque([WRONG])
    with pytest.raises(google.InvalidArgument):
        method(server)(Int32Value())
    assert len(server.calls) == 1


def test_a_stream_is_asked_again_up_to_its_first_answer(server: Scripted) -> None:
    stream = Method(server.channel, "/s/M", Int32Value, Int32Value, kind="stream")
    one = Int32Value(value=1)
    server.answers = deque([AWAY, [one, one, AWAY]])
    answers = stream(Int32Value())
    assert [next(answers).value, next(answers).value] == [1, 1]
    with pytest.raises(google.ServiceUnavailable):
        next(answers)
    assert len(server.calls) == 2


def test_a_stream_that_is_read_whole_is_asked_again_whole(server: Scripted) -> None:
    read = Method(server.channel, "/s/M", Int32Value, Int32Value, kind="all")
    one, two = Int32Value(value=1), Int32Value(value=2)
    server.answers = deque([AWAY, [one, AWAY], [one, two]])
    assert [it.value for it in read(Int32Value())] == [1, 2]
    assert len(server.calls) == 3


def test_what_does_not_pass_of_a_stream_that_is_read_whole_is_raised(server: Scripted) -> None:
    read = Method(server.channel, "/s/M", Int32Value, Int32Value, kind="all")
    server.answers = deque([[Int32Value(value=1), WRONG]])
    with pytest.raises(google.InvalidArgument):
        read(Int32Value())
    assert len(server.calls) == 1


def test_a_header_says_what_a_request_is_about() -> None:
    header = routing_header.to_grpc_metadata([("parent", "a/b (c)")])
    assert routing("parent", "a/b (c)") == header
