"""The HTTP side as one aiohttp application: REST, control, tokens and the console."""

import asyncio
import json
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from aiohttp import web

from local.http import console
from local.http.report import Report
from local.http.rest import answers
from local.http.rest.routes import Router
from local.kernel.identity import Issuer
from local.kernel.refusals import invalid
from local.kernel.status import Status

STOPPED = ("/local/v1/advance", "/local/v1/idle")
"""What ends when its caller goes away."""
LARGEST_BODY = 64 * 1024 * 1024
"""Bytes; far above what any of the platforms take."""
IDENTITY = "/metadata/{email}/computeMetadata/v1/instance/service-accounts/default/identity"
"""Where the metadata server of a function that runs as `email` gives it a token."""
FLAVOR = {"Metadata-Flavor": "Google"}
HOSTS = ("127.0.0.1", "localhost")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Site:
    """The HTTP side. Paths without a handler of their own are answered by the router."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self.callers: dict[int, str] = {}
        """The functions that have a port of their own for HTTP, by that port."""

    def use(self, router: Router, report: Report) -> None:
        """Answer with these from now on: at the start, and after a reset."""
        self._router = router
        self._report = report

    def application(self) -> web.Application:
        """Return the aiohttp application."""
        app = web.Application(client_max_size=LARGEST_BODY, middlewares=[no_strangers])
        app.router.add_get("/", self._page)
        app.router.add_get("/token", self._token)
        app.router.add_get(IDENTITY, self._identity)
        app.router.add_get("/.well-known/openid-configuration", self._discovery)
        app.router.add_get("/jwks", self._jwks)
        app.router.add_route("*", "/{path:.*}", self._rest)
        return app

    async def _page(self, request: web.Request) -> web.Response:
        text = console.page(await self._report.read())
        return web.Response(text=text, content_type="text/html")

    async def _token(self, request: web.Request) -> web.Response:
        try:
            email, audience = request.query["email"], request.query["audience"]
            claims = json.loads(request.query.get("claims", "{}"))
        except (KeyError, ValueError) as error:
            text = f"the query must name email and audience, and claims as JSON if any: {error}"
            return _failed(invalid(text))
        return web.Response(text=self._issuer.token(email=email, audience=audience, **claims))

    async def _identity(self, request: web.Request) -> web.Response:
        if request.headers.get("Metadata-Flavor") != "Google":
            return web.Response(status=403, text="Missing Metadata-Flavor:Google header.")
        audience = request.query.get("audience")
        if not audience:
            text = "non-empty audience parameter required"
            return web.Response(status=400, text=text, headers=FLAVOR)
        token = self._issuer.token(email=request.match_info["email"], audience=audience)
        return web.Response(text=token, headers=FLAVOR)

    async def _discovery(self, request: web.Request) -> web.Response:
        return web.json_response(self._issuer.discovery())

    async def _jwks(self, request: web.Request) -> web.Response:
        return web.json_response(self._issuer.jwks())

    def _caller(self, request: web.Request) -> str:
        """The function at whose own port a request has come; empty: none."""
        name = request.get_extra_info("sockname")
        return self.callers.get(name[1], "") if name else ""

    async def _rest(self, request: web.Request) -> web.Response:
        verb, path = request.method, request.rel_url.path
        try:
            body = _json(await request.read())
            caller = self._caller(request)
            work = asyncio.ensure_future(
                self._router.dispatch(verb, path, request.query, body, caller=caller)
            )
            work.add_done_callback(_heard)
            # What was begun is done, whether its caller waits or not; but a clock stops.
            return web.json_response(await (work if path in STOPPED else asyncio.shield(work)))
        except Status as status:
            return _failed(status)
        except Exception as error:
            traceback.print_exception(error)
            text = f"{type(error).__name__}: {error}"
            return _failed(Status(grpc.StatusCode.INTERNAL, text))


@web.middleware
async def no_strangers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what a web page in some browser on this machine sends: it could deploy and run code.

    A script's request to another site names its origin, one through a rebound name another host.
    """
    if "Origin" in request.headers or request.url.host not in HOSTS:
        text = "requests from web pages are refused"
        return _failed(Status(grpc.StatusCode.PERMISSION_DENIED, text))
    return await handler(request)


def _heard(work: asyncio.Future[Any]) -> None:
    """Take note of how it ended: the caller may have gone."""
    if not work.cancelled():
        work.exception()


def _json(text: bytes) -> dict[str, Any]:
    try:
        body = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        sentence = f"the body is not JSON: {error}"
        raise invalid(sentence) from error
    if not isinstance(body, dict):
        raise invalid("the body is no JSON object")
    return body


def _failed(status: Status) -> web.Response:
    code, body = answers.answer(status)
    return web.json_response(body, status=code)
