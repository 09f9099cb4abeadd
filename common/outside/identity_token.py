"""Who we are, for somebody outside who asks: an OIDC token of this function's own account.

Google's metadata server gives it to whoever runs on its machine, for any audience; there is no key
to keep. `GCE_METADATA_HOST` names another one, as it does for Google's own clients.

https://cloud.google.com/run/docs/securing/service-identity#identity_tokens

The server is asked here, and not through google-auth, which reads the host when it is imported and
tries for longer than a handler may work.
"""

import re
import time

import requests

from common.errors import UnavailableError
from common.process import settings

PATH = "computeMetadata/v1/instance/service-accounts/default/identity"
FLAVOR = ("Metadata-Flavor", "Google")
"""A header of each question, and of each answer of a real metadata server."""
TIMEOUT = (1.0, 5.0)
KEPT = 60.0
"""Seconds for which a token is used again. It lives for an hour; what the server has kept itself
lives for some minutes more."""
TOKEN = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)


def fetch(audience: str) -> str:
    """A token that says to `audience` (a URL) who we are.

    Raises UnavailableError where there is nobody to give one.
    """
    asked = (settings.current().gce_metadata_host, audience)
    known = _tokens.get(asked)
    if known is None or time.monotonic() - known[0] > KEPT:
        known = _tokens[asked] = time.monotonic(), _fetched(*asked)
    return known[1]


def _fetched(host: str, audience: str) -> str:
    try:
        with requests.Session() as session:
            session.trust_env = False  # no proxies: it is on this machine
            answer = session.get(
                f"http://{host}/{PATH}",
                params={"audience": audience, "format": "full"},
                headers=dict([FLAVOR]),
                timeout=TIMEOUT,
                allow_redirects=False,
            )
    except requests.RequestException as error:
        failure = type(error).__name__
    else:
        name, value = FLAVOR
        token = answer.content.decode("ascii", "replace").strip()
        is_real = answer.status_code == 200 and answer.headers.get(name) == value
        if is_real and TOKEN.fullmatch(token):
            return token
        failure = f"it answered {answer.status_code}"
    raise UnavailableError(f"The metadata server gave no token of this function ({failure}).")


_tokens: dict[tuple[str, str], tuple[float, str]] = {}
"""By host and audience: when it was fetched, and the token."""
