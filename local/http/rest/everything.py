"""The routes of all platform APIs, put together: who has a policy, and what goes with what."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from google.protobuf import json_format

from local.http.rest import accounts, projects, repositories, run, secrets
from local.http.rest.accounts import AccountsApi
from local.http.rest.documents import documents_routes
from local.http.rest.firestore import FirestoreAdmin
from local.http.rest.functions import FunctionsApi
from local.http.rest.policies import Exists, Policies, Read, Write
from local.http.rest.projects import ProjectsApi
from local.http.rest.pubsub import pubsub_routes
from local.http.rest.repositories import RepositoriesApi
from local.http.rest.resources import resources_routes
from local.http.rest.routes import Route
from local.http.rest.run import RunApi
from local.http.rest.scheduler import SchedulerApi
from local.http.rest.secrets import SecretsApi
from local.http.rest.tasks import tasks_routes
from local.http.rest.timeseries import TimeSeriesApi
from local.http.rest.watching import WatchingApi
from local.kernel.rpc import Service
from local.services.all import Services
from local.services.functions.service import Functions
from local.services.resources import Resources
from local.services.secrets import Secrets

TOPIC = "/v1/{name=projects/*/topics/*}"
SUBSCRIPTION = "/v1/{name=projects/*/subscriptions/*}"
QUEUE = "/v2/{name=projects/*/locations/*/queues/*}"
FUNCTION = "/v2/{name=projects/*/locations/*/functions/*}"
OWNED = [{"role": "roles/owner", "members": [projects.OWNER]}]
JSON = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Platform:
    """What the APIs are in front of."""

    services: Services
    functions: Functions
    resources: Resources
    secrets: Secrets
    now: Callable[[], datetime]


def routes(platform: Platform) -> list[Route]:
    """Return all of them."""
    services, resources, now = platform.services, platform.resources, platform.now
    known = AccountsApi(resources, lambda account: policies.account_deleted(account))
    policies = Policies(resources, known.knows)
    functions = FunctionsApi(platform.functions, known.knows, policies.granted)
    kept = SecretsApi(resources, platform.secrets, now)
    images, behind = RepositoriesApi(resources, now), RunApi(platform.functions, resources)
    deleting = [
        *known.routes(),
        *functions.routes(),
        *tasks_routes(
            services.queues, services.operations, services.locations, platform.functions.url
        ),
        *pubsub_routes(services.publisher, services.subscriber),
        *kept.routes(),
        *images.routes(),
    ]
    return [
        *policies.kept(projects.PROJECT, _always, OWNED),
        *policies.kept(accounts.ACCOUNT, _has(known.get)),
        *policies.kept(TOPIC, _asked(services.publisher, "GetTopic", "topic")),
        *policies.kept(
            SUBSCRIPTION, _asked(services.subscriber, "GetSubscription", "subscription")
        ),
        *policies.routes(QUEUE, *_of_queues(services.queues)),
        *policies.kept(secrets.SECRET, _has(kept.get)),
        *policies.kept(repositories.REPOSITORY, _has(images.get)),
        *policies.kept(run.SERVICE, behind.exists),
        *policies.kept(FUNCTION, lambda name: behind.exists(name.replace("functions", "services"))),
        *policies.forgetting(deleting),
        *behind.routes(),
        *SchedulerApi(services.scheduler).routes(),
        *documents_routes(services.documents, services.firestore),
        *FirestoreAdmin(resources, services.firestore.set_ttl, now).routes(),
        *WatchingApi(resources, platform.functions.entries).routes(),
        *TimeSeriesApi(services.pubsub.backlog, now).routes(),
        *ProjectsApi(resources, now).routes(),
        *resources_routes(resources),
    ]


async def _always(name: str) -> None:
    """Every project exists."""


def _has(get: Callable[[str], Any]) -> Exists:
    async def exists(name: str) -> Any:
        return get(name)

    return exists


def _asked(service: Service, rpc: str, field: str) -> Exists:
    method = service.methods()[rpc]

    async def exists(name: str) -> Any:
        return await method.call(method.request(**{field: name}))  # type: ignore[misc]

    return exists


def _of_queues(service: Service) -> Sequence[Any]:
    """How the policies of queues are read and written, which Cloud Tasks keeps itself."""
    get, set_ = service.methods()["GetIamPolicy"], service.methods()["SetIamPolicy"]

    async def read(name: str) -> JSON:
        policy = await get.call(get.request(resource=name))  # type: ignore[misc]
        document: JSON = json_format.MessageToDict(policy)
        return document

    async def write(name: str, policy: JSON) -> None:
        request = json_format.ParseDict({"resource": name, "policy": policy}, set_.request())
        await set_.call(request)  # type: ignore[misc]

    reading: Read = read
    writing: Write = write
    return reading, writing
