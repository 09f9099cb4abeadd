"""Long-running operations (`google.longrunning.Operations`): those of the batch methods.

An operation is finished when it is first seen: its work and its record are one transaction.
"""

from collections.abc import Mapping
from typing import Any

from google.longrunning import operations_pb2
from google.protobuf import empty_pb2

from local.kernel import moments
from local.kernel.clock import Clock
from local.kernel.database import Database
from local.kernel.rpc import Method
from local.services.tasks import pages, refusals

KEPT = moments.DAY
"""How long a finished operation is remembered, and with it its request_id."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS tasks_operation (
    name TEXT PRIMARY KEY, operation BLOB, until_us INTEGER
);
CREATE INDEX IF NOT EXISTS tasks_operations_by_end ON tasks_operation (until_us);
"""


class Operations:
    """The operations there are."""

    name = "google.longrunning.Operations"

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        database.script(_SCHEMA)

    def methods(self) -> Mapping[str, Method]:
        """RPC name → method."""
        one = operations_pb2.Operation
        empty = empty_pb2.Empty
        return {
            "GetOperation": _method(self.get, operations_pb2.GetOperationRequest, one),
            "WaitOperation": _method(self.get, operations_pb2.WaitOperationRequest, one),
            "CancelOperation": _method(self.cancel, operations_pb2.CancelOperationRequest, empty),
            "DeleteOperation": _method(self.delete, operations_pb2.DeleteOperationRequest, empty),
            "ListOperations": _method(
                self.list,
                operations_pb2.ListOperationsRequest,
                operations_pb2.ListOperationsResponse,
            ),
        }

    def find(self, name: str) -> Any:
        """The operation of that name, or None."""
        sql = "SELECT operation FROM tasks_operation WHERE name = ? AND until_us > ?"
        row = self._database.execute(sql, (name, self._now())).fetchone()
        return operations_pb2.Operation.FromString(row[0]) if row else None

    def put(self, operation: Any) -> None:
        """Remember an operation, and forget those that are over."""
        now = self._now()
        self._database.execute("DELETE FROM tasks_operation WHERE until_us <= ?", (now,))
        self._database.execute(
            "INSERT OR REPLACE INTO tasks_operation VALUES (?, ?, ?)",
            (operation.name, operation.SerializeToString(), now + KEPT),
        )

    async def get(self, request: Any) -> Any:
        """GetOperation and WaitOperation: there is nothing to wait for."""
        operation = self.find(request.name)
        if operation is None:
            raise refusals.not_found()
        return operation

    async def cancel(self, request: Any) -> Any:
        """CancelOperation: too late."""
        await self.get(request)
        return empty_pb2.Empty()

    async def delete(self, request: Any) -> Any:
        """DeleteOperation: the work stays done."""
        await self.get(request)
        self._database.execute("DELETE FROM tasks_operation WHERE name = ?", (request.name,))
        return empty_pb2.Empty()

    async def list(self, request: Any) -> Any:
        """ListOperations of a location, in the order of their names."""
        now = self._now()
        size = pages.size(request.page_size, 1000)
        prefix = f"{request.name}/operations/"
        rows = self._database.execute(
            "SELECT operation FROM tasks_operation WHERE name > ? AND name < ? AND until_us > ? "
            "ORDER BY name LIMIT ?",
            (max(pages.after(request.page_token, now), prefix), f"{prefix}~", now, size + 1),
        )
        found = [operations_pb2.Operation.FromString(row[0]) for row in rows]
        response = operations_pb2.ListOperationsResponse(operations=found[:size])
        if len(found) > size:
            response.next_page_token = pages.token(found[size - 1].name, now)
        return response

    def _now(self) -> int:
        return moments.micros(self._clock.now())


def _method(call: Any, request: Any, response: Any) -> Method:
    return Method(
        call=call, request=request, response=response, subject=lambda request: str(request.name)
    )
