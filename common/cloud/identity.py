"""As whom this process calls Google: as its own account, unless a program says otherwise.

A function needs nothing of this: the client libraries find the account that it runs as. A program
on somebody's own machine may have a token instead:

    from google.oauth2.credentials import Credentials

    from common.cloud import identity

    identity.use(lambda: Credentials("ya29…"))
"""

from collections.abc import Callable
from typing import Any

_find: Callable[[], Any] | None = None


def use(find: Callable[[], Any] | None) -> None:
    """Clients that are made from now on call with the credentials that `find` returns.

    None: as the libraries do by themselves. A client of another server (FIRESTORE_EMULATOR_HOST and
    its kin) needs no credentials.
    """
    global _find
    _find = find


def credentials() -> Any:
    """What a client is made with; None: the library finds them by itself."""
    return _find() if _find is not None else None
