"""Cloud Monitoring v3, REST: the one time series that is asked for here, of what waits in Pub/Sub.

The number is that of now; Google counts once a minute.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from local.http.rest.routes import Call, Route
from local.kernel.refusals import invalid

SERIES = "/v3/{name=projects/*}/timeSeries"
WAITING = "pubsub.googleapis.com/subscription/num_undelivered_messages"
TYPE = re.compile(r'\s*metric\.type\s*=\s*"([^"]+)"\s*')
JSON = dict[str, Any]


class TimeSeriesApi:
    """Its method."""

    def __init__(
        self, backlog: Callable[[], Mapping[str, int]], now: Callable[[], datetime]
    ) -> None:
        self._backlog = backlog
        self._now = now

    def routes(self) -> list[Route]:
        """Return what it answers."""
        return [Route("GET", SERIES, self._list)]

    async def _list(self, call: Call) -> JSON:
        asked = TYPE.fullmatch(call.query.get("filter", ""))
        if not asked:
            raise invalid('the filter must be metric.type="…", and no more')
        missing = {"interval.startTime", "interval.endTime"} - call.query.keys()
        if missing:
            raise invalid(f"{min(missing)} must be given")
        if asked[1] != WAITING:
            return {}
        found = self._backlog().items()
        ours = [(name, count) for name, count in found if name.startswith(f"{call.path['name']}/")]
        return {"timeSeries": [self._series(name, count) for name, count in ours]}

    def _series(self, name: str, count: int) -> JSON:
        _, project, _, subscription = name.split("/")
        labels = {"project_id": project, "subscription_id": subscription}
        time = self._now().isoformat()
        return {
            "metric": {"type": WAITING},
            "resource": {"type": "pubsub_subscription", "labels": labels},
            "metricKind": "GAUGE",
            "valueType": "INT64",
            "points": [
                {
                    "interval": {"startTime": time, "endTime": time},
                    "value": {"int64Value": str(count)},
                }
            ],
        }
