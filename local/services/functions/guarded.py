"""Runs the functions-framework, as `python -m functions_framework` does, behind a guard.

A function listens on a port of this machine, and a web page in some browser on the machine can post
to that port: an event for `consumer` needs no token. What such a page sends names its origin, and
what comes through a rebound name names another host; both are refused. In the cloud, the platform
refuses everybody but its callers.

This file is run by its path, in the environment of the function: it imports nothing of `local`.
"""

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from functions_framework import _cli

HOSTS = {"127.0.0.1", "localhost", "::1"}
TEXT = b"requests from web pages are refused\n"

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def guarded(app: App) -> App:
    """The WSGI application, which no web page reaches."""

    def guard(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if "HTTP_ORIGIN" not in environ and _host(environ.get("HTTP_HOST")) in HOSTS:
            return app(environ, start)
        start("403 Forbidden", [("Content-Type", "text/plain")])
        return [TEXT]

    return guard


def _host(header: str | None) -> str | None:
    """The host that a request names; HTTP/1.0, which no browser speaks, may name none."""
    if header is None:
        return "127.0.0.1"
    try:
        return urlsplit(f"//{header}").hostname
    except ValueError:
        return None


def main() -> None:
    """Run the framework; its command line is ours."""
    create = _cli.create_app

    def create_guarded(*args: Any, **options: Any) -> Any:
        made = create(*args, **options)
        made.wsgi_app = guarded(made.wsgi_app)
        return made

    _cli.create_app = create_guarded
    _cli._cli(prog_name="functions_framework")


if __name__ == "__main__":
    main()
