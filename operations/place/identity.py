"""As whom an operator's own commands call Google."""

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import google.auth
from google.auth.exceptions import DefaultCredentialsError
from google.oauth2.credentials import Credentials

from operations.errors import OperationsError, UsageError

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
LASTS = timedelta(minutes=30)
"""How long a token of gcloud's is used before a new one is asked for; it lasts an hour."""

_file: Path | None = None


def use_token_in(file: str) -> None:
    """Call as whomever the access token in this file is for. Raises UsageError."""
    global _file
    _file = Path(file)
    _read()


def credentials() -> Any:
    """Those of the token that was given, else the application default ones, else gcloud's.

    Raises OperationsError where there are none.
    """
    if _file is not None:
        return _renewed(_read)
    try:
        found, _ = google.auth.default(scopes=[SCOPE])
    except DefaultCredentialsError:
        return _renewed(_of_gcloud)
    return found


def _renewed(token: Callable[[], str]) -> Any:
    """Credentials with a token that is asked for again before it ends."""

    def refresh(request: Any, scopes: Any) -> tuple[str, datetime]:
        return token(), _expiry()

    return Credentials(token(), refresh_handler=refresh, expiry=_expiry())


def _read() -> str:
    assert _file is not None
    try:
        token = _file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the access token cannot be read: {error}") from None
    if not token or any(map(str.isspace, token)):
        raise UsageError(f"{_file} holds no access token")
    return token


def _of_gcloud() -> str:
    command = ["gcloud", "auth", "print-access-token", "--quiet"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        done = None
    if done is None or done.returncode:
        raise OperationsError(
            "nobody is logged in: gcloud auth application-default login, or --access-token-file"
        )
    return done.stdout.strip()


def _expiry() -> datetime:
    # google-auth compares it with a time that has no zone.
    return (datetime.now(UTC) + LASTS).replace(tzinfo=None)
