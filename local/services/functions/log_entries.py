"""A line that a function printed, as Cloud Logging keeps it."""

import hashlib
import json
from datetime import datetime
from typing import Any

SPECIAL = "logging.googleapis.com/"
"""Fields that begin so say something about the entry, and are none of its payload."""


def entry(function: str, time: datetime, line: str) -> dict[str, Any]:
    """Return the entry of a line of `projects/P/locations/L/functions/F`.

    A JSON object is its payload, without what the platform takes out of it; anything else is text.
    """
    _, project, _, location, _, service = function.split("/")
    labels = {"project_id": project, "location": location, "service_name": service}
    number = hashlib.sha256(f"{function}{time.isoformat()}{line}".encode()).hexdigest()
    return {
        "insertId": number[:20],
        "logName": f"projects/{project}/logs/run.googleapis.com%2Fstdout",
        "resource": {"type": "cloud_run_revision", "labels": labels},
        "timestamp": time.isoformat(),
        "receiveTimestamp": time.isoformat(),
        **_payload(line),
    }


def _payload(line: str) -> dict[str, Any]:
    try:
        fields = json.loads(line)
    except ValueError:
        return {"textPayload": line}
    if not isinstance(fields, dict):
        return {"textPayload": line}
    severity = str(fields.pop("severity", "DEFAULT")).upper()
    payload = {key: value for key, value in fields.items() if not key.startswith(SPECIAL)}
    trace = fields.get(f"{SPECIAL}trace")
    return {
        "severity": severity,
        "jsonPayload": payload,
        **({"trace": trace} if trace else {}),
    }
