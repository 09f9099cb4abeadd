"""The methods on queues."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from google.iam.v1 import iam_policy_pb2, policy_pb2
from google.protobuf import empty_pb2

from local.kernel import moments
from local.kernel.clock import Clock
from local.kernel.refusals import invalid
from local.kernel.rpc import Method
from local.services.tasks import masks, names, pages, refusals, validate
from local.services.tasks import messages as m
from local.services.tasks.dispatch import NAME, Dispatcher
from local.services.tasks.queue import Queue
from local.services.tasks.store import Store

LARGEST_PAGE = 9800

_FILTER = re.compile(r'\s*(state|name)\s*(:|=|!=)\s*"?([^"\s]*)"?\s*')


class QueueMethods:
    """Create, read, change and delete queues."""

    def __init__(self, store: Store, clock: Clock, dispatcher: Dispatcher) -> None:
        self._store = store
        self._clock = clock
        self._dispatcher = dispatcher

    def methods(self) -> Mapping[str, Method]:
        """RPC name → method."""
        return {
            "CreateQueue": _method(self.create, m.CreateQueueRequest, subject=_parent),
            "GetQueue": _method(self.get, m.GetQueueRequest),
            "ListQueues": _method(
                self.list, m.ListQueuesRequest, m.ListQueuesResponse, subject=_parent
            ),
            "UpdateQueue": _method(
                self.update, m.UpdateQueueRequest, subject=lambda request: request.queue.name
            ),
            "DeleteQueue": _method(self.delete, m.DeleteQueueRequest, empty_pb2.Empty),
            "PauseQueue": _method(self.pause, m.PauseQueueRequest),
            "ResumeQueue": _method(self.resume, m.ResumeQueueRequest),
            "PurgeQueue": _method(self.purge, m.PurgeQueueRequest),
            "GetIamPolicy": _method(
                self.get_policy,
                iam_policy_pb2.GetIamPolicyRequest,
                policy_pb2.Policy,
                subject=_resource,
            ),
            "SetIamPolicy": _method(
                self.set_policy,
                iam_policy_pb2.SetIamPolicyRequest,
                policy_pb2.Policy,
                subject=_resource,
            ),
            "TestIamPermissions": _method(
                self.test_permissions,
                iam_policy_pb2.TestIamPermissionsRequest,
                iam_policy_pb2.TestIamPermissionsResponse,
                subject=_resource,
            ),
        }

    def queue(self, name: str) -> Queue:
        """The queue of that name; NOT_FOUND if there is none."""
        queue = self._dispatcher.queues.get(names.queue(name))
        if queue is None:
            raise refusals.no_queue()
        return queue

    async def create(self, request: Any) -> Any:
        """CreateQueue."""
        parent = names.location(request.parent)
        name = names.queue(request.queue.name)
        if not name.startswith(f"{parent}/"):
            raise invalid(f"{name} must begin with {parent}.")
        if name in self._dispatcher.queues:
            raise refusals.queue_exists()
        return self._created(request.queue)

    async def get(self, request: Any) -> Any:
        """GetQueue."""
        return self.queue(request.name).config

    async def list(self, request: Any) -> Any:
        """ListQueues."""
        prefix = f"{names.location(request.parent)}/queues/"
        matches = _filter(request.filter)
        now = self._now()
        after = pages.after(request.page_token, now)
        size = pages.size(request.page_size, LARGEST_PAGE)
        found = [
            queue.config
            for name, queue in sorted(self._dispatcher.queues.items())
            if name.startswith(prefix) and name > after and matches(queue.config)
        ]
        response = m.ListQueuesResponse(queues=found[:size])
        if len(found) > size:
            response.next_page_token = pages.token(found[size - 1].name, now)
        return response

    async def update(self, request: Any) -> Any:
        """UpdateQueue: creates the queue if there is none."""
        queue = self._dispatcher.queues.get(names.queue(request.queue.name))
        paths = request.update_mask.paths
        if queue is None:
            return self._created(masks.merged(request.queue, request.queue, paths))
        config = masks.merged(queue.config, request.queue, paths)
        validate.queue(config)
        validate.fill(config)
        return self._configured(queue, config)

    async def delete(self, request: Any) -> Any:
        """DeleteQueue, with all its tasks."""
        queue = self._dispatcher.queues.get(names.queue(request.name))
        if queue is None:
            raise refusals.not_found()
        self._store.remove_queue(queue.id, queue.name, self._now())
        del self._dispatcher.queues[queue.name]
        self._clock.changed(NAME)
        return empty_pb2.Empty()

    async def pause(self, request: Any) -> Any:
        """PauseQueue: nothing more starts; what runs is not disturbed."""
        return self._switched(request.name, m.State.PAUSED)

    async def resume(self, request: Any) -> Any:
        """ResumeQueue."""
        return self._switched(request.name, m.State.RUNNING)

    async def purge(self, request: Any) -> Any:
        """PurgeQueue: every task there is now is deleted."""
        queue = self.queue(request.name)
        now = self._now()
        config = _copy(queue.config)
        moments.put(config.purge_time, now)
        with self._store.transaction():
            self._store.purge(queue.id, now)
            return self._configured(queue, config)

    async def get_policy(self, request: Any) -> Any:
        """GetIamPolicy."""
        policy = self._store.policy(self.queue(request.resource).id)
        return policy_pb2.Policy.FromString(policy)

    async def set_policy(self, request: Any) -> Any:
        """SetIamPolicy: remembered, enforced by nobody here."""
        self._store.set_policy(self.queue(request.resource).id, request.policy.SerializeToString())
        return request.policy

    async def test_permissions(self, request: Any) -> Any:
        """TestIamPermissions: everybody may do everything here."""
        self.queue(request.resource)
        return iam_policy_pb2.TestIamPermissionsResponse(permissions=request.permissions)

    def _created(self, given: Any) -> Any:
        if self._store.queue_gone(given.name, self._now()):
            raise refusals.queue_too_recent()
        validate.queue(given)
        config = _copy(given)
        config.ClearField("purge_time")
        config.state = m.State.RUNNING
        validate.fill(config)
        id_ = self._store.add_queue(config.name, config.SerializeToString())
        self._dispatcher.add_queue(Queue(id_, config))
        return config

    def _switched(self, name: str, state: int) -> Any:
        queue = self.queue(name)
        config = _copy(queue.config)
        config.state = state
        return self._configured(queue, config)

    def _configured(self, queue: Queue, config: Any) -> Any:
        self._store.set_config(queue.id, config.SerializeToString())
        queue.configure(config)
        self._dispatcher.refresh(queue)
        return config

    def _now(self) -> int:
        return moments.micros(self._clock.now())


def _filter(text: str) -> Callable[[Any], bool]:
    if not text.strip():
        return lambda config: True
    match = _FILTER.fullmatch(text)
    if match is None:
        raise invalid(f"The local cloud cannot filter by {text!r}, only state and name.")
    field, operator, wanted = match.groups()

    def matches(config: Any) -> bool:
        value = m.State(config.state).name if field == "state" else config.name
        return bool((value == wanted) != (operator == "!="))

    return matches


def _copy(config: Any) -> Any:
    copy = m.Queue()
    copy.CopyFrom(config)
    return copy


def _parent(request: Any) -> str:
    return str(request.parent)


def _resource(request: Any) -> str:
    return str(request.resource)


def _name(request: Any) -> str:
    return str(request.name)


def _method(
    call: Any, request: Any, response: Any = m.Queue, subject: Callable[[Any], str] = _name
) -> Method:
    return Method(call=call, request=request, response=response, subject=subject)
