"""Runs Python programs in processes of their own, which begin with the slow imports done.

    test ── program ──▶ server, which has imported what takes long ── fork ──▶ the program
         ◀─ status ───                                                    its output ──▶ a file

A process is forked before a client or a thread is made, so that a program finds what a new
interpreter has, and more modules in `sys.modules`. It takes tens of milliseconds to start, where
pytest and Google's clients take two seconds to import.
"""

import atexit
import functools
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SLOW = (
    *("pytest", "_pytest.doctest", "_pytest.legacypath", "_pytest.unittest", "unittest.mock"),
    *("google.cloud.firestore", "google.cloud.tasks_v2", "functions_framework", "cloudevents.http"),
    *("flask", "requests", "jinja2", "jwt", "werkzeug.test"),
)
"""What is imported before the first program."""


def run(
    arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float
) -> tuple[int, str]:
    """Run `python ARGUMENTS…` (a file, or -m and a module); its exit status and its output."""
    with tempfile.NamedTemporaryFile("r", encoding="utf-8", errors="replace") as output:
        asked = [list(arguments), str(cwd), dict(env), output.name, timeout]
        server = _server()
        assert server.stdin
        assert server.stdout
        print(json.dumps(asked), file=server.stdin, flush=True)
        return int(server.stdout.readline()), output.read()


@functools.cache
def _server() -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    server = subprocess.Popen([sys.executable, __file__], stdin=pipe, stdout=pipe, text=True)
    atexit.register(server.__exit__, None, None, None)  # its input ends, and so does the server
    return server


def _serve() -> None:
    for name in SLOW:
        __import__(name)
    for line in sys.stdin:
        print(_forked(*json.loads(line)), flush=True)


def _forked(
    arguments: list[str], cwd: str, env: dict[str, str], output: str, timeout: float
) -> int:
    child = os.fork()
    if not child:
        _become(arguments, cwd, env, output, timeout)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _become(
    arguments: list[str], cwd: str, env: dict[str, str], output: str, timeout: float
) -> None:
    """Be that program, to the end of this process."""
    status: Any = 0
    try:
        signal.alarm(int(timeout))
        _redirect(output)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(env)
        _run(arguments)
    except SystemExit as ended:
        status = ended.code
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else int(status is not None))


def _redirect(output: str) -> None:
    file = os.open(output, os.O_WRONLY)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (file, 1), (file, 2)):
        os.dup2(source, target)


def _run(arguments: list[str]) -> None:
    if arguments[0] == "-m":
        sys.argv, sys.path[0] = arguments[1:], os.getcwd()
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[0] = arguments, str(Path(arguments[0]).parent)
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    _serve()
