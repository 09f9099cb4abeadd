"""A token of our own account: asked of the metadata server as Google's clients ask for it."""

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest

from common.errors import UnavailableError
from common.outside import identity_token
from common.process import settings
from tests.common.web_server import Answer, Asked, WebServer, serving

GOOGLE = {"Metadata-Flavor": "Google"}
AUDIENCE = "https://stock.example/orders"
Answering = Callable[[Asked], Answer]


def fetched(environment: pytest.MonkeyPatch, answer: Answering, times: int = 1) -> WebServer:
    """The server that answers so, after so many tokens were asked for."""
    with serving(answer) as server:
        environment.setenv("GCE_METADATA_HOST", server.url.removeprefix("http://"))
        settings.current.cache_clear()
        for _ in range(times):
            assert identity_token.fetch(AUDIENCE) == "a.b-c.d_e"
    return server


def yes(asked: Asked) -> Answer:
    return Answer(body=b"a.b-c.d_e\n", headers=GOOGLE)


def test_it_is_asked_for_with_the_audience(environment: pytest.MonkeyPatch) -> None:
    (asked,) = fetched(environment, yes).asked
    parts = urlsplit(asked.path)
    path = "/computeMetadata/v1/instance/service-accounts/default/identity"
    assert (asked.method, parts.path) == ("GET", path)
    assert parse_qs(parts.query) == {"audience": [AUDIENCE], "format": ["full"]}
    assert asked.headers["metadata-flavor"] == "Google"


def test_it_is_used_again_for_a_while(
    environment: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(fetched(environment, yes, times=3).asked) == 1
    monkeypatch.setattr(identity_token, "KEPT", -1.0)
    assert len(fetched(environment, yes, times=3).asked) == 3


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=404, body=b"a.b.c", headers=GOOGLE),
        Answer(status=503, headers=GOOGLE),
        Answer(status=0),
        Answer(body=b"a.b.c"),
        Answer(body=b"<html>", headers=GOOGLE),
        Answer(body=b"a.b.c\r\nX-Evil: 1", headers=GOOGLE),
        Answer(status=302, headers={**GOOGLE, "Location": "/elsewhere"}),
    ],
)
def test_where_there_is_none_the_work_waits(
    environment: pytest.MonkeyPatch, answer: Answer
) -> None:
    with pytest.raises(UnavailableError, match="gave no token") as none:
        fetched(environment, lambda asked: answer)
    assert not none.value.outcome_unknown


def test_where_nobody_is_there_the_work_waits(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("GCE_METADATA_HOST", "127.0.0.1:1")
    settings.current.cache_clear()
    with pytest.raises(UnavailableError, match="gave no token"):
        identity_token.fetch(AUDIENCE)
