"""Pull, StreamingPull, Acknowledge and ModifyAckDeadline.

An ack id is `ROW-LEASE`: each delivery of a message has its own, and an old one says nothing of a
newer delivery.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import grpc
from google.protobuf import empty_pb2
from google.pubsub_v1 import types
from google.rpc import error_details_pb2

from local.kernel.clock import Clock
from local.kernel.moments import SECOND, micros, moment
from local.kernel.refusals import failed_precondition, invalid
from local.kernel.status import Status
from local.services.pubsub import names
from local.services.pubsub.backlog import LEASED, READY, Entry
from local.services.pubsub.deliveries import NAME, Deliveries, Message
from local.services.pubsub.pulls import Pull
from local.services.pubsub.registry import Registry
from local.services.pubsub.subscription import Subscription

PULL_WAIT = 5.0
"""Seconds of real time an empty Pull waits for a message."""
BATCH_MESSAGES = 100
BATCH_BYTES = 1_000_000
MAX_DEADLINE = 600

_Received = types.ReceivedMessage.pb()
_Response = types.StreamingPullResponse.pb()


class Puller:
    """What a subscriber does with messages."""

    def __init__(self, registry: Registry, deliveries: Deliveries, clock: Clock) -> None:
        self._registry = registry
        self._deliveries = deliveries
        self._clock = clock

    async def pull(self, request: Any) -> Any:
        """Pull: what is there, or the first to come within a few seconds."""
        if request.max_messages <= 0:
            raise invalid(
                "The value for max_messages is too small. You passed "
                f"{request.max_messages} in the request, but the minimum value is 1."
            )
        subscription = self._pullable(request.subscription)
        pull = Pull(
            subscription.number,
            subscription.proto.ack_deadline_seconds,
            max_messages=min(request.max_messages, BATCH_MESSAGES * 10),
        )
        wait = 0.0 if request.return_immediately else PULL_WAIT
        with self._opened(pull):
            messages = await self._first(subscription, pull, wait)
        return types.PullResponse.pb()(received_messages=messages)

    async def stream(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """StreamingPull: messages as they come, until the client closes or leaves."""
        first = await anext(aiter(requests))
        subscription = self._pullable(first.subscription)
        _check_deadline(first.stream_ack_deadline_seconds, 10)
        pull = Pull(
            subscription.number,
            first.stream_ack_deadline_seconds,
            max_messages=first.max_outstanding_messages,
            max_bytes=first.max_outstanding_bytes,
        )
        with self._opened(pull):
            listener = asyncio.create_task(self._listen(subscription, pull, first, requests))
            try:
                async for messages in self._messages(subscription, pull, listener):
                    pull.sending = True
                    yield _response(subscription, messages)
                    pull.sending = False
                listener.result()
            finally:
                listener.cancel()
                await asyncio.gather(listener, return_exceptions=True)

    async def acknowledge(self, request: Any) -> Any:
        """Acknowledge: late ids are ignored, or named where delivery is exactly once."""
        subscription = self._pullable(request.subscription)
        _check_given(request.ack_ids)
        with self._deliveries.together():
            late = self._acknowledge(subscription, request.ack_ids)
        _check_late(subscription, late)
        return empty_pb2.Empty()

    async def modify_ack_deadline(self, request: Any) -> Any:
        """ModifyAckDeadline; 0 gives the message back at once."""
        subscription = self._pullable(request.subscription)
        _check_given(request.ack_ids)
        with self._deliveries.together():
            late = self._modify(subscription, request.ack_ids, request.ack_deadline_seconds)
        _check_late(subscription, late)
        return empty_pb2.Empty()

    async def _first(self, subscription: Subscription, pull: Pull, wait: float) -> list[Any]:
        deadline = time.monotonic() + wait
        while not (messages := self._take(subscription, pull)):
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                break
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._change(subscription, pull), remaining)
        return messages

    async def _messages(
        self, subscription: Subscription, pull: Pull, listener: asyncio.Task[None]
    ) -> AsyncIterator[list[Any]]:
        while not listener.done():
            self._pullable(subscription.name)
            messages = self._take(subscription, pull)
            if messages:
                yield messages
                continue
            change = asyncio.create_task(self._change(subscription, pull))
            await asyncio.wait((change, listener), return_when=asyncio.FIRST_COMPLETED)
            change.cancel()
            await asyncio.gather(change, return_exceptions=True)

    async def _change(self, subscription: Subscription, pull: Pull) -> None:
        room = pull.room() > 0
        first = self._deliveries.backlog.first(subscription.number, READY) if room else None
        await self._clock.wait_until(None if first is None else moment(first), NAME)

    async def _listen(
        self,
        subscription: Subscription,
        pull: Pull,
        first: Any,
        requests: AsyncIterator[Any],
    ) -> None:
        self._heed(subscription, pull, first)
        async for request in requests:
            self._heed(subscription, pull, request)

    def _heed(self, subscription: Subscription, pull: Pull, request: Any) -> None:
        if request.stream_ack_deadline_seconds:
            _check_deadline(request.stream_ack_deadline_seconds, 10)
            pull.ack_deadline = request.stream_ack_deadline_seconds
        self._acknowledge(subscription, request.ack_ids)
        pairs = zip(request.modify_deadline_ack_ids, request.modify_deadline_seconds, strict=False)
        for ack_id, seconds in pairs:
            self._modify(subscription, [ack_id], seconds)

    def _pullable(self, name: str) -> Subscription:
        subscription = self._registry.subscription(name)
        if subscription.proto.detached:
            raise failed_precondition(
                f"The subscription is detached (subscription={names.short(name)})."
            )
        if subscription.endpoint:
            raise failed_precondition("This method is not supported for this subscription type.")
        return subscription

    @contextlib.contextmanager
    def _opened(self, pull: Pull) -> Any:
        self._deliveries.pulls.open(pull)
        try:
            yield
        finally:
            self._deliveries.pulls.close(pull)

    def _take(self, subscription: Subscription, pull: Pull) -> list[Any]:
        """Lease what the puller has room for, one response's worth."""
        with self._deliveries.together():
            taken = self._lease(subscription, pull)
        if taken:
            self._clock.changed(NAME)
        return taken

    def _lease(self, subscription: Subscription, pull: Pull) -> list[Any]:
        room = min(pull.room(), BATCH_MESSAGES)
        until = micros(self._clock.now()) + pull.ack_deadline * SECOND
        taken: list[Any] = []
        size = 0
        for entry in self._deliveries.leasable(subscription, room):
            size += len(entry.message)
            if taken and (size > BATCH_BYTES or pull.room() <= 0):
                break
            self._deliveries.backlog.lease(subscription.number, entry.row, until)
            pull.in_hand[entry.row] = len(entry.message)
            taken.append(_received(subscription, entry))
        return taken

    def _acknowledge(self, subscription: Subscription, ack_ids: Iterable[str]) -> list[str]:
        """Acknowledge; return the ids that were too late.

        Late is what was delivered again; without exactly-once delivery the end of the lease alone
        does not matter.
        """
        strict = subscription.proto.enable_exactly_once_delivery
        states = (LEASED,) if strict else (LEASED, READY)
        late = []
        for ack_id, entry in self._delivered(subscription, ack_ids):
            if entry and entry.state in states:
                self._deliveries.acknowledge(subscription, entry)
            else:
                late.append(ack_id)
        return late

    def _modify(
        self, subscription: Subscription, ack_ids: Iterable[str], seconds: int
    ) -> list[str]:
        """Move the ends of leases; return the ids that were too late."""
        _check_deadline(seconds, 0)
        until = micros(self._clock.now()) + seconds * SECOND
        late = []
        for ack_id, entry in self._delivered(subscription, ack_ids):
            if not entry or entry.state != LEASED:
                late.append(ack_id)
            elif seconds:
                self._deliveries.backlog.extend(subscription.number, entry.row, until)
            else:
                self._deliveries.fail(subscription, entry)
        self._clock.changed(NAME)
        return late

    def _delivered(
        self, subscription: Subscription, ack_ids: Iterable[str]
    ) -> Iterable[tuple[str, Entry | None]]:
        """Each id with its entry; None where it was acknowledged, or delivered again."""
        for ack_id in ack_ids:
            row, _, lease = ack_id.partition("-")
            if not (row.isdigit() and lease.isdigit()):
                raise invalid(
                    f"You have passed an invalid ack ID to the service (ack_id={ack_id})."
                )
            entry = self._deliveries.backlog.get(subscription.number, int(row))
            yield ack_id, entry if entry and entry.lease == int(lease) else None


def _received(subscription: Subscription, entry: Entry) -> Any:
    attempt = entry.attempt if subscription.max_attempts is not None else 0
    return _Received(
        ack_id=f"{entry.row}-{entry.lease + 1}",
        message=Message.FromString(entry.message),
        delivery_attempt=attempt,
    )


def _response(subscription: Subscription, messages: list[Any]) -> Any:
    response = _Response(received_messages=messages)
    properties = response.subscription_properties
    properties.message_ordering_enabled = subscription.proto.enable_message_ordering
    properties.exactly_once_delivery_enabled = subscription.proto.enable_exactly_once_delivery
    return response


def _check_late(subscription: Subscription, late: list[str]) -> None:
    """Exactly-once delivery tells a client for which ids it came too late."""
    if not late or not subscription.proto.enable_exactly_once_delivery:
        return
    info = error_details_pb2.ErrorInfo(
        reason="EXACTLY_ONCE_ACKID_FAILURE",
        domain="pubsub.googleapis.com",
        metadata=dict.fromkeys(late, "PERMANENT_FAILURE_INVALID_ACK_ID"),
    )
    raise Status(
        grpc.StatusCode.FAILED_PRECONDITION,
        "Some acknowledgement ids in the request were invalid. This could be because the "
        "acknowledgement ids have expired or the acknowledgement ids were malformed.",
        info,
    )


def _check_given(ack_ids: Sequence[str]) -> None:
    if not ack_ids:
        raise invalid("No ack ids specified.")


def _check_deadline(seconds: int, low: int) -> None:
    if not low <= seconds <= MAX_DEADLINE:
        raise invalid(
            f"Invalid ack deadline given: {seconds}. "
            f"It must be between {low} and {MAX_DEADLINE} seconds."
        )
