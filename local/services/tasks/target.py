"""From a task to the HTTP request of one attempt, the queue's overrides applied."""

from typing import Any
from urllib.parse import urlsplit, urlunsplit

from local.kernel import moments
from local.kernel.delivery import Request
from local.kernel.identity import Tokens
from local.services.tasks import headers, validate
from local.services.tasks import messages as m
from local.services.tasks.queue import Queue
from local.services.tasks.task import Task


def request(task: Task, queue: Queue, tokens: Tokens) -> Request:
    """The request of the attempt the task is in."""
    spec = m.Task.FromString(task.spec)
    override = queue.config.http_target
    url = _url(spec.http_request.url, override.uri_override)
    method = override.http_method or spec.http_request.http_method or m.HttpMethod.POST
    deadline = moments.of(spec.dispatch_deadline) or validate.DEADLINE
    return Request(
        service="tasks",
        subject=f"{queue.name}/tasks/{task.name}",
        attempt=task.dispatches,
        url=url,
        method=m.HttpMethod(method).name,
        headers=headers.sent(
            _headers(spec.http_request.headers, override),
            queue=queue.short,
            task=task.name,
            eta=task.schedule_us,
            retries=task.dispatches - 1,
            executions=task.executions,
            previous=task.previous,
            authorization=_authorization(spec.http_request, override, url, tokens),
        ),
        body=b"" if method == m.HttpMethod.GET else spec.http_request.body,
        timeout=deadline / moments.SECOND,
    )


def _headers(kept: Any, override: Any) -> dict[str, str]:
    changed = {item.header.key: item.header.value for item in override.header_overrides}
    names = {name.lower() for name in changed}
    kept = {name: value for name, value in kept.items() if name.lower() not in names}
    return headers.stored({**kept, **changed})


def _authorization(given: Any, override: Any, url: str, tokens: Tokens) -> str:
    source = override if override.WhichOneof("authorization_header") else given
    if source.HasField("oidc_token"):
        token = source.oidc_token
        return f"Bearer {tokens.token(token.service_account_email, token.audience or url)}"
    if source.HasField("oauth_token"):
        return f"Bearer local-access-token-of-{source.oauth_token.service_account_email}"
    return ""


def _url(url: str, override: Any) -> str:
    if not override.ListFields():
        return url
    parts = urlsplit(url)
    if override.uri_override_enforce_mode == _IF_NOT_EXISTS:
        return url
    scheme = {1: "http", 2: "https"}.get(override.scheme, parts.scheme)
    host = str(override.host) if override.HasField("host") else parts.hostname or ""
    port = (override.port or None) if override.HasField("port") else parts.port
    path = override.path_override.path if override.HasField("path_override") else parts.path
    query = parts.query
    if override.HasField("query_override"):
        query = override.query_override.query_params
    if path and not path.startswith("/"):
        path = f"/{path}"
    return str(urlunsplit((scheme, f"{host}:{port}" if port else host, path, query, "")))


_IF_NOT_EXISTS = 1
