"""What the answers of others mean: done, worth another try, or refused for good."""

from common.errors import PermanentError, TransientError

RETRIED = frozenset({408, 409, 425, 429})
"""4xx answers that pass: 409 says that the same key is being worked on at this moment."""
SHOWN = 500
"""Characters of a refusal that are kept for whoever reads the dead letter."""


def check_http(status: int, start: str) -> None:
    """Return for a 2xx answer. `start` is how the body of the answer begins.

    Raises TransientError for an answer that is worth another try, else PermanentError; a redirect
    is not followed and is a refusal.
    """
    if 200 <= status < 300:
        return
    text = f"The other side answered {status}: {start[:SHOWN]}"
    if status in RETRIED or status >= 500:
        raise TransientError(text)
    raise PermanentError(text)


def smtp_error(code: int, reason: bytes | str) -> PermanentError | TransientError:
    """The error that a mail server's answer stands for: 5xx is for good."""
    text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else reason
    answer = f"The mail server answered {code}: {text[:SHOWN]}"
    return PermanentError(answer) if 500 <= code < 600 else TransientError(answer)
