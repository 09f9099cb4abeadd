"""What other programs, and the functions, need to know to use the cloud: KEY=VALUE."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from local.kernel.foreign import VARIABLES
from local.services.functions.catalog import Entry

PUBLISHED = ("_AUDIENCE", "_SERVICE_ACCOUNT")
"""Endings of the deployed variables that a caller of the functions needs too."""


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """The addresses of the services and of the HTTP side."""

    project: str
    url: str
    """The HTTP side."""
    foreign: Mapping[str, str] = field(default_factory=dict)

    def emulators(self, address: str) -> dict[str, str]:
        """Return the services' variables; our own services are at `address` (HOST:PORT)."""
        return {key: self.foreign.get(name, address) for name, key in VARIABLES.items()}

    def of_function(self, address: str, tasks: str, pubsub: str) -> dict[str, str]:
        """Return a function's variables; `address` (HOST:PORT) is its own port for our services,
        `tasks` and `pubsub` the ones for Cloud Tasks and Pub/Sub."""
        given = {"tasks": tasks, "pubsub": pubsub}
        ours = {VARIABLES[it]: at for it, at in given.items() if it not in self.foreign}
        metadata = f"{self.url.partition('://')[2]}/metadata"
        return {
            **self.emulators(address),
            **ours,
            "OIDC_ISSUER": self.url,
            "GCE_METADATA_HOST": metadata,
        }

    def of_caller(self, address: str, functions: Iterable[Entry]) -> dict[str, str]:
        """Return any other program's variables: also each function's NAME_URL and NAME_AUDIENCE.

        An audience, and the accounts that may call, are as deployed; an HTTP function that was
        deployed without one has its URL.
        """
        values = {"GOOGLE_CLOUD_PROJECT": self.project, **self.emulators(address)}
        values["LOCAL_URL"] = self.url
        deployed: dict[str, str] = {}
        for entry in functions:
            prefix = entry.id.upper().replace("-", "_")
            values[f"{prefix}_URL"] = entry.body["url"]
            if not entry.body.get("eventTrigger"):
                values[f"{prefix}_AUDIENCE"] = entry.body["url"]
            deployed |= entry.body.get("serviceConfig", {}).get("environmentVariables", {})
        return values | {k: v for k, v in deployed.items() if k.endswith(PUBLISHED) and v}
