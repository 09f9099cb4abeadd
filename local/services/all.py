"""The platform's services, each ours or somebody else's."""

from collections.abc import Mapping, Sequence

import grpc

from local.kernel.clock import Clock
from local.kernel.database import Database
from local.kernel.delivery import Deliverer
from local.kernel.foreign import Foreign
from local.kernel.identity import Issuer
from local.kernel.rpc import Service
from local.services.firestore.service import Firestore
from local.services.pubsub.service import PubSub
from local.services.scheduler.service import Scheduler
from local.services.tasks.service import Tasks


class Services:
    """All services. Ours are served, foreign ones are forwarded to."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        deliverer: Deliverer,
        issuer: Issuer,
        foreign: Mapping[str, str],
    ) -> None:
        self.firestore = Firestore(database, clock)
        self.tasks = Tasks(database, clock, deliverer, issuer)
        self.pubsub = PubSub(database, clock, deliverer, issuer)
        self.scheduler = Scheduler(database, clock, deliverer, issuer)
        self._channels = {
            name: grpc.aio.insecure_channel(address) for name, address in foreign.items()
        }
        self.documents = self._ours_or("firestore", self.firestore)
        """Whoever answers Firestore's methods."""
        self.queues = self._ours_or("tasks", self.tasks)
        self.operations = self._ours_or("tasks", self.tasks.operations)
        self.locations = self._ours_or("tasks", self.tasks.locations)
        self.publisher = self._ours_or("pubsub", self.pubsub.publisher)
        self.subscriber = self._ours_or("pubsub", self.pubsub.subscriber)

    def served(self) -> Sequence[Service]:
        """Return the services that our gRPC ports answer."""
        ours: dict[str, Sequence[Service]] = {
            "firestore": [self.firestore],
            "tasks": [self.tasks, self.tasks.operations, self.tasks.locations],
            "pubsub": [self.pubsub.publisher, self.pubsub.subscriber],
        }
        return [s for name, group in ours.items() if name not in self._channels for s in group]

    async def close(self) -> None:
        """Close the connections to what is foreign."""
        for channel in self._channels.values():
            await channel.close()

    def _ours_or(self, name: str, service: Service) -> Service:
        channel = self._channels.get(name)
        return Foreign(service, channel) if channel else service
