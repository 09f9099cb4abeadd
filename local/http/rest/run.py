"""The Cloud Run services behind the functions, REST: v1, in Knative's form, as gcloud asks for.

They are made, changed and deleted with their functions; what can be changed here is whether Cloud
Run checks who calls, which nobody enforces either.
"""

import re
from typing import Any

from local.http.rest.projects import number
from local.http.rest.routes import Call, Route
from local.kernel.refusals import not_found
from local.services.functions import runtime
from local.services.functions.catalog import Entry
from local.services.functions.service import Functions
from local.services.resources import Resources

SERVICES = "/v1/{parent=projects/*/locations/*}/services"
SERVICE = "/v1/{name=projects/*/locations/*/services/*}"
NAMESPACE = "/apis/serving.knative.dev/v1/{parent=namespaces/*}/services"
NAMESPACED = "/apis/serving.knative.dev/v1/{name=namespaces/*/services/*}"
API = "serving.knative.dev/v1"
KIND = "run_annotations"
UNCHECKED = "run.googleapis.com/invoker-iam-disabled"
INGRESS = {
    "ALLOW_ALL": "all",
    "ALLOW_INTERNAL_ONLY": "internal",
    "ALLOW_INTERNAL_AND_GCLB": "internal-and-cloud-load-balancing",
}
JSON = dict[str, Any]


class RunApi:
    """Its methods."""

    def __init__(self, functions: Functions, resources: Resources) -> None:
        self._functions = functions
        self._resources = resources

    def routes(self) -> list[Route]:
        """Return what it answers."""
        return [
            Route("GET", SERVICES, self._list),
            Route("GET", SERVICE, self._get),
            Route("PUT", SERVICE, self._replace),
            Route("GET", NAMESPACE, self._list),
            Route("GET", NAMESPACED, self._get),
            Route("PUT", NAMESPACED, self._replace),
        ]

    async def exists(self, name: str) -> Entry:
        """Return the function behind a service; raises NOT_FOUND."""
        await self._functions.restored()
        wanted = _pattern(name.replace("namespaces/", "projects/"))
        for entry in self._functions.catalog.all():
            if re.fullmatch(wanted, _service_of(entry)):
                return entry
        id_ = name.rpartition("/")[2]
        raise not_found(f"Resource '{id_}' of kind 'SERVICE' does not exist.")

    async def _list(self, call: Call) -> JSON:
        await self._functions.restored()
        wanted = _pattern(f"{call.path['parent'].replace('namespaces/', 'projects/')}/services/-")
        entries = self._functions.catalog.all()
        items = [self._shown(one) for one in entries if re.fullmatch(wanted, _service_of(one))]
        return {"apiVersion": API, "kind": "ServiceList", "items": items}

    async def _get(self, call: Call) -> JSON:
        return self._shown(await self.exists(call.path["name"]))

    async def _replace(self, call: Call) -> JSON:
        """Only whether callers are checked is taken over."""
        entry = await self.exists(call.path["name"])
        given = call.body.get("metadata", {}).get("annotations", {})
        kept = {UNCHECKED: given[UNCHECKED]} if given.get(UNCHECKED) == "true" else {}
        self._resources.put(KIND, _service_of(entry), kept)
        return self._shown(entry)

    def _shown(self, entry: Entry) -> JSON:
        project, location, id_ = runtime.parts(entry.name)
        config, url = entry.body.get("serviceConfig", {}), entry.body["url"]
        ingress = INGRESS.get(config.get("ingressSettings", ""), "all")
        kept = self._resources.all(KIND).get(_service_of(entry), {})
        is_ready = "True" if entry.body["state"] == "ACTIVE" else "False"
        return {
            "apiVersion": API,
            "kind": "Service",
            "metadata": {
                "annotations": {
                    "cloudfunctions.googleapis.com/function-id": id_,
                    "run.googleapis.com/ingress": ingress,
                    "run.googleapis.com/ingress-status": ingress,
                    **kept,
                },
                "generation": entry.revision,
                "labels": {
                    **entry.body.get("labels", {}),
                    "cloud.googleapis.com/location": location,
                    "goog-managed-by": "cloudfunctions",
                },
                "name": id_,
                "namespace": number(project),
            },
            "spec": {"template": {"spec": _template(config)}},
            "status": {
                "conditions": [{"status": is_ready, "type": "Ready"}],
                "latestReadyRevisionName": f"{id_}-{entry.revision:05d}-loc",
                "observedGeneration": entry.revision,
                "url": url,
            },
        }


def _service_of(entry: Entry) -> str:
    return entry.name.replace("/functions/", "/services/")


def _pattern(name: str) -> str:
    """A name as an expression: `-` stands for anything, and a namespace has no location."""
    parts = name.split("/")
    if parts[2] == "services":
        parts[2:2] = ["locations", "-"]
    return "/".join("[^/]+" if part == "-" else re.escape(part) for part in parts)


def _template(config: JSON) -> JSON:
    return {
        "containerConcurrency": config.get("maxInstanceRequestConcurrency", 1),
        "serviceAccountName": config.get("serviceAccountEmail", ""),
        "timeoutSeconds": config.get("timeoutSeconds", runtime.DEFAULT_TIMEOUT),
    }
