"""Carries out the blocks of one section of a page, in their order, in a copy of the bundle.

    block            │ what becomes of it
    ─────────────────┼──────────────────────────────────────────────────────────────────────────
    any, with a title│ is written as that new file; a test file is run by pytest
    `diff`, titled   │ changes that file, in which each part (`@@` between) must be as it stands
    `python`         │ is run in a process of its own, by pytest where it defines tests
    `console`        │ each command behind `$ ` is run; its output is the lines that follow, where
                     │ `…` stands for anything, or for nothing. `./deploy.sh local` goes on
                     │ running, once it has printed them, until the section ends
    `bash`, `sh`     │ is run, and must end with exit status 0
    `json`, `toml`   │ is parsed
    `text`, none     │ is a picture or a tree

The processes get no settings: what an example needs, the example says.
"""

import contextlib
import functools
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import tomllib
from pathlib import Path
from typing import IO

from tests.docs import warm
from tests.docs.blocks import Block

ROOT = Path(__file__).parents[2]
TIMEOUT = 240.0
"""Seconds, of one block or command."""
FOREGROUND = re.compile(r"(\w+=\S* )*\./deploy\.sh local( --port \d+)?")
"""The command that does not end by itself."""
LEFT_OUT = shutil.ignore_patterns(".*_cache", ".venv", ".local", ".git", "__pycache__")


class Scratch(contextlib.ExitStack):
    """A copy of the bundle. Closed, it ends what still runs."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._place = folder / "bundle"
        self._environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": os.environ.get("HOME", str(folder)),
            "LANG": "C.UTF-8",
            "LOCAL_VENV": sys.prefix,
            "LOCAL_PORT": "0",
            # Of the plugins that are installed here, no example needs one.
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }

    @functools.cached_property
    def folder(self) -> Path:
        """Where the copy is: made when it is first needed, because a picture needs none."""
        shutil.copytree(ROOT, self._place, ignore=LEFT_OUT)
        return self._place

    def run(self, block: Block) -> None:
        """Carry out one block. Raises AssertionError that says what did not hold."""
        match block.language:
            case "diff":
                self._change(block)
            case "console":
                for command, shown in commands(block.text):
                    self._command(command, shown)
            case "bash" | "sh":
                self._ends_well(["bash", "-euo", "pipefail", "-c", block.text])
            case "python":
                self._python(block)
            case "json" | "toml" | "text" | "html" | "":
                self._parse(block)
                if block.title:
                    self._write(block.title, block.text)
            case unknown:
                raise AssertionError(f"line {block.line}: nobody knows how to run {unknown!r}")

    def lint(self) -> None:
        """Hold the bundle, as the blocks have left it, to the rules of the project."""
        for rule in (["check", "--quiet"], ["format", "--check", "--quiet"]):
            self._ends_well([sys.executable, "-m", "ruff", *rule, "functions", "tests/functions"])

    def _parse(self, block: Block) -> None:
        readers = {"json": json.loads, "toml": tomllib.loads}
        readers.get(block.language, str)(block.text)

    def _python(self, block: Block) -> None:
        has_tests = re.search(r"^ *def test_", block.text, re.MULTILINE)
        name = block.title or ("test_example.py" if has_tests else "example.py")
        path = self._write(name, block.text, anew=not block.title)
        if has_tests:
            self._program("-m", "pytest", "-q", "-p", "no:cacheprovider", path)
        elif not block.title:
            self._program(path)

    def _program(self, *arguments: str) -> None:
        status, printed = warm.run(
            arguments, cwd=self.folder, env=self._environment, timeout=TIMEOUT
        )
        assert status == 0, f"python {shlex.join(arguments)}\n{printed}"

    def _write(self, name: str, text: str, *, anew: bool = False) -> str:
        path = self.folder / name
        assert anew or not path.exists(), f"{name} exists: show its change as a diff"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)

    def _change(self, block: Block) -> None:
        path = self.folder / block.title
        assert path.is_file(), f"line {block.line}: no file is named whose change this is"
        path.write_text(changed(path.read_text(), block.text))

    def _ends_well(self, command: list[str]) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}"
        return done.stdout

    def _command(self, command: str, shown: str) -> None:
        if FOREGROUND.fullmatch(command):
            printed = self._start(command, shown)
        else:
            printed = self._ends_well(["bash", "-euo", "pipefail", "-c", command])
        assert matches(shown, printed), (
            f"$ {command}\n{printed}\n--- is not what is shown:\n{shown}"
        )

    def _start(self, command: str, shown: str) -> str:
        process = subprocess.Popen(
            ["bash", "-c", f"exec env {command}"],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        printed: list[str] = []
        reader = threading.Thread(target=_read, args=[process.stdout, printed])
        reader.start()
        self.callback(reader.join)
        self.callback(_end, process)
        deadline = time.monotonic() + TIMEOUT
        while process.poll() is None and not matches(shown, "".join(printed)):
            assert time.monotonic() < deadline, f"$ {command}\n{''.join(printed)}"
            time.sleep(0.05)
        assert process.poll() is None, f"$ {command}\n{''.join(printed)}--- it ended"
        return "".join(printed)


def commands(text: str) -> list[tuple[str, str]]:
    """Of a console block: each command, and what is shown as its output."""
    found: list[tuple[str, str]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line.removeprefix("$ "), ""))
        elif not found:
            raise ValueError(f"no command prints {line!r}")
        elif _goes_on(found[-1][0]):
            found[-1] = (f"{found[-1][0]}\n{line}", "")
        else:
            found[-1] = (found[-1][0], f"{found[-1][1]}{line}\n")
    return found


def matches(shown: str, printed: str) -> bool:
    """Whether this was printed, where `…` stands for anything."""
    pattern = "".join(".*?" if part == "…" else re.escape(part) for part in _parts(shown))
    return re.fullmatch(pattern, _trimmed(printed), re.DOTALL) is not None


def changed(text: str, difference: str) -> str:
    """The text with a difference carried out: its lines begin with a space, `-` or `+`."""
    for part in re.split(r"(?m)^@@\n", difference):
        text = _changed(text, [line or " " for line in part.splitlines()])
    return text


def _changed(text: str, lines: list[str]) -> str:
    strange = [line for line in lines if line[0] not in " -+"]
    assert not strange, f"not a line of a difference: {strange[0]!r}"
    old = "".join(f"{line[1:]}\n" for line in lines if line[0] != "+")
    new = "".join(f"{line[1:]}\n" for line in lines if line[0] != "-")
    result, times = re.subn(f"(?m)^{re.escape(old)}", lambda _: new, text)
    assert times == 1, f"this is in the file {times} times, not once:\n{old}"
    return result


def _goes_on(command: str) -> bool:
    try:
        shlex.split(command)
    except ValueError:  # a quotation is open, or the line ends with a backslash
        return True
    return command.endswith("\\")


def _parts(shown: str) -> list[str]:
    # A line of its own stands for any number of lines, none included.
    return re.split(r"(…)", re.sub(r"(?m)^…\n|\n…\Z", "…", _trimmed(shown)))


def _read(output: IO[str], printed: list[str]) -> None:
    with output:
        for line in output:
            printed.append(line)


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def _end(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
