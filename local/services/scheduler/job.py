"""A job's JSON: what is refused, what is filled in, what a mask changes."""

import base64
import binascii
import copy
import re
from collections.abc import Iterable
from typing import Any

import grpc

from local.kernel.refusals import invalid
from local.kernel.status import Status
from local.services.scheduler.cron import Cron
from local.services.scheduler.durations import seconds
from local.services.scheduler.retry import Retry

JSON = dict[str, Any]

MAX_URI = 2083
MAX_HEADER_BYTES = 80_000
MAX_DESCRIPTION = 500
MAX_RETRIES = 5
DEADLINE = (15, 1800)
USER_AGENT = "Google-Cloud-Scheduler"

_NAME = re.compile(r"projects/[\w:.-]+/locations/[a-z0-9-]+/jobs/[\w-]{1,500}", re.A)
_METHODS = ("POST", "GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS")
_WITH_BODY = ("POST", "PUT", "PATCH")
_WRITABLE = (
    "name",
    "description",
    "schedule",
    "timeZone",
    "httpTarget",
    "retryConfig",
    "attemptDeadline",
)
_TARGET = ("uri", "httpMethod", "headers", "body", "oidcToken", "oauthToken")
_RETRY_DEFAULTS: JSON = {
    "retryCount": 0,
    "maxRetryDuration": "0s",
    "minBackoffDuration": "5s",
    "maxBackoffDuration": "3600s",
    "maxDoublings": 5,
}
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_REPLACED = re.compile(r"host|content-length|user-agent|x-google-.*|x-appengine-.*", re.I)


def completed(job: JSON) -> JSON:
    """The writable part of a job, checked, with the platform's defaults filled in."""
    job = {key: copy.deepcopy(value) for key, value in job.items() if key in _WRITABLE}
    job.setdefault("timeZone", "Etc/UTC")
    job.setdefault("attemptDeadline", "180s")
    job["retryConfig"] = {**_RETRY_DEFAULTS, **job.get("retryConfig", {})}
    _check_name(job.get("name", ""))
    if not job.get("schedule"):
        raise invalid("Job.schedule is required.")
    Cron(job["schedule"], job["timeZone"])
    if len(job.get("description", "")) > MAX_DESCRIPTION:
        raise invalid(f"Job.description is longer than {MAX_DESCRIPTION} characters.")
    _check_deadline(job["attemptDeadline"])
    _check_retry(job["retryConfig"])
    job["httpTarget"] = _target(job)
    return job


def changed(current: JSON, change: JSON, paths: Iterable[str]) -> JSON:
    """`current` with the fields that `paths` name (none: those given) taken from `change`."""
    result = copy.deepcopy(current)
    for path in list(paths) or [key for key in change if key in _WRITABLE]:
        parts = [_camel(part) for part in path.split(".")]
        if parts[0] not in _WRITABLE or parts[0] == "name":
            raise invalid(f"update_mask: {path!r} is not a field that can be updated.")
        _replace(result, change, parts)
    return result


def body(job: JSON) -> bytes:
    """The body a job sends."""
    return base64.b64decode(job["httpTarget"].get("body", ""))


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise invalid(
            f"Job name must be formatted: "
            f'"projects/<PROJECT_ID>/locations/<LOCATION_ID>/jobs/<JOB_ID>", not {name!r}.'
        )


def _check_deadline(deadline: str) -> None:
    low, high = DEADLINE
    if not low <= seconds(deadline, "attemptDeadline") <= high:
        raise invalid("Job.attemptDeadline must be between [15s, 30m].")


def _check_retry(config: JSON) -> None:
    retry = Retry.of(config)
    if not 0 <= retry.count <= MAX_RETRIES:
        raise invalid(f"RetryConfig.retryCount must be between 0 and {MAX_RETRIES}.")
    if min(retry.max_duration, retry.min_backoff, retry.max_backoff, retry.max_doublings) < 0:
        raise invalid("RetryConfig: no value can be negative.")
    if retry.min_backoff > retry.max_backoff:
        raise invalid(
            "RetryConfig.minBackoffDuration must be less than or equal to maxBackoffDuration."
        )


def _target(job: JSON) -> JSON:
    target = job.get("httpTarget")
    if not target:
        raise Status(
            grpc.StatusCode.UNIMPLEMENTED, "Job.httpTarget: only HTTP targets are served here."
        )
    target = {key: value for key, value in target.items() if key in _TARGET}
    uri = target.get("uri", "")
    if not uri.startswith(("http://", "https://")) or len(uri) > MAX_URI:
        raise invalid("HttpTarget.uri must start with 'http://' or 'https://'.")
    target["httpMethod"] = _method(target.get("httpMethod", "POST"))
    if "oauthToken" in target:
        raise Status(
            grpc.StatusCode.UNIMPLEMENTED, "HttpTarget.oauthToken: only OIDC is served here."
        )
    _check_body(target)
    target["headers"] = _headers(target)
    return target


def _method(given: Any) -> str:
    """An HTTP method, which the stock clients' REST sends as its number."""
    if type(given) is int and 0 <= given <= len(_METHODS):
        return _METHODS[max(given, 1) - 1]
    if given not in _METHODS:
        raise invalid(f"HttpTarget.httpMethod: {given!r} is not a method.")
    return str(given)


def _check_body(target: JSON) -> None:
    if not target.get("body"):
        return
    if target["httpMethod"] not in _WITH_BODY:
        raise invalid(f"HttpTarget.body: not with the method {target['httpMethod']}.")
    try:
        base64.b64decode(target["body"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid("HttpTarget.body is not base64.") from error


def _headers(target: JSON) -> JSON:
    """The stored headers: the user's, without those the service sets itself, with its own."""
    given = target.get("headers", {})
    headers = {key: value for key, value in given.items() if not _REPLACED.fullmatch(key)}
    for key, value in headers.items():
        if not (_HEADER_NAME.fullmatch(key) and isinstance(value, str) and value.isprintable()):
            raise invalid(f"HttpTarget.headers: {key!r} is not a header.")
    if sum(len(key) + len(value) for key, value in headers.items()) > MAX_HEADER_BYTES:
        raise invalid("HttpTarget.headers must be less than 80KB.")
    if target.get("body") and "content-type" not in map(str.lower, headers):
        headers["Content-Type"] = "application/octet-stream"
    return {**headers, "User-Agent": USER_AGENT}


def _replace(target: JSON, source: JSON, parts: list[str]) -> None:
    first, *rest = parts
    if rest:
        target[first] = dict(target.get(first) or {})
        _replace(target[first], source.get(first) or {}, rest)
    elif first in source:
        target[first] = copy.deepcopy(source[first])
    else:
        target.pop(first, None)


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)
