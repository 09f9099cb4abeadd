"""Calls of Google's services with plain protobuf messages, over the channel of Google's client.

    message ──▶ again, within the time ──▶ error, translated ──▶ channel: credentials, connections

The channel, with its credentials and connections, and the errors are those of Google's client. Its
wrapper around each call is not used: it may take twice the time it is given, because its last
attempt gets all of the time anew, and it costs as much as what is called.
"""

import functools
import itertools
import random
import time
from collections.abc import Iterator, Sequence
from typing import Any, Literal
from urllib.parse import urlencode

import grpc
from google.api_core import exceptions as google
from google.api_core.gapic_v1.client_info import ClientInfo
from google.api_core.grpc_helpers import wrap_errors

TIMEOUT = 10.0
"""Seconds for one call, its repeats included (Google's clients wait for 60 and more)."""
FIRST_PAUSE, LAST_PAUSE, GROWTH = 0.1, 2.0, 1.5
"""Seconds before a call is repeated, at first and at most; each is so much longer."""
PASSING = (google.ServiceUnavailable, google.TooManyRequests)
"""Errors of a service that is away, or asked too much, for a moment."""

Metadata = Sequence[tuple[str, str]]
Kind = Literal["unary", "stream", "all"]


class Method:
    """One method of a service: called with a request, it returns the answer.

    One of the kind `stream` returns an iterator of answers, and is repeated only up to the first of
    them; one of the kind `all` returns the answers of a stream once it has them all.
    """

    def __init__(
        self,
        channel: grpc.Channel,
        path: str,
        request: Any,
        answer: Any,
        *,
        kind: Kind = "unary",
        repeated: tuple[type[Exception], ...] = PASSING,
        timeout: float = TIMEOUT,
    ) -> None:
        """`request` and `answer` are the classes of the messages, and a `request` of None is one
        that is encoded already; `repeated`, after which errors the method is called again."""
        make = channel.unary_unary if kind == "unary" else channel.unary_stream
        serialize = request.SerializeToString if request is not None else None
        call = make(path, request_serializer=serialize, response_deserializer=answer.FromString)
        self._call = _KINDS[kind](call)
        self._repeated = repeated
        self._timeout = timeout

    def __call__(
        self, request: Any, *headers: tuple[str, str], timeout: float | None = None
    ) -> Any:
        """Raises the errors of `google.api_core.exceptions`; the last one when time is up.

        `timeout` is in seconds, the repeats included (None: the method's own).
        """
        left = self._timeout if timeout is None else timeout
        deadline, pauses = time.monotonic() + left, _pauses()
        while True:
            try:
                return self._call(request, timeout=left, metadata=(*headers, _CLIENT))
            except self._repeated:
                pause = next(pauses)
                left = deadline - time.monotonic() - pause
                if left <= 0:
                    raise
            time.sleep(pause)


@functools.lru_cache(maxsize=256)
def routing(name: str, resource: str) -> tuple[str, str]:
    """The header by which the service finds the place of what a request is about."""
    return "x-goog-request-params", urlencode([(name, resource)], safe="/")


def _streaming(call: Any) -> Any:
    """A call whose errors are translated, those of its first answer when it is made."""

    def called(request: Any, **options: Any) -> Iterator[Any]:
        answers = _translated(call(request, **options))
        first = next(answers, None)
        return answers if first is None else itertools.chain((first,), answers)

    return called


def _gathered(call: Any) -> Any:
    """A call that returns all of its answers at once, its errors translated."""

    def called(request: Any, **options: Any) -> list[Any]:
        return list(_translated(call(request, **options)))

    return called


def _translated(answers: Iterator[Any]) -> Iterator[Any]:
    try:
        yield from answers
    except grpc.RpcError as error:
        raise google.from_grpc_error(error) from error


def _pauses() -> Iterator[float]:
    pause = FIRST_PAUSE
    while True:
        yield pause * random.uniform(0.5, 1.0)
        pause = min(pause * GROWTH, LAST_PAUSE)


_KINDS = {"unary": wrap_errors, "stream": _streaming, "all": _gathered}
_CLIENT = ClientInfo().to_grpc_metadata()
