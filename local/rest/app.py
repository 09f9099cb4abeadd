"""The HTTP side as one aiohttp application: REST, control, tokens and the console."""

import json
import traceback
from typing import Any

import grpc
from aiohttp import web

from local import console
from local.identity import Issuer
from local.report import Report
from local.rest import answers
from local.rest.routes import Router
from local.status import Status

LARGEST_BODY = 64 * 1024 * 1024
"""Bytes; far above what any of the platforms take."""


def application(router: Router, issuer: Issuer, report: Report) -> web.Application:
    """The application; what is not a page of its own goes to the router."""

    async def page(request: web.Request) -> web.Response:
        return web.Response(text=console.page(await report.read()), content_type="text/html")

    async def token(request: web.Request) -> web.Response:
        try:
            email, audience = request.query["email"], request.query["audience"]
            claims = json.loads(request.query.get("claims", "{}"))
        except (KeyError, ValueError) as error:
            text = f"the query must name email and audience, and claims as JSON if any: {error}"
            return _failed(Status(grpc.StatusCode.INVALID_ARGUMENT, text))
        return web.Response(text=issuer.token(email=email, audience=audience, **claims))

    async def discovery(request: web.Request) -> web.Response:
        return web.json_response(issuer.discovery())

    async def jwks(request: web.Request) -> web.Response:
        return web.json_response(issuer.jwks())

    async def rest(request: web.Request) -> web.Response:
        try:
            body = _json(await request.read())
            path = request.rel_url.path
            return web.json_response(
                await router.dispatch(request.method, path, request.query, body)
            )
        except Status as status:
            return _failed(status)
        except Exception as error:
            traceback.print_exception(error)
            text = f"{type(error).__name__}: {error}"
            return _failed(Status(grpc.StatusCode.INTERNAL, text))

    app = web.Application(client_max_size=LARGEST_BODY)
    app.router.add_get("/", page)
    app.router.add_get("/token", token)
    app.router.add_get("/.well-known/openid-configuration", discovery)
    app.router.add_get("/jwks", jwks)
    app.router.add_route("*", "/{path:.*}", rest)
    return app


def _json(text: bytes) -> Any:
    try:
        return json.loads(text) if text.strip() else {}
    except ValueError as error:
        sentence = f"the body is not JSON: {error}"
        raise Status(grpc.StatusCode.INVALID_ARGUMENT, sentence) from error


def _failed(status: Status) -> web.Response:
    code, body = answers.answer(status)
    return web.json_response(body, status=code)
