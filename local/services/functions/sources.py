"""The folder of a function: its files, the Python that runs it, the clock that it reads."""

import functools
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
ENVIRONMENT = ".venv"
"""A virtual environment in the folder of a function: it runs on that Python, with its packages."""
APART = frozenset({"__pycache__", "venv", "node_modules"})
"""Folders that are no part of a function, beside the hidden ones."""
CLOCKS = re.compile(
    r"\b(?:datetime\.(?:now|utcnow|today)|date\.today|time\.(?:time|time_ns|localtime|gmtime))\s*\("
)
"""Calls that read the clock of the machine."""


def files(source: Path) -> Iterator[Path]:
    """Yield the files that a function in this folder is made of: what would be uploaded."""
    kept, left_out = _ignored(source)
    for folder, folders, names in os.walk(source):
        here = Path(folder)
        is_top = here == source
        folders[:] = [
            name
            for name in folders
            if name not in APART
            and not name.startswith(".")
            and (not is_top or kept is None or name in kept)
            and here / name not in left_out
        ]
        yield from (
            here / name
            for name in names
            if not is_top or kept is None or name in kept or name == "main.py"
        )


def stamps(source: Path) -> Mapping[Path, int]:
    """Return when each file of a function was last changed, in nanoseconds."""
    found = {}
    for path in files(source):
        try:
            found[path] = path.stat().st_mtime_ns
        except OSError:  # an editor has just replaced it
            continue
    return found


def python(source: Path) -> str:
    """Return the Python that runs a function: its own environment's, else ours."""
    own = source / ENVIRONMENT / "bin" / "python"
    return str(own) if source != PROJECT and own.exists() else sys.executable


def clock_of_the_machine(source: Path) -> str | None:
    """Return where a function reads the clock of the machine, `main.py:12`; None: nowhere."""
    for path, changed in sorted(stamps(source).items()):
        if path.suffix == ".py" and (number := _clock_in(path, changed)):
            return f"{path.relative_to(source)}:{number}"
    return None


@functools.lru_cache(maxsize=4096)
def _clock_in(path: Path, changed: int) -> int | None:
    """The number of the first line that reads the clock, in a file that was last changed then."""
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        if CLOCKS.search(line.partition("#")[0]):
            return number
    return None


def _ignored(source: Path) -> tuple[set[str] | None, set[Path]]:
    """What `.gcloudignore` keeps of the folder (None: everything) and leaves out below it."""
    try:
        lines = (source / ".gcloudignore").read_text().splitlines()
    except OSError:
        return None, set()
    kept = {line.removeprefix("!/") for line in lines if line.startswith("!/")}
    left_out = {source / line[1:].rstrip("/") for line in lines if line.startswith("/")}
    return (kept if "/*" in lines else None), left_out
