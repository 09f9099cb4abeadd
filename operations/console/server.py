"""The console's server: the page, what it shows as JSON, and the changes that it asks for."""

import json
import mimetypes
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from werkzeug.exceptions import BadRequest, HTTPException, NotFound, ServiceUnavailable
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from common.errors import BundleError
from operations.console import feed, guard, local, views
from operations.console.guard import Guard
from operations.errors import NotFoundError, OperationsError
from operations.place.environment import Place
from operations.terminal import output

PAGE = Path(__file__).with_name("page")
MAX_BODY = 1_000_000
LOOK_BACK = timedelta(hours=1)
"""What the page shows of the time before it was opened."""

Answer = Callable[[Request], Any]


class Console:
    """The requests of one page for one environment."""

    def __init__(self, place: Place, rules: Guard) -> None:
        self._place = place
        self._guard = rules
        self._actions = {**views.actions(place), **(local.actions() if place.is_local else {})}
        self._views = {**views.views(place), **(local.views() if place.is_local else {})}

    def __call__(self, environ: Mapping[str, Any], start_response: Any) -> Any:
        """The WSGI application."""
        request = Request(dict(environ))
        request.max_content_length = MAX_BODY
        try:
            self._guard.check(request)
            response = self._answer(request)
        except HTTPException as error:
            response = guard.refused(error)
        return guard.sealed(response)(dict(environ), start_response)

    def _answer(self, request: Request) -> Response:
        if request.method == "POST":
            return self._call(self._actions, request)
        if request.path.startswith("/api/frames/"):
            return self._frame(request.path.removeprefix("/api/frames/"))
        if request.path.startswith("/api/"):
            return self._call({**self._views, "now": self._now, "place": self._about}, request)
        return self._file(request.path)

    def _call(self, table: Mapping[str, Answer], request: Request) -> Response:
        name = request.path.removeprefix("/api/")
        if name not in table:
            raise NotFound(f"there is no {request.path}")
        try:
            answer = table[name](request)
        except NotFoundError as error:
            raise NotFound(str(error)) from error
        except OperationsError as error:
            raise BadRequest(str(error)) from error
        except BundleError as error:
            raise ServiceUnavailable(str(error)) from error
        return _json(answer)

    def _about(self, request: Request) -> dict[str, Any]:
        place = self._place
        return {
            "environment": place.environment,
            "project": place.project,
            "region": place.region,
            "is_local": place.is_local,
            "may_write": self._guard.may_write,
        }

    def _now(self, request: Request) -> dict[str, Any]:
        asked = json.loads(request.args.get("cursors", "{}"))
        cursors = {str(name): datetime.fromisoformat(time) for name, time in asked.items()}
        start = views.server_time() - LOOK_BACK
        found = feed.since(cursors, start)
        again = [path for path in request.args.get("again", "").split("\n") if path]
        return {**found, "again": feed.again(again[: feed.MOST])}

    def _frame(self, message_id: str) -> Response:
        response = Response(views.html_of(message_id), mimetype="text/html")
        return guard.sealed(response, policy=guard.FRAME_POLICY)

    def _file(self, path: str) -> Response:
        name = path.strip("/") or "index.html"
        file = PAGE / name
        if "/" in name or not file.is_file():
            raise NotFound(f"there is no {path}")
        content = file.read_text(encoding="utf-8")
        if name == "index.html":
            content = content.replace("{{ token }}", self._guard.token)
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return Response(content, mimetype=kind)


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        """Requests of the page are nobody's news."""


def serve(place: Place, *, port: int, may_write: bool) -> BaseWSGIServer:
    """The server, bound to 127.0.0.1 and not yet serving. Raises OperationsError."""
    rules = Guard(port=port, may_write=may_write)
    try:
        server = make_server(
            "127.0.0.1", port, Console(place, rules), threaded=True, request_handler=_Quiet
        )
    except (OSError, SystemExit) as error:
        raise OperationsError(f"port {port} of 127.0.0.1 cannot be used: {error}") from error
    rules.port = server.server_port
    return server


def run(server: BaseWSGIServer, stopped: threading.Event) -> None:
    """Serve until `stopped` is set."""
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        stopped.wait()
    finally:
        server.shutdown()
        thread.join()


def _json(answer: Any) -> Response:
    text = json.dumps(output.plain(answer), ensure_ascii=False)
    return Response(text, mimetype="application/json")
