"""How many messages wait in the subscriptions: Cloud Monitoring counts them, a few minutes late.

The metric is `pubsub.googleapis.com/subscription/num_undelivered_messages`, see
https://cloud.google.com/monitoring/api/metrics_gcp_p_z#gcp-pubsub.
"""

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from google.auth.transport.requests import AuthorizedSession
from requests import RequestException

from operations.errors import OperationsError
from operations.place import identity
from operations.place.environment import Place

METRIC = "pubsub.googleapis.com/subscription/num_undelivered_messages"
OVERRIDE = "CLOUDSDK_API_ENDPOINT_OVERRIDES_MONITORING"
WINDOW = timedelta(minutes=15)
"""The metric is sampled once a minute, and seen up to four minutes later."""
TIMEOUT = 30.0
"""Seconds."""


def read(place: Place) -> list[dict[str, Any]]:
    """The subscriptions of this environment, each with its backlog (None: not counted yet)."""
    counted = _counted(place)
    names = [row["id"] for row in place.described["subscriptions"] if row["id"]]
    return [{"id": name, "state": None, "backlog": counted.get(name)} for name in names]


def _counted(place: Place) -> dict[str, int]:
    end = datetime.now(UTC)
    asked = {
        "filter": f'metric.type = "{METRIC}"',
        "interval.startTime": (end - WINDOW).isoformat().replace("+00:00", "Z"),
        "interval.endTime": end.isoformat().replace("+00:00", "Z"),
    }
    url = f"{_endpoint()}/v3/projects/{place.project}/timeSeries"
    try:
        answer = AuthorizedSession(identity.credentials()).get(url, params=asked, timeout=TIMEOUT)
        document = answer.json()
    except (RequestException, ValueError) as error:
        text = f"Cloud Monitoring does not answer ({type(error).__name__})"
        raise OperationsError(text) from error
    if not answer.ok:
        text = str(document.get("error", {}).get("message", answer.status_code))
        raise OperationsError(f"Cloud Monitoring: {text}")
    return dict(_latest(series) for series in document.get("timeSeries", ()))


def _endpoint() -> str:
    """Google's, or the one that gcloud's own setting api_endpoint_overrides/monitoring names."""
    return os.environ.get(OVERRIDE, "https://monitoring.googleapis.com/").rstrip("/")


def _latest(series: dict[str, Any]) -> tuple[str, int]:
    # The points of a series come latest first.
    point: dict[str, Any] = next(iter(series.get("points", ())), {})
    name = series.get("resource", {}).get("labels", {}).get("subscription_id", "")
    return str(name), int(point.get("value", {}).get("int64Value", 0))
