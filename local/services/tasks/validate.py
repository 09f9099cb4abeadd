"""What Cloud Tasks refuses in a queue or a task, and the defaults it fills in."""

from typing import Any
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

from local.kernel import moments
from local.kernel.refusals import invalid
from local.services.tasks import backoff, headers, refusals
from local.services.tasks.messages import HttpMethod

RATE = 500.0
CONCURRENT = 1000
MOST_CONCURRENT = 5000
DEADLINE = 10 * moments.MINUTE
HORIZON = 720 * moments.HOUR
LONGEST_URL = 2083
LARGEST_TASK = 100 * 1024
LARGEST_HEADERS = 80 * 1024

_WITH_BODY = (HttpMethod.POST, HttpMethod.PUT, HttpMethod.PATCH)
_PACIFIC = ZoneInfo("America/Los_Angeles")
_URL_SAFE = "!#$%&'()*+,/:;=?@[]~"


def queue(config: Any) -> None:
    """Check a queue's limits and retry configuration."""
    limits = config.rate_limits
    if limits.max_dispatches_per_second < 0:
        raise invalid("RateLimits.maxDispatchesPerSecond cannot be negative.")
    # Written so that a NaN is refused too.
    if not limits.max_dispatches_per_second <= RATE:
        raise invalid("RateLimits.maxDispatchesPerSecond must be less than or equal to 500.")
    if limits.max_concurrent_dispatches < 0:
        raise invalid("RateLimits.maxConcurrentDispatches cannot be negative.")
    if limits.max_concurrent_dispatches > MOST_CONCURRENT:
        raise invalid("RateLimits.maxConcurrentDispatches must be less than or equal to 5000.")
    if not 0 <= config.stackdriver_logging_config.sampling_ratio <= 1:
        raise invalid("StackdriverLoggingConfig.samplingRatio must be between 0 and 1.")
    retry(config.retry_config, backoff.Retry())
    _override(config.http_target)


def retry(config: Any, fallback: backoff.Retry) -> None:
    """Check a retry configuration, completed from the fallback."""
    if config.max_attempts < -1:
        raise invalid("RetryConfig.maxAttempts must be greater or equal to -1.")
    if config.max_doublings < 0:
        raise invalid("RetryConfig.maxDoublings cannot be negative.")
    for field, name in (
        ("min_backoff", "minBackoff"),
        ("max_backoff", "maxBackoff"),
        ("max_retry_duration", "maxRetryDuration"),
    ):
        if moments.of(getattr(config, field)) < 0:
            raise invalid(f"RetryConfig.{name} cannot be negative.")
    whole = backoff.read(config, fallback)
    if whole.min_backoff > whole.max_backoff:
        raise invalid(
            "RetryConfig.minBackoff must be less than or equal to RetryConfig.maxBackoff."
        )


def fill(config: Any) -> None:
    """Put the defaults where a queue leaves a limit or a retry setting unset."""
    if config.HasField("app_engine_routing_override"):
        config.app_engine_routing_override.host = _host(config)
    limits = config.rate_limits
    limits.max_dispatches_per_second = limits.max_dispatches_per_second or RATE
    limits.max_concurrent_dispatches = limits.max_concurrent_dispatches or CONCURRENT
    limits.max_burst_size = _reported_burst(limits.max_dispatches_per_second)
    whole = backoff.read(config.retry_config, backoff.Retry())
    config.retry_config.max_attempts = whole.max_attempts
    config.retry_config.max_doublings = whole.max_doublings
    moments.put(config.retry_config.min_backoff, whole.min_backoff)
    moments.put(config.retry_config.max_backoff, whole.max_backoff)
    if whole.max_duration:
        moments.put(config.retry_config.max_retry_duration, whole.max_duration)


def task(given: Any, now: int, fallback: backoff.Retry) -> None:
    """Check a task as it was given to CreateTask. `now` in microseconds."""
    kind = given.WhichOneof("message_type")
    if kind is None:
        raise invalid("Task.messageType is required.")
    if kind == "app_engine_http_request":
        raise refusals.not_served("An App Engine target")
    _request(given.http_request)
    deadline = moments.of(given.dispatch_deadline)
    if deadline and not 15 * moments.SECOND <= deadline <= 30 * moments.MINUTE:
        raise invalid("Task.dispatchDeadline must be between [15s, 30m].")
    if moments.of(given.schedule_time) > now + HORIZON:
        raise invalid(
            f"The Task.scheduleTime, {_pacific(given.schedule_time)}, is too far in the future. "
            "Schedule time must be no more than 720h in the future."
        )
    if given.HasField("retry_config"):
        retry(given.retry_config, fallback)


def _request(request: Any) -> None:
    _url(request.url)
    if request.body and (request.http_method or HttpMethod.POST) not in _WITH_BODY:
        raise invalid("HttpRequest.body is only allowed for POST, PUT and PATCH.")
    taken = headers.size(request.headers)
    if taken >= LARGEST_HEADERS:
        raise invalid("HttpRequest.headers must be less than 80KB.")
    if any("\n" in text or "\r" in text for item in request.headers.items() for text in item):
        raise invalid("HttpRequest.headers must not contain line breaks.")
    if taken + len(request.body) > LARGEST_TASK:
        raise invalid("Task size too large")
    if request.HasField("oidc_token") and not request.oidc_token.service_account_email:
        raise invalid("OidcToken.serviceAccountEmail is required.")
    if request.HasField("oauth_token") and not request.oauth_token.service_account_email:
        raise invalid("OAuthToken.serviceAccountEmail is required.")


def _url(url: str) -> None:
    if not url:
        raise invalid("HttpRequest.url is required.")
    if not url.startswith(("http://", "https://")):
        raise invalid("HttpTarget.url must start with 'http://' or 'https://'.")
    if len(quote(url, safe=_URL_SAFE)) > LONGEST_URL:
        raise invalid("HttpRequest.url must be at most 2083 characters.")
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise invalid("HttpRequest.url is not a valid URL.")


def _override(target: Any) -> None:
    if target.uri_override.HasField("host") and not target.uri_override.host:
        raise invalid("UriOverride.host cannot be empty.")
    if target.HasField("oidc_token"):
        token = target.oidc_token
        if not token.service_account_email or not token.audience:
            raise invalid("HttpTarget.oidcToken needs both serviceAccountEmail and audience.")
    if target.HasField("oauth_token"):
        access = target.oauth_token
        if not access.service_account_email or not access.scope:
            raise invalid("HttpTarget.oauthToken needs both serviceAccountEmail and scope.")


def _host(config: Any) -> str:
    """The host of a queue's App Engine routing, output only; the caller's is ignored."""
    routing, project = config.app_engine_routing_override, config.name.split("/")[1]
    parts = (routing.instance, routing.version, routing.service, f"{project}.appspot.com")
    return ".".join(filter(None, parts))


def _reported_burst(rate: float) -> int:
    """What real queues show: 100 at 500/s, 10 at 1/s."""
    return max(10, int(rate / 5))


def _pacific(timestamp: Any) -> str:
    """A time as the platform's message prints it."""
    try:
        return moments.moment(moments.of(timestamp)).astimezone(_PACIFIC).isoformat()
    except OverflowError:
        return f"{timestamp.seconds}s"
