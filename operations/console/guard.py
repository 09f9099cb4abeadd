"""Who may ask the console what: this machine's browser, and only through the page itself.

A page of somebody else's that is open in the same browser can send requests here. It has another
`Origin`; with a name of its own that leads to 127.0.0.1 it has another `Host`; and it cannot read
the token that a change needs, because that is in our page alone.
"""

import secrets
from dataclasses import dataclass, field

from werkzeug.exceptions import Forbidden, HTTPException, MethodNotAllowed
from werkzeug.wrappers import Request, Response

TOKEN = "X-Console-Token"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' "
    "data:; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing from other hosts, and nothing that stands in the text of the page."""
FRAME_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
)
"""A message as its reader sees it: no script, no request, nothing of this page's."""


@dataclass(kw_only=True)
class Guard:
    """The rules for one console."""

    port: int
    may_write: bool
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    @property
    def hosts(self) -> set[str]:
        """What a browser calls this console."""
        return {f"127.0.0.1:{self.port}", f"localhost:{self.port}"}

    def check(self, request: Request) -> None:
        """Raises Forbidden or MethodNotAllowed for what is not the page's own request."""
        if request.headers.get("Host", "") not in self.hosts:
            raise Forbidden("this is another host's name")
        origin = request.headers.get("Origin")
        if origin is not None and origin not in {f"http://{host}" for host in self.hosts}:
            raise Forbidden("this comes from another page")
        if request.method in ("GET", "HEAD"):
            return
        if request.method != "POST":
            raise MethodNotAllowed(["GET", "HEAD", "POST"])
        self._check_change(request)

    def _check_change(self, request: Request) -> None:
        given = request.headers.get(TOKEN, "")
        if not secrets.compare_digest(given.encode(), self.token.encode()):
            raise Forbidden("this needs the token of the page; load the page again")
        if not self.may_write:
            raise Forbidden("this console only shows; start it with --write to change something")


def sealed(response: Response, *, policy: str = POLICY) -> Response:
    """The response, with what it may do in a browser."""
    response.headers.setdefault("Content-Security-Policy", policy)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers["Cache-Control"] = "no-store"
    return response


def refused(error: HTTPException) -> Response:
    """The answer that says why not."""
    text = f"{error.description or error.name}\n"
    return Response(text, status=error.code or 500, mimetype="text/plain")
