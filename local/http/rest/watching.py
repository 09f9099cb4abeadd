"""Cloud Logging v2 and Cloud Monitoring v3, REST: what functions printed is found by a filter;
metrics, policies and channels are kept and shown, and nobody is alerted.
"""

import re
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from local.http.rest import labels
from local.http.rest.collection import Collection
from local.http.rest.routes import Call, Route
from local.kernel import merging
from local.kernel.refusals import already_exists, invalid, not_found
from local.services.functions import log_filter
from local.services.resources import Resources

ENTRIES = "/v2/entries:list"
MOST_ENTRIES = 1000
NEWEST_FIRST = "timestamp desc"
METRICS = "/v2/{parent=projects/*}/metrics"
METRIC = "/v2/{name=projects/*/metrics/*}"
POLICIES = "/v3/{parent=projects/*}/alertPolicies"
POLICY = "/v3/{name=projects/*/alertPolicies/*}"
CHANNELS = "/v3/{parent=projects/*}/notificationChannels"
CHANNEL = "/v3/{name=projects/*/notificationChannels/*}"
METRIC_ID = re.compile(r"[A-Za-z0-9_/.,+!*',()%-]{1,100}")
TYPES = ("email", "sms", "slack", "pagerduty", "webhook_tokenauth", "webhook_basicauth", "pubsub")
COMBINERS = ("AND", "OR", "AND_WITH_MATCHING_RESOURCE")
COMPARISONS = ("COMPARISON_GT", "COMPARISON_LT")
COUNTER = {"metricKind": "DELTA", "valueType": "INT64"}
USER = "logging.googleapis.com/user"
JSON = dict[str, Any]

Check = Callable[[JSON], None]
Entries = Callable[[], list[JSON]]


class WatchingApi:
    """Its methods."""

    def __init__(self, resources: Resources, entries: Entries) -> None:
        self._entries = entries
        self._metrics = _collection(resources, "metrics", "Metric")
        self._policies = _collection(resources, "alert_policies", "The alert policy")
        self._channels = _collection(resources, "channels", "The notification channel")

    def routes(self) -> list[Route]:
        """Return what it answers."""
        return [
            Route("POST", ENTRIES, self._list_entries),
            Route("POST", METRICS, self._create_metric),
            Route("PUT", METRIC, self._put_metric),
            *_reading(self._metrics, METRICS, METRIC, "metrics"),
            *_reading(self._policies, POLICIES, POLICY, "alertPolicies"),
            *_writing(self._policies, POLICIES, POLICY, self._check_policy),
            *_reading(self._channels, CHANNELS, CHANNEL, "notificationChannels"),
            *_writing(self._channels, CHANNELS, CHANNEL, check_channel),
        ]

    async def _list_entries(self, call: Call) -> JSON:
        wanted = log_filter.matching(call.body.get("filter", ""))
        projects = {f"{name}/" for name in call.body.get("resourceNames", [])}
        found = [
            entry
            for entry in self._entries()
            if wanted(entry) and any(entry["logName"].startswith(project) for project in projects)
        ]
        if call.body.get("orderBy") == NEWEST_FIRST:
            found.reverse()
        size = int(call.body.get("pageSize", MOST_ENTRIES))
        return {"entries": found[:size]} if found else {}

    async def _create_metric(self, call: Call) -> JSON:
        id_ = call.body.get("name", "")
        metric = _metric(id_, call.body)
        return self._metrics.add(f"{call.path['parent']}/metrics/{id_}", metric)

    async def _put_metric(self, call: Call) -> JSON:
        id_ = call.path["name"].partition("/metrics/")[2]
        return self._metrics.put(call.path["name"], _metric(id_, call.body))

    def _check_policy(self, policy: JSON) -> None:
        check_policy(policy)
        for channel in policy.get("notificationChannels", []):
            self._channels.get(channel)


def check_policy(policy: JSON) -> None:
    """Refuse an alert policy that Cloud Monitoring refuses; raises INVALID_ARGUMENT."""
    conditions = policy.get("conditions") or []
    if not policy.get("displayName"):
        raise invalid("Field alert_policy.display_name must be set.")
    if not conditions:
        raise invalid("Field alert_policy.conditions must have at least one condition.")
    if policy.get("combiner") not in COMBINERS:
        raise invalid("Field alert_policy.combiner had an invalid value.")
    labels.check(policy.get("userLabels", {}))
    matches = [condition for condition in conditions if "conditionMatchedLog" in condition]
    limit = policy.get("alertStrategy", {}).get("notificationRateLimit")
    if matches and not limit:
        raise invalid(
            "Field alert_policy.alert_strategy.notification_rate_limit must be set for a condition "
            "on log matches."
        )
    if matches and len(conditions) > 1:
        raise invalid("A condition on log matches must be the only one of its alert policy.")
    if limit and not matches:
        raise invalid(
            "Field alert_policy.alert_strategy.notification_rate_limit is for conditions on log "
            "matches only."
        )
    for condition in conditions:
        _check_threshold(condition.get("conditionThreshold"))


def _check_threshold(threshold: JSON | None) -> None:
    if threshold is None:
        return
    if threshold.get("comparison") not in COMPARISONS:
        raise invalid(f"The comparison must be one of {', '.join(COMPARISONS)}.")
    if "filter" not in threshold:
        raise invalid("Field condition_threshold.filter must be set.")


def check_channel(channel: JSON) -> None:
    """Refuse a notification channel of no known type; raises INVALID_ARGUMENT."""
    if channel.get("type") not in TYPES:
        raise invalid(f"There is no notification channel type {channel.get('type')!r}.")
    labels.check(channel.get("userLabels", {}))
    if channel["type"] == "email" and "email_address" not in channel.get("labels", {}):
        raise invalid('Field "labels.email_address" must be set.')


def _collection(resources: Resources, kind: str, noun: str) -> Collection:
    return Collection(
        resources=resources,
        kind=kind,
        missing=lambda name: not_found(f"{noun} {name} does not exist."),
        taken=lambda name: already_exists(f"{noun} {name.rpartition('/')[2]} already exists"),
    )


def _metric(id_: str, body: JSON) -> JSON:
    if not METRIC_ID.fullmatch(id_):
        raise invalid("The metric name is not valid.")
    if not body.get("filter"):
        raise invalid("The metric filter must not be empty.")
    return {
        **body,
        "name": id_,
        "metricDescriptor": {**COUNTER, **body.get("metricDescriptor", {})},
    }


def _reading(collection: Collection, parent: str, one: str, key: str) -> list[Route]:
    async def listed(call: Call) -> JSON:
        wanted = labels.matching(call.query.get("filter", ""))
        found = collection.under(f"{call.path['parent']}/{key}")
        return {key: [document for document in found if wanted(document)]}

    async def get(call: Call) -> JSON:
        return collection.get(call.path["name"])

    async def delete(call: Call) -> JSON:
        collection.remove(call.path["name"])
        return {}

    return [Route("GET", parent, listed), Route("GET", one, get), Route("DELETE", one, delete)]


def _writing(collection: Collection, parent: str, one: str, check: Check) -> list[Route]:
    async def create(call: Call) -> JSON:
        check(call.body)
        place = f"{call.path['parent']}/{parent.rpartition('/')[2]}"
        number = len(collection.under(place)) + 1
        while collection.find(f"{place}/{_id(number)}"):
            number += 1
        name = f"{place}/{_id(number)}"
        return collection.add(name, {"enabled": True, **_numbered(name, call.body), "name": name})

    async def update(call: Call) -> JSON:
        name = call.path["name"]
        changed = merging.merged(
            collection.get(name),
            _numbered(name, call.body),
            [p for p in merging.paths(call.query.get("updateMask", ""), call.body) if p != "name"],
        )
        check(changed)
        return collection.put(name, changed)

    return [Route("POST", parent, create), Route("PATCH", one, update)]


def _id(number: int) -> str:
    """Ids of Cloud Monitoring are long numbers that it chooses."""
    return str(10**18 + zlib.crc32(str(number).encode()) * 10**9 + number)


def _numbered(name: str, body: Mapping[str, Any]) -> JSON:
    """Conditions get names of their own."""
    conditions = body.get("conditions")
    if not conditions:
        return dict(body)
    named = [
        {**condition, "name": condition.get("name") or f"{name}/conditions/{_id(index + 1)}"}
        for index, condition in enumerate(conditions)
    ]
    return {**body, "conditions": named}
