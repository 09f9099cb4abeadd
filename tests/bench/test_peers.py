"""The peers are what they say: one asks a Redis, which answers as Redis does; the list has all."""

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.bench import __main__ as programs
from tests.bench import peers
from tests.bench.peers import PEERS, Redis

Ask = Callable[..., Any]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ask]:
    """The naive function's way to ask Redis, and a Redis."""
    with Redis() as server:
        threading.Thread(target=server.serve_forever).start()
        monkeypatch.setenv("REDIS_PORT", str(server.server_address[1]))
        names: dict[str, Any] = {}
        exec(PEERS, names)
        yield names["redis"]
        names["here"].answers.close()
        names["here"].redis.close()
        server.shutdown()


def test_what_is_set_can_be_had(ask: Ask) -> None:
    assert ask("GET", "a") is None
    assert ask("SET", "a", "done", "EX", "60") == b"+OK"
    assert (ask("GET", "a"), ask("GET", "b")) == (b"done", None)


def test_each_program_is_on_the_list_with_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    programs.main()
    printed = capsys.readouterr().out
    assert {"peers", "events", "local_tasks"} <= programs.programs().keys()
    for name, sentence in programs.programs().items():
        assert sentence.endswith((".", ":"))
        assert f"{name} " in printed


@pytest.mark.slow
def test_every_table_is_printed(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"EVENTS": 8, "ROUNDS": 1, "IN_FLIGHT": (1, 2)}.items():
        monkeypatch.setattr(peers, name, value)
    before = dict(os.environ)
    peers.main()
    printed = capfd.readouterr().out
    for title in ("CPU time", "Cold start", "Milliseconds", "A claim and its completion"):
        assert title in printed
    assert dict(os.environ) == before
