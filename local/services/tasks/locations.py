"""`google.cloud.location.Locations`: every location exists here; those with queues are listed."""

from collections.abc import Mapping
from typing import Any

from google.cloud.location import locations_pb2

from local.kernel.rpc import Method
from local.services.tasks import names
from local.services.tasks.dispatch import Dispatcher


class Locations:
    """The locations."""

    name = "google.cloud.location.Locations"

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    def methods(self) -> Mapping[str, Method]:
        """RPC name → method."""
        return {
            "GetLocation": Method(
                call=self.get,
                request=locations_pb2.GetLocationRequest,
                response=locations_pb2.Location,
                subject=lambda request: str(request.name),
            ),
            "ListLocations": Method(
                call=self.list,
                request=locations_pb2.ListLocationsRequest,
                response=locations_pb2.ListLocationsResponse,
                subject=lambda request: str(request.name),
            ),
        }

    async def get(self, request: Any) -> Any:
        """GetLocation."""
        return _location(names.location(request.name))

    async def list(self, request: Any) -> Any:
        """ListLocations of a project, in one page."""
        used = {names.location_of(name) for name in self._dispatcher.queues}
        prefix = f"{names.project(request.name)}/locations/"
        found = sorted(name for name in used if name.startswith(prefix))
        return locations_pb2.ListLocationsResponse(locations=[_location(name) for name in found])


def _location(name: str) -> Any:
    return locations_pb2.Location(name=name, location_id=names.short(name))
